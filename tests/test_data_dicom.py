"""Grey as DICOM PS3.3 C.11 has it: each attribute that changes what is seen, and what is refused or warned of."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from layouts.dicom import RAMP, bytes_of, dataset_of
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless
from tenstep.data.intake import dicom
from tenstep.data.intake.images import MAX_PIXELS
from tenstep.data.intake.reports import Refusal

Grey = NDArray[np.int64]


def decoded(pixels: NDArray[Any] = RAMP, **fields: Any) -> dicom.Picture | Refusal:
    return dicom.decode(bytes_of(dataset_of(pixels, **fields)), MAX_PIXELS)


def seen(pixels: NDArray[Any] = RAMP, **fields: Any) -> tuple[Grey, list[str]]:
    """The picture's greys, and the codes of its warnings."""
    picture = decoded(pixels, **fields)
    assert isinstance(picture, dicom.Picture), picture
    return np.asarray(picture.image).astype(np.int64), [code for code, _ in picture.warnings]


def window(center: float, width: float) -> Grey:
    """C.11.2.1.2.1 on the ramp, written again."""
    values = RAMP.astype(float)
    y = np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    return np.rint(y * 255).astype(np.int64)


def lut(entries: NDArray[Any], first: int, bits: int = 16) -> Sequence:
    item = pydicom.Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item.LUTData = entries.astype("<u2").tobytes()
    item["LUTData"].VR = "OW"
    return Sequence([item])


PLAIN = window(2048, 4096)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"WindowCenter": 2048, "WindowWidth": 2000}, window(2048, 2000)),
        ({"WindowCenter": ["2048", "10"], "WindowWidth": ["4096", "5"]}, PLAIN),
        ({"WindowCenter": 2048, "WindowWidth": 4096, "PhotometricInterpretation": "MONOCHROME1"}, 255 - PLAIN),
        ({"WindowCenter": 2048, "WindowWidth": 4096, "PhotometricInterpretation": "MONOCHROME1",
          "PresentationLUTShape": "INVERSE"}, 255 - PLAIN),
        ({"WindowCenter": 2048, "WindowWidth": 4096, "RescaleSlope": None, "RescaleIntercept": None}, PLAIN),
        ({"WindowCenter": -2047, "WindowWidth": 4096, "RescaleSlope": -1, "RescaleIntercept": 0}, 255 - PLAIN),
        ({"WindowCenter": 20490, "WindowWidth": 40960, "RescaleSlope": 10, "RescaleIntercept": 10}, PLAIN),
        ({"WindowCenter": 2048, "WindowWidth": 4096, "RescaleSlope": 0, "RescaleIntercept": 0}, PLAIN),
        ({"WindowCenter": 2048, "WindowWidth": 4096, "VOILUTFunction": "LINEAR_EXACT"}, PLAIN),
        ({"WindowCenter": 2048, "WindowWidth": 4096, "WindowCenterWidthExplanation": "x"}, PLAIN),
        ({"VOILUTSequence": lut(np.arange(4096)[::-1] * 16, 0)}, 255 - PLAIN),
        ({"VOILUTSequence": lut(np.arange(4096), 0, 12)}, PLAIN),
        ({"VOILUTSequence": lut(np.arange(4096), 0, 16)}, PLAIN),  # says 16 bits, and has 12
        ({"ModalityLUTSequence": lut(np.arange(4096)[::-1], 0), "WindowCenter": 2048, "WindowWidth": 4096},
         255 - PLAIN),
        ({}, PLAIN),
        ({"WindowCenter": None, "WindowWidth": None}, PLAIN),
        ({"VOILUTSequence": Sequence([]), "WindowCenter": 2048, "WindowWidth": 4096}, PLAIN),
    ],
)  # fmt: skip
def test_greys_are_those_of_the_standard(fields: dict[str, Any], wanted: Grey) -> None:
    grey, codes = seen(**fields)
    assert codes == []
    assert np.abs(grey - wanted).max() <= 2  # percentiles, where no window is named, cut half a percent


