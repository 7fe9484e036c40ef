"""Images: each kind that is read, each reason for which one is not, and nothing that does worse than a reason."""

import hashlib
import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts.dicom import RAMP, bytes_of, dataset_of
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from tenstep.data.intake.decoder import DecodeError, Decoder
from tenstep.data.intake.images import Admitted, Decoded, ImageFile, admit, admit_all, decode
from tenstep.data.intake.reports import Refusal
from tenstep.data.intake.window import Rendering, to_grey8


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def dicom(pixels: np.ndarray[Any, Any], syntax: str = ExplicitVRLittleEndian, **fields: Any) -> bytes:
    """A DICOM file of 12 stored bits with these pixels."""
    return bytes_of(dataset_of(pixels, syntax, **fields))


@pytest.fixture
def look(tmp_path: Path) -> Callable[[bytes], Admitted | Refusal]:
    """Admit these bytes as a file; converted images go to <tmp>/store/images."""

    def admitted(data: bytes) -> Admitted | Refusal:
        file = tmp_path / "source" / "image.any"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
        found, here = admit(file, file.parent, tmp_path / "store" / "images"), decode(data)
        if isinstance(here, Refusal):
            assert found == here  # the process changes nothing
        else:
            assert isinstance(found, Admitted) and found.warnings == here.warnings
        return found

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
    grey = Image.linear_gradient("L").resize((50, 40))
    palette = Image.effect_noise((30, 20), 90).convert("P")
    for data, size in (
        (png, (40, 30)),
        (encoded(grey, "JPEG"), (50, 40)),
        (encoded(grey.convert("RGB"), "PNG"), (50, 40)),
        (encoded(grey.convert("RGBA"), "PNG"), (50, 40)),  # wholly opaque
        (encoded(palette, "PNG"), (30, 20)),
    ):
        ref = accepted(look(data)).ref
        assert ref.path == "../source/image.any"  # from the store: both can be moved together
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


def deep_png(film: np.ndarray[Any, Any], kind: int, alpha: int = 0xFFFF) -> bytes:
    """A PNG of 16 bits a channel: grey, RGB, grey with alpha or RGBA (0, 2, 4, 6)."""
    channels = {0: [film], 2: [film] * 3, 4: [film, np.full_like(film, alpha)], 6: [film] * 3 + [film * 0 + alpha]}[
        kind
    ]
    rows = np.stack(channels, axis=-1).astype(">u2").reshape(len(film), -1)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", film.shape[1], film.shape[0], 16, kind, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", [0, 2, 4, 6])
def test_every_16_bit_png_shows_all_its_greys(look: Look, tmp_path: Path, kind: int) -> None:
    admitted = accepted(look(deep_png(RAMP, kind)))  # 12 of the 16 bits, as detectors give
    assert [code for code, _ in admitted.warnings] == ["windowed_16_bit"]
    grey = np.asarray(stored(tmp_path, admitted)).astype(int)
    assert grey.ndim == 2
    assert np.abs(grey - RAMP / 16).max() <= 2


@pytest.mark.parametrize("kind", [4, 6])
def test_a_film_that_is_wholly_transparent_is_blank(look: Look, kind: int) -> None:
    assert reason(look(deep_png(RAMP, kind, alpha=0))) == "blank_image"


def test_transparent_parts_are_black_for_every_reader(look: Look, tmp_path: Path) -> None:
    film = Image.linear_gradient("L").resize((64, 64))
    mask = Image.new("L", (64, 64), 255)
    mask.paste(0, (0, 0, 64, 20))
    for mode in ("LA", "RGBA"):
        clear = film.convert(mode)
        clear.putalpha(mask)
        admitted = accepted(look(encoded(clear, "PNG")))
        assert [code for code, _ in admitted.warnings] == ["transparent"]
        grey = np.asarray(stored(tmp_path, admitted).convert("L"))
        assert not grey[:20].any()
        assert np.array_equal(grey[20:], np.asarray(film)[20:])


def test_inks_become_the_greys_that_they_print(look: Look, tmp_path: Path) -> None:
    film = Image.linear_gradient("L").resize((64, 64))
    admitted = accepted(look(encoded(film.convert("RGB").convert("CMYK"), "JPEG", quality=98)))
    assert [code for code, _ in admitted.warnings] == ["converted_cmyk"]
    grey = np.asarray(stored(tmp_path, admitted).convert("L")).astype(int)
    assert np.abs(grey - np.asarray(film)).mean() < 2


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "LA"])
@pytest.mark.parametrize("value", [0, 255])
def test_a_film_of_one_grey_is_refused(look: Look, mode: str, value: int) -> None:
    assert reason(look(encoded(Image.new("L", (64, 64), value).convert(mode), "PNG"))) == "blank_image"
    if mode in ("L", "RGB"):
        assert reason(look(encoded(Image.new("L", (64, 64), value).convert(mode), "JPEG"))) == "blank_image"


