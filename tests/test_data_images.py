"""Images: each kind that is read, each reason for which one is not, and nothing that does worse than a reason."""

import hashlib
import io
import random
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from tenstep.data.intake.images import Admitted, ImageFile, admit, admit_all
from tenstep.data.intake.reports import Refusal
from tenstep.data.intake.window import to_grey8


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def dicom(pixels: np.ndarray[Any, Any], syntax: str = ExplicitVRLittleEndian, **fields: Any) -> bytes:
    """A DICOM file of 12 stored bits with these pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = syntax
    dataset = pydicom.Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3"
    dataset.PatientName = "Doe^Jane"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = pixels.astype("<u2").tobytes()
    for name, value in fields.items():
        setattr(dataset, name, value)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


@pytest.fixture
def look(tmp_path: Path) -> Callable[[bytes], Admitted | Refusal]:
    """Admit these bytes as a file; converted images go to <tmp>/store/images."""

    def admitted(data: bytes) -> Admitted | Refusal:
        file = tmp_path / "source" / "image.any"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
        return admit(file, file.parent, tmp_path / "store" / "images")

    return admitted


Look = Callable[[bytes], Admitted | Refusal]


def accepted(result: Admitted | Refusal) -> Admitted:
    assert isinstance(result, Admitted), result
    return result


def reason(result: Admitted | Refusal) -> str:
    assert isinstance(result, Refusal), result
    return result.reason


def stored(tmp_path: Path, admitted: Admitted) -> Image.Image:
    """The converted image, after checking that its description is true."""
    path = tmp_path / "store" / admitted.ref.path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == admitted.ref.sha256
    with Image.open(path) as image:
        assert image.size == (admitted.ref.width, admitted.ref.height)
        image.load()
    return image


def test_png_and_jpeg_stay_where_they_are(look: Look, tmp_path: Path, png: bytes) -> None:
    grey = Image.new("L", (5, 4), 9)
    for data, size in (
        (png, (40, 30)),
        (encoded(grey, "JPEG"), (5, 4)),
        (encoded(Image.new("RGB", (3, 2)), "PNG"), (3, 2)),
    ):
        ref = accepted(look(data)).ref
        assert ref.path == str(tmp_path / "source" / "image.any")
        assert ref.sha256 == hashlib.sha256(data).hexdigest()
        assert (ref.width, ref.height) == size
    assert not (tmp_path / "store").exists()


def test_monochrome2_keeps_and_monochrome1_turns_the_greys(look: Look, tmp_path: Path) -> None:
    for kind, darkest in (("MONOCHROME2", 0), ("MONOCHROME1", 255)):
        image = stored(tmp_path, accepted(look(dicom(RAMP, PhotometricInterpretation=kind))))
        assert image.mode == "L"
        assert image.getpixel((0, 0)) == darkest
        assert image.getpixel((63, 63)) == 255 - darkest


def test_the_window_of_the_file_is_used(look: Look, tmp_path: Path) -> None:
    image = stored(tmp_path, accepted(look(dicom(RAMP, WindowCenter=2048, WindowWidth=2000))))
    grey = np.asarray(image).ravel()
    assert grey[1000] == 0
    assert grey[3100] == 255
    assert abs(int(grey[2048]) - 128) <= 1


def test_a_window_that_shows_nothing_is_passed_over_and_said(look: Look, tmp_path: Path) -> None:
    for window in ((60_000, 2), (2048, 0)):
        admitted = accepted(look(dicom(RAMP, WindowCenter=window[0], WindowWidth=window[1])))
        assert [code for code, _ in admitted.warnings] == ["window_ignored"]
        assert len(np.unique(np.asarray(stored(tmp_path, admitted)))) == 256


def test_the_dicom_header_gives_view_and_body_part_and_nothing_else(look: Look, tmp_path: Path) -> None:
    admitted = accepted(look(dicom(RAMP, ViewPosition="PA", BodyPartExamined="CHEST")))
    assert (admitted.ref.view, admitted.warnings) == ("PA", ())
    (warning,) = accepted(look(dicom(RAMP, BodyPartExamined="KNEE"))).warnings
    assert warning == ("other_body_part", "BodyPartExamined is KNEE, not the chest")
    assert b"Doe" not in (tmp_path / "store" / admitted.ref.path).read_bytes()


def test_run_length_encoding_and_signed_pixels_are_read(look: Look, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(io.BytesIO(dicom(RAMP)))
    dataset.compress(RLELossless)
    stream = io.BytesIO()
    dataset.save_as(stream)
    plain = np.asarray(stored(tmp_path, accepted(look(dicom(RAMP)))))
    assert np.array_equal(np.asarray(stored(tmp_path, accepted(look(stream.getvalue())))), plain)
    signed = (RAMP.astype(np.int16) - 2048).astype("<i2")
    turned = look(dicom(RAMP, PixelData=signed.tobytes(), PixelRepresentation=1))
    assert np.array_equal(np.asarray(stored(tmp_path, accepted(turned))), plain)


def test_16_bit_png_is_windowed_not_clipped(look: Look, tmp_path: Path) -> None:
    admitted = accepted(look(encoded(Image.fromarray(RAMP * 16), "PNG")))
    assert [code for code, _ in admitted.warnings] == ["windowed_16_bit"]
    grey = np.asarray(stored(tmp_path, admitted))
    assert grey.min() == 0
    assert len(np.unique(grey)) == 256


def test_exif_orientation_is_applied_and_exif_dropped(look: Look, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "Jane Doe"
    admitted = accepted(look(encoded(Image.new("RGB", (30, 20)), "JPEG", exif=exif)))
    assert [code for code, _ in admitted.warnings] == ["turned_by_exif"]
    image = stored(tmp_path, admitted)
    assert image.size == (20, 30)
    assert not image.getexif()
    assert b"Jane" not in (tmp_path / "store" / admitted.ref.path).read_bytes()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be large."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_bombs_are_refused_before_they_are_decoded(look: Look) -> None:
    for size in ((8_000, 8_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)):
        assert reason(look(claims(*size))) == "large_image"
    assert reason(look(dicom(RAMP, Rows=60_000, Columns=60_000))) == "large_image"
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000)))
    data = claims(4, 4)
    assert reason(look(data[:33] + text + data[33:])) == "unreadable_image"


def test_files_that_are_cut_off_are_refused(look: Look, png: bytes) -> None:
    for data in (png, encoded(Image.effect_noise((64, 64), 50), "JPEG"), dicom(RAMP)):
        assert reason(look(data[: len(data) // 2])) == "unreadable_image"
    assert reason(look(b"")) == "unreadable_image"


def test_what_is_no_image_is_refused_whatever_its_name(look: Look) -> None:
    assert reason(look(b"Findings: clear.")) == "not_an_image"
    assert reason(look(b"%PDF-1.7")) == "not_an_image"
    for kind in ("GIF", "BMP", "TIFF", "WEBP"):
        assert reason(look(encoded(Image.new("L", (4, 4)), kind))) == "unsupported_format"
    frames = [Image.new("L", (4, 4), shade) for shade in (0, 99)]
    assert reason(look(encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]))) == "unsupported_format"


def test_dicom_that_is_no_radiograph_is_refused(look: Look) -> None:
    assert (
        reason(look(dicom(np.stack([RAMP, RAMP]).reshape(128, 64), NumberOfFrames=2, Rows=64))) == "unsupported_format"
    )
    assert reason(look(dicom(RAMP, PhotometricInterpretation="RGB", SamplesPerPixel=3))) == "unsupported_format"
    assert reason(look(dicom(np.full((8, 8), 7)))) == "unreadable_image"
    assert reason(look(dicom(RAMP, DeflatedExplicitVRLittleEndian))) == "unsupported_format"
    whole = pydicom.dcmread(io.BytesIO(dicom(RAMP)))
    del whole.PixelData
    stream = io.BytesIO()
    whole.save_as(stream)
    assert reason(look(stream.getvalue())) == "unreadable_image"


def test_a_missing_codec_names_what_to_install(look: Look) -> None:
    frame = encapsulate([b"\xff\xd8\xff\xf7" + bytes(60)])
    refused = look(dicom(RAMP, JPEGLSLossless, PixelData=frame))
    assert isinstance(refused, Refusal)
    assert refused.reason == "missing_codec"
    assert "JPEG-LS" in refused.detail
    assert reason(look(dicom(RAMP, MPEG2MPML, PixelData=frame))) == "unsupported_format"


def test_a_compressed_frame_that_is_larger_than_its_header_is_refused(look: Look) -> None:
    frame = encoded(Image.new("L", (300, 300)), "JPEG2000", no_jp2=True)
    data = dicom(RAMP, JPEG2000Lossless, PixelData=encapsulate([frame]))
    assert reason(look(data)) in ("unreadable_image", "missing_codec")


def test_links_and_dots_do_not_lead_out_of_the_folder(tmp_path: Path, png: bytes) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.png").write_bytes(png)
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "loop.png").symlink_to(root / "loop.png")
    (root / "real.png").write_bytes(png)
    (root / "alias.png").symlink_to("real.png")
    (root / "folder.png").mkdir()
    for name, expected in (
        ("link.png", "outside_folder"),
        ("../secret.png", "outside_folder"),
        ("/etc/passwd", "outside_folder"),
        ("loop.png", "missing_file"),
        ("absent.png", "missing_file"),
        ("folder.png", "missing_file"),
        ("nul\0.png", "missing_file"),
        ("half\udc80.png", "missing_file"),
        ("n" * 300 + ".png", "missing_file"),
    ):
        assert reason(admit(root / name, root, None)) == expected
    assert accepted(admit(root / "alias.png", root, None)).ref.path == str(root / "real.png")


def test_an_image_that_must_be_converted_needs_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(dicom(RAMP))
    assert reason(admit(tmp_path / "a.dcm", tmp_path, None)) == "unsupported_format"


def test_one_bad_image_refuses_them_all(tmp_path: Path, png: bytes) -> None:
    (tmp_path / "a.png").write_bytes(png)
    (tmp_path / "b.png").write_bytes(png[:50])
    good, bad = ImageFile(tmp_path / "a.png", "PA"), ImageFile(tmp_path / "b.png", "lateral")
    result = admit_all([good, good], tmp_path, None)
    assert not isinstance(result, Refusal)
    assert [ref.view for ref in result[0]] == ["PA", "PA"]
    for images, expected in (([good, bad], "unreadable_image"), ([], "no_image")):
        refused = admit_all(images, tmp_path, None)
        assert isinstance(refused, Refusal)
        assert refused.reason == expected


SEEDS = {
    "png": claims(4, 4),
    "jpeg": encoded(Image.effect_noise((24, 24), 50), "JPEG"),
    "dicom": dicom(RAMP[:8, :8], WindowCenter=20, WindowWidth=9, ViewPosition="PA"),
}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(SEEDS)), st.integers(0, 2**32), st.integers(0, 12))
def test_no_damage_does_worse_than_a_reason(
    tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int, changes: int
) -> None:
    rng = random.Random(seed)
    data = bytearray(SEEDS[kind])
    for _ in range(changes):
        data[rng.randrange(len(data))] = rng.randrange(256)
    folder = tmp_path_factory.getbasetemp()
    (folder / "damaged").write_bytes(data[: rng.randrange(len(data)) if seed % 3 == 0 else None])
    assert isinstance(admit(folder / "damaged", folder, folder / "images"), Admitted | Refusal)


@given(
    st.lists(st.integers(0, 65535), min_size=2, max_size=50).filter(lambda values: len(set(values)) > 1), st.booleans()
)
def test_windowing_keeps_the_order_of_greys(values: list[int], inverted: bool) -> None:
    pixels = np.array([values], dtype=np.uint16)
    grey, used = to_grey8(pixels, inverted=inverted)
    assert grey is not None
    assert not used
    order = np.argsort(pixels[0], kind="stable")
    steps = np.diff(grey[0][order].astype(int))
    assert (steps <= 0).all() if inverted else (steps >= 0).all()
    assert {grey.min(), grey.max()} == {0, 255}