def test_a_sigmoid_window_rises_slowly_at_its_ends() -> None:
    grey, codes = seen(WindowCenter=2048, WindowWidth=2000, VOILUTFunction="SIGMOID")
    assert codes == []
    wanted = 255 / (1 + np.exp(-4 * (RAMP - 2048.0) / 2000))
    assert np.abs(grey - wanted).max() <= 1


def test_padding_is_no_part_of_the_window_and_is_black() -> None:
    film = RAMP.copy()
    film[:20] = 0
    film[20:] = 2000 + film[20:] // 8
    bare, _ = seen(film[20:])
    for kind in ("MONOCHROME2", "MONOCHROME1"):
        grey, codes = seen(film, PixelPaddingValue=0, PhotometricInterpretation=kind)
        assert codes == []
        assert not grey[:20].any()
        assert np.array_equal(grey[20:], bare if kind == "MONOCHROME2" else 255 - bare)
    ranged, _ = seen(film, PixelPaddingValue=0, PixelPaddingRangeLimit=1999)
    assert np.array_equal(ranged[20:], bare)


def test_padding_that_no_header_names_does_not_darken_the_film() -> None:
    film = RAMP.copy()
    film[:20] = 65535
    grey, _ = seen(film, BitsStored=16, HighBit=15)
    bare, _ = seen(film[20:])
    assert np.abs(grey[20:] - bare).max() <= 1


def test_signed_pixels_and_their_padding_are_read_as_signed() -> None:
    signed = (RAMP.astype(np.int16) - 2048).astype("<i2")
    fields: dict[str, Any] = {"PixelRepresentation": 1, "PixelData": signed.tobytes()}
    grey, codes = seen(**fields, WindowCenter=0, WindowWidth=4096)
    assert codes == []
    assert np.abs(grey - PLAIN).max() <= 1
    padded, _ = seen(**fields, PixelPaddingValue=-2048, WindowCenter=0, WindowWidth=4096)
    assert np.abs(padded - PLAIN).max() <= 1


def test_bits_that_are_not_stored_are_left_out() -> None:
    noisy = RAMP.copy()
    noisy[0, :10] |= 0xF000
    assert np.abs(seen(noisy)[0] - PLAIN).max() <= 2
    overlay = RAMP | 0x8000
    fields = dataset_of(overlay)
    fields.add_new(0x60000102, "US", 15)
    picture = dicom.decode(bytes_of(fields), MAX_PIXELS)
    assert isinstance(picture, dicom.Picture)
    assert np.abs(np.asarray(picture.image).astype(int) - PLAIN).max() <= 2
    assert np.abs(seen(RAMP << 4, HighBit=15)[0] - PLAIN).max() <= 2
    grey, codes = seen(RAMP * 16)  # BitsStored is wrong
    assert codes == ["more_bits"]
    assert np.abs(grey - PLAIN).max() <= 2


def test_a_window_that_shows_nothing_gives_way_to_the_next_or_to_percentiles() -> None:
    for center, width in ((2048, 1), (90_000, 10), (2048, 0), (2048, 1_000_000)):
        grey, codes = seen(WindowCenter=center, WindowWidth=width)
        assert codes == ["window_ignored"]
        assert np.abs(grey - PLAIN).max() <= 2
    grey, codes = seen(WindowCenter=["90000", "2048"], WindowWidth=["10", "2000"])
    assert codes == ["window_ignored"]
    assert np.array_equal(grey, window(2048, 2000))
    assert seen(WindowCenter=2048, WindowWidth=4096, VOILUTFunction="CUBIC")[1] == ["unknown_voi_function"]