def test_a_film_that_shows_little_is_warned_of(look: Look) -> None:
    dark = np.tile(np.arange(64, dtype=np.uint8) // 4, (64, 1))  # a 12-bit film cut to its high byte
    nearly_black = np.zeros((64, 64), np.uint8)
    nearly_black[:3] = np.arange(0, 256, 4, dtype=np.uint8)
    two = np.where(np.indices((64, 64)).sum(0) % 2, 200, 20).astype(np.uint8)
    for pixels, code in ((dark, "low_contrast"), (nearly_black, "low_contrast"), (two, "few_grey_levels")):
        assert code in [found for found, _ in accepted(look(encoded(Image.fromarray(pixels), "PNG"))).warnings]


def test_a_picture_in_colour_is_warned_of(look: Look) -> None:
    rainbow = Image.merge(
        "HSV", [Image.linear_gradient("L"), Image.new("L", (256, 256), 255), Image.linear_gradient("L")]
    )
    admitted = accepted(look(encoded(rainbow.convert("RGB"), "PNG")))
    assert [code for code, _ in admitted.warnings] == ["colour"]


def test_exif_orientation_is_applied_and_exif_dropped(look: Look, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "Jane Doe"
    film = Image.linear_gradient("L").resize((30, 20)).convert("RGB")
    admitted = accepted(look(encoded(film, "JPEG", exif=exif)))
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


def scans(image: Image.Image, more: int) -> bytes:
    """A JPEG whose last scan is repeated: each goes over all pixels."""
    film = encoded(image, "JPEG", progressive=True)
    last = film[film.rindex(b"\xff\xda") : -2]
    return film[:-2] + more * last + film[-2:]


def test_a_jpeg_may_have_many_scans(look: Look) -> None:
    accepted(look(scans(Image.fromarray(RAMP.astype(np.uint8)), 1_000)))


def test_what_takes_too_long_or_too_much_memory_is_not_decoded() -> None:
    own = Decoder()
    data = scans(Image.effect_noise((900, 900), 50), 2_000)
    own.run(decode, encoded(Image.new("L", (4, 4)), "PNG"))  # it has started
    with pytest.raises(DecodeError, match="is it damaged") as slow:
        own.run(decode, data, seconds=0.5)
    assert slow.value.reason == "slow_image"
    with pytest.raises(DecodeError, match="GB of memory to decode") as large:
        own.run(bytearray, 5 << 30)
    assert large.value.reason == "large_image"
    assert isinstance(own.run(decode, encoded(Image.linear_gradient("L"), "PNG")), Decoded)  # and it goes on
    own.close()


def test_files_that_are_cut_off_are_refused(look: Look, png: bytes) -> None:
    for data in (png, encoded(Image.effect_noise((64, 64), 50), "JPEG"), dicom(RAMP)):
        assert reason(look(data[: len(data) // 2])) == "unreadable_image"
    assert reason(look(b"")) == "unreadable_image"


def test_what_is_no_image_is_refused_whatever_its_name(look: Look) -> None:
    assert reason(look(b"Findings: clear.")) == "not_an_image"
    assert reason(look(b"%PDF-1.7")) == "unsupported_format"
    assert reason(look(bytes(5000))) == "not_an_image"
    for kind in ("GIF", "BMP", "TIFF", "WEBP"):
        assert reason(look(encoded(Image.new("L", (4, 4)), kind))) == "unsupported_format"
    frames = [Image.new("L", (4, 4), shade) for shade in (0, 99)]
    assert reason(look(encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]))) == "unsupported_format"


def test_dicom_that_is_no_radiograph_is_refused(look: Look) -> None:
    assert (
        reason(look(dicom(np.stack([RAMP, RAMP]).reshape(128, 64), NumberOfFrames=2, Rows=64))) == "unsupported_format"
    )
    assert reason(look(dicom(RAMP, PhotometricInterpretation="RGB", SamplesPerPixel=3))) == "unsupported_format"
    assert reason(look(dicom(np.full((8, 8), 7)))) == "blank_image"
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


def test_larger_films_are_kept_at_the_size_that_was_asked_for(tmp_path: Path) -> None:
    film = Image.linear_gradient("L").resize((300, 200))
    (tmp_path / "film.png").write_bytes(encoded(film, "PNG"))
    (tmp_path / "film.dcm").write_bytes(dicom(np.tile(RAMP, (4, 4))))
    for name, size in (("film.png", (100, 67)), ("film.dcm", (100, 100))):
        admitted = accepted(admit(tmp_path / name, tmp_path, tmp_path / "store" / "images", longest_side=100))
        assert stored(tmp_path, admitted).size == size
    as_it_is = accepted(admit(tmp_path / "film.png", tmp_path, tmp_path / "store" / "images", longest_side=300))
    assert as_it_is.ref.path == "../film.png"


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
    grey = to_grey8(pixels, Rendering(inverted=inverted))
    assert not isinstance(grey, Refusal)
    assert grey.window is None
    order = np.argsort(pixels[0], kind="stable")
    steps = np.diff(grey.pixels[0][order].astype(int))
    assert (steps <= 0).all() if inverted else (steps >= 0).all()
    assert {grey.pixels.min(), grey.pixels.max()} == {0, 255}
