"""Images on their way to a teacher: what is in them, what is not, and how large they are."""

import base64
import hashlib
import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from servers.studies import make_image
from tenstep.curation.clients.images import encode
from tenstep.data.intake.images import Admitted, admit
from tenstep.schemas.errors import ImageError
from tenstep.schemas.study import ImageRef


def pixels(data: bytes) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L"))


def sent(ref: ImageRef, max_side: int = 1000) -> tuple[str, bytes]:
    encoded = encode(Path(ref.path), ref, max_side)
    return encoded.media_type, base64.b64decode(encoded.base64)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_small_image_goes_with_the_pixels_that_it_has(form: str, tmp_path: Path) -> None:
    ref = make_image(tmp_path, format=form)
    media_type, data = sent(ref)
    assert media_type == f"image/{form.lower()}"
    assert (pixels(data) == pixels(Path(ref.path).read_bytes())).all()


def test_metadata_stays_here(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("PatientName", "CANARY^NAME")
    text.add_itxt("Comment", "CANARY^NAME")
    exif = Image.Exif()
    exif[0x010E] = "CANARY^NAME"
    refs = [
        make_image(tmp_path, format="PNG", pnginfo=text),
        make_image(tmp_path, format="JPEG", comment=b"CANARY^NAME", exif=exif),
        make_image(tmp_path, format="JPEG", exif=exif, width=400, height=300),
        make_image(tmp_path, format="PNG", exif=exif),
        make_image(tmp_path, format="TIFF", description="CANARY^NAME"),
    ]
    for ref in refs:
        before = Path(ref.path).read_bytes()
        assert b"CANARY" in before
        _, data = sent(ref, 200)
        assert b"CANARY" not in data
        assert pixels(data).any()


@pytest.mark.parametrize("progressive", [False, True])
def test_what_was_put_behind_the_end_stays_here(progressive: bool, tmp_path: Path) -> None:
    for form in ("JPEG", "PNG"):
        save = {"progressive": True, "restart_marker_blocks": 2} if form == "JPEG" and progressive else {}
        ref = make_image(tmp_path, width=200, height=100, format=form, **save)
        path = Path(ref.path)
        before = path.read_bytes()
        path.write_bytes(before + b"CANARY^NAME\xff\xd9")
        ref = ref.model_copy(update={"sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
        _, data = sent(ref)
        assert b"CANARY" not in data
        assert (pixels(data) == pixels(before)).all()


def test_an_image_with_more_bytes_than_providers_take_is_encoded_again(tmp_path: Path) -> None:
    ref = make_image(tmp_path, width=2000, height=2000)
    assert Path(ref.path).stat().st_size > 3_900_000
    media_type, data = sent(ref, 2000)
    assert media_type == "image/jpeg" and len(data) < 3_700_000
    assert pixels(data).shape == (2000, 2000)


@pytest.mark.parametrize(("width", "height"), [(300, 200), (200, 300), (100, 300)])
def test_a_large_image_is_made_smaller_and_keeps_its_shape(width: int, height: int, tmp_path: Path) -> None:
    media_type, data = sent(make_image(tmp_path, width=width, height=height), 100)
    rows, columns = pixels(data).shape
    assert media_type == "image/jpeg" and max(rows, columns) == 100
    assert abs(columns / rows - width / height) < 0.02


def test_no_image_is_made_larger(tmp_path: Path) -> None:
    assert pixels(sent(make_image(tmp_path, width=60, height=40), 8000)[1]).shape == (40, 60)


def test_an_image_that_exif_turns_is_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be shown a quarter turn to the right
    for form in ("JPEG", "PNG"):
        assert pixels(sent(make_image(tmp_path, width=60, height=40, format=form, exif=exif))[1]).shape == (60, 40)


def test_an_image_that_has_changed_since_ingest_is_not_sent(tmp_path: Path) -> None:
    ref, other = make_image(tmp_path), make_image(tmp_path)
    Path(ref.path).write_bytes(Path(other.path).read_bytes())
    with pytest.raises(ImageError, match="not the one that was ingested"):
        encode(Path(ref.path), ref, 1000)


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    ref = make_image(tmp_path)
    Path(ref.path).unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        encode(Path(ref.path), ref, 1000)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF"])
def test_a_file_that_is_cut_or_no_image_is_one_line(form: str, tmp_path: Path) -> None:
    whole = Path(make_image(tmp_path, width=400, height=300, format=form).path).read_bytes()
    for content in (whole[: len(whole) // 2], whole[:20], b"<svg/>"):
        path = tmp_path / "cut"
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        ref = ImageRef(path=str(path), sha256=digest, width=400, height=300)
        with pytest.raises(ImageError):
            encode(path, ref, 100)


def with_exif(data: bytes, block: bytes) -> bytes:
    """A JPEG with an EXIF block of any length, in as many segments as it takes."""
    parts = [b"Exif\0\0" + block[at : at + 65_000] for at in range(0, len(block), 65_000)]
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)
    return data[:2] + segments + data[2:]


def long_exif(length: int, **tags: int) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "x" * length
    for tag in tags.values():
        exif[0x0112] = tag
    return exif.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("block", [long_exif(200_000), long_exif(9), b"x" * 70_000, b"MM\0*" + b"\xff" * 90, b"II"])
def test_what_ingest_admits_with_odd_exif_can_be_sent(block: bytes, tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((600, 400)).save(stream, "JPEG")
    (tmp_path / "image.jpg").write_bytes(with_exif(stream.getvalue(), block))
    admitted = admit(tmp_path / "image.jpg", tmp_path, tmp_path / "store" / "images")
    assert isinstance(admitted, Admitted), admitted
    for longest in (200, 5000):
        sent = encode(tmp_path / "image.jpg", admitted.ref, longest)
        with Image.open(io.BytesIO(base64.b64decode(sent.base64))) as image:
            assert image.size == (min(600, longest), min(400, round(longest * 2 / 3)))
        assert b"xxx" not in base64.b64decode(sent.base64)


def test_a_long_exif_block_that_turns_the_picture_is_obeyed(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((60, 40)).save(stream, "JPEG")
    (tmp_path / "image.jpg").write_bytes(with_exif(stream.getvalue(), long_exif(100_000, turn=6)))
    admitted = admit(tmp_path / "image.jpg", tmp_path, tmp_path / "store" / "images")
    assert isinstance(admitted, Admitted), admitted
    assert (admitted.ref.width, admitted.ref.height) == (40, 60)