def test_presentation_lut_shape_that_contradicts_is_named() -> None:
    grey, codes = seen(WindowCenter=2048, WindowWidth=4096, PresentationLUTShape="INVERSE")
    assert codes == ["greys_contradict"]
    assert np.array_equal(grey, 255 - PLAIN)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"Modality": "CT"}, "other_modality"),
        ({"Modality": "MR"}, "other_modality"),
        ({"Modality": "US"}, "other_modality"),
        ({"BurnedInAnnotation": "YES"}, "burned_in_annotation"),
        ({"NumberOfFrames": 3}, "unsupported_format"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "unsupported_format"),
        ({"BitsAllocated": 32}, "unsupported_format"),
        ({"SamplesPerPixel": 255}, "unsupported_format"),
        ({"Rows": 0}, "unreadable_image"),
        ({"Rows": 65}, "unreadable_image"),  # fewer bytes than the header asks for
        ({"Rows": 32}, "unsupported_format"),  # twice as many: another frame
        ({"PixelData": b"\0" * 8192}, "blank_image"),
        ({"PixelPaddingValue": 0, "PixelData": b"\0" * 8000 + b"\1\0" * 96}, "blank_image"),
    ],
)
def test_what_is_no_radiograph_is_refused_with_its_reason(fields: dict[str, Any], reason: str) -> None:
    refused = decoded(**fields)
    assert isinstance(refused, Refusal)
    assert refused.reason == reason


