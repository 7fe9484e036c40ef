"""Compressed DICOM pixels in a process of their own: the same pixels, and an end when the time is up."""

import io
import pickle
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless
from tenstep.data.child import framed, serve
from tenstep.data.films import pixels
from tenstep.data.intake.deadline import TooSlowError
from tenstep.data.intake.decoder import Decoder, decoder, decoding, pixels_of
from tenstep.schemas.errors import ImageError
from test_data_images import RAMP, dicom, encoded

DEEP = (np.arange(64 * 64, dtype=np.uint16) % 4096).reshape(64, 64)


def film() -> bytes:
    """A DICOM file with JPEG 2000 pixels of 16 bits."""
    frame = encoded(Image.fromarray(DEEP), "JPEG2000", no_jp2=True)
    return dicom(DEEP, JPEG2000Lossless, PixelData=encapsulate([frame]))


@pytest.fixture
def own() -> Iterator[Decoder]:
    found = Decoder()
    yield found
    found.close()


def test_pixels_are_those_that_pydicom_decodes(own: Decoder) -> None:
    pytest.importorskip("openjpeg")
    dataset = pydicom.dcmread(io.BytesIO(film()))
    found = own.decode(film(), correct_unused_bits=False, seconds=30)
    assert found.dtype == np.uint16 and np.array_equal(found, DEEP)
    assert np.array_equal(pixels_of(dataset, film()), dataset.pixel_array)
    process = own._process
    own.decode(film(), correct_unused_bits=True, seconds=30)
    assert own._process is process  # one for all


def test_damaged_pixels_are_an_error_and_the_next_film_is_decoded(own: Decoder) -> None:
    pytest.importorskip("openjpeg")
    with pytest.raises(ValueError, match=r"\w"):
        own.decode(film()[:-400], correct_unused_bits=False, seconds=30)
    assert own.decode(film(), correct_unused_bits=False, seconds=30).shape == (64, 64)


@pytest.mark.parametrize("thread", [False, True])
def test_a_decoder_that_hangs_is_ended(thread: bool) -> None:
    """One call of a compiled library, which no signal of Python interrupts: so with a process that says nothing."""
    hung = Decoder([sys.executable, "-c", "import sys, time; sys.stdin.buffer.read(9); time.sleep(600)"])
    caught: list[BaseException] = []

    def decode() -> None:
        try:
            hung.decode(b"some bytes", correct_unused_bits=False, seconds=0.3)
        except TooSlowError as error:
            caught.append(error)

    start = time.monotonic()
    if thread:
        worker = threading.Thread(target=decode)
        worker.start()
        worker.join(20)
    else:
        decode()
    assert len(caught) == 1 and time.monotonic() - start < 15
    assert hung._process is None


def test_a_decoder_that_dies_is_an_error_of_its_film() -> None:
    dying = Decoder([sys.executable, "-c", "import sys; sys.stdin.buffer.read(9)"])
    with pytest.raises(ValueError, match="the decoder ended"):
        dying.decode(b"some bytes" * 100_000, correct_unused_bits=False, seconds=30)


def test_the_process_answers_until_there_is_nothing_more_to_do() -> None:
    messages = [pickle.dumps(decoding), b"\0" + dicom(RAMP), b"\0no film"]
    answers = io.BytesIO()
    serve(io.BytesIO(b"".join(map(framed, messages))), answers)
    held = answers.getvalue()
    length = int.from_bytes(held[:8], "big")
    assert np.array_equal(np.load(io.BytesIO(held[8 : 8 + length])), RAMP)
    assert b"pixel" in held[8 + length + 8 :]  # why not


def test_a_compressed_film_is_shown_to_a_reader(tmp_path: Path) -> None:
    pytest.importorskip("openjpeg")
    (tmp_path / "film.dcm").write_bytes(film())
    assert pixels(tmp_path / "film.dcm").bits == 16
    (tmp_path / "cut.dcm").write_bytes(film()[:-400])
    with pytest.raises(ImageError):
        pixels(tmp_path / "cut.dcm")
    decoder().close()