def test_too_few_bytes_of_pixels_are_counted_before_anything_is_decoded() -> None:
    refused = decoded(Rows=65)
    assert isinstance(refused, Refusal)
    assert refused.detail == "the header asks for 8,320 bytes of pixels, and the file holds 8,192"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Modality": "OT"}, "other_modality"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "other_modality"),
        ({"BodyPartExamined": "KNEE"}, "other_body_part"),
        ({"PixelData": RAMP.tobytes() + bytes(100)}, "extra_pixel_bytes"),
        ({"PixelData": (RAMP // 1024).tobytes()}, "few_grey_levels"),
    ],
)
def test_what_is_odd_is_warned_of(fields: dict[str, Any], code: str) -> None:
    assert seen(**fields)[1] == [code]


def test_colour_films_of_8_bits_are_read() -> None:
    grey = (RAMP // 16).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, axis=2)
    fields = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    shown, codes = seen(PhotometricInterpretation="RGB", PixelData=pixels.tobytes(), **fields)
    assert codes == ["colour"]
    assert np.array_equal(shown[..., 0], grey)
    ycbcr = np.asarray(Image.fromarray(pixels).convert("YCbCr"))
    shown, _ = seen(PhotometricInterpretation="YBR_FULL", PixelData=ycbcr.tobytes(), **fields)
    assert np.abs(shown[..., 0] - grey).max() <= 1


def test_files_without_the_opening_are_read_or_named() -> None:
    whole = bytes_of(dataset_of(RAMP, WindowCenter=2048, WindowWidth=4096))
    implicit = bytes_of(dataset_of(RAMP, ImplicitVRLittleEndian, WindowCenter=2048, WindowWidth=4096))
    meta = 132 + 12 + struct.unpack_from("<I", implicit, 140)[0]
    for data in (whole, whole[128:], whole[132:], implicit, implicit[132:], implicit[meta:]):
        assert dicom.is_dicom(data)
        picture = dicom.decode(data, MAX_PIXELS)
        assert isinstance(picture, dicom.Picture), picture
        assert np.array_equal(np.asarray(picture.image), PLAIN)
    assert isinstance(dicom.decode(whole[132:600], MAX_PIXELS), Refusal)


def test_implicit_headers_with_padding_and_tables_are_read() -> None:
    fields = dataset_of(RAMP, ImplicitVRLittleEndian, PixelPaddingValue=0, VOILUTSequence=lut(np.arange(4096), 0, 12))
    picture = dicom.decode(bytes_of(fields), MAX_PIXELS)
    assert isinstance(picture, dicom.Picture), picture
    assert np.abs(np.asarray(picture.image).astype(int) - PLAIN).max() <= 1


def test_the_view_is_the_position_or_the_code() -> None:
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "R-10236", "SRT", ""
    for fields, view in (
        ({"ViewPosition": "LL"}, "LL"),
        ({"ViewPosition": "", "ViewCodeSequence": Sequence([code])}, "lateral"),
        ({}, "unknown"),
    ):
        picture = decoded(**fields)
        assert isinstance(picture, dicom.Picture)
        assert picture.view == view


def jpeg_2000(frame: bytes) -> dicom.Picture | Refusal:
    return decoded(PixelData=encapsulate([frame]), syntax=JPEG2000Lossless)


def test_a_jpeg_2000_container_without_an_end_is_refused_at_once() -> None:
    signature = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
    for boxes in (bytes(4000), b"\0\0\0\0jp2h" + bytes(4000), b"\0\0\0\1jp2h" + bytes(4000), b""):
        refused = jpeg_2000(signature + boxes)
        assert isinstance(refused, Refusal)
        assert refused.reason in ("unreadable_image", "missing_codec")


def frame(size: tuple[int, int], kind: str, mode: str = "L") -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(stream, kind, **({"no_jp2": True} if kind[4:] else {}))
    return stream.getvalue()


@pytest.mark.parametrize(("syntax", "kind"), [(JPEG2000Lossless, "JPEG2000"), (JPEGBaseline8Bit, "JPEG")])
def test_a_compressed_frame_must_be_as_large_as_the_header_says(syntax: str, kind: str) -> None:
    eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "syntax": syntax}
    good = decoded(PixelData=encapsulate([frame((64, 64), kind)]), **eight)
    assert isinstance(good, dicom.Picture), good
    for wrong in (frame((300, 300), kind), frame((64, 64), kind, "RGB"), b"\xff\xd8" + bytes(90), b"\xff\x4f\xff\x51"):
        refused = decoded(PixelData=encapsulate([wrong]), **eight)
        assert isinstance(refused, Refusal)
        assert refused.reason == "unreadable_image"
        assert (
            "the frame" in refused.detail
            or "does not say its size" in refused.detail
            or "cannot identify" in refused.detail
        )
    missing = decoded(Rows=60_000, Columns=60_000, PixelData=encapsulate([frame((64, 64), kind)]), **eight)
    assert isinstance(missing, Refusal)
    assert missing.reason == "large_image"


def test_run_length_pixels_that_end_early_are_refused(run_length: Callable[[], bytes]) -> None:
    data = run_length()
    assert isinstance(dicom.decode(data, MAX_PIXELS), dicom.Picture)
    assert isinstance(dicom.decode(data[:-2000], MAX_PIXELS), Refusal)


@pytest.fixture
def run_length() -> Callable[[], bytes]:
    def made() -> bytes:
        dataset = dataset_of(RAMP)
        dataset.compress(RLELossless)
        return bytes_of(dataset)

    return made


SCRIPT = Path(__file__).parent.parent / "scripts" / "infer_transformers.py"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"WindowCenter": 2048, "WindowWidth": 3000, "PhotometricInterpretation": "MONOCHROME1"},
        {"WindowCenter": ["-1800", "0"], "WindowWidth": ["3000", "9"], "RescaleSlope": -1, "RescaleIntercept": 0},
        {"RescaleSlope": None, "RescaleIntercept": None, "WindowCenter": 2048, "WindowWidth": 3000},
        {"WindowCenter": 2048, "WindowWidth": 3000, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 2048, "WindowWidth": 3000, "VOILUTFunction": "LINEAR_EXACT"},
        {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 900, "PhotometricInterpretation": "MONOCHROME1"},
        {"VOILUTSequence": lut(np.arange(4096)[::-1] * 16, 0)},
    ],
)
def test_the_script_for_other_machines_shows_a_student_the_same_greys(fields: dict[str, Any], tmp_path: Path) -> None:
    scope: dict[str, Any] = {"__name__": "script", "__doc__": ""}
    exec(compile(SCRIPT.read_text(), str(SCRIPT), "exec"), scope)
    (tmp_path / "film.dcm").write_bytes(bytes_of(dataset_of(RAMP, **fields)))
    theirs = np.asarray(scope["open_image"](tmp_path / "film.dcm").convert("L")).astype(int)
    assert np.abs(theirs - seen(**fields)[0]).max() <= 2
