"""Images decoded in a process of their own: the same pictures, and an end when the time is up."""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless
from tenstep.data.films import pixels
from tenstep.data.intake.decoder import DecodeError, Decoder, decoder
from tenstep.data.intake.images import decode
from tenstep.data.intake.reports import Refusal
from tenstep.schemas.errors import ImageError
from test_data_images import dicom, encoded

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


def test_one_process_decodes_all_and_damage_is_a_reason(own: Decoder) -> None:
    pytest.importorskip("openjpeg")
    assert own.run(decode, film()) == decode(film())
    process = own._process
    refused = own.run(decode, film()[:-400])
    assert isinstance(refused, Refusal) and refused.reason == "unreadable_image"
    with pytest.raises(DecodeError, match="no such thing"):
        own.run(int, "no such thing")
    assert own.run(decode, film()) == decode(film())
    assert own._process is process


@pytest.mark.parametrize("thread", [False, True])
def test_a_decoder_that_hangs_is_ended(thread: bool) -> None:
    """One call of a compiled library, which no signal of Python interrupts: so with a process that says nothing."""
    hung = Decoder([sys.executable, "-c", "import sys, time; sys.stdin.buffer.read(9); time.sleep(600)"])
    caught: list[DecodeError] = []

    def run() -> None:
        try:
            hung.run(decode, b"some bytes", seconds=0.3)
        except DecodeError as error:
            caught.append(error)

    start = time.monotonic()
    if thread:
        worker = threading.Thread(target=run)
        worker.start()
        worker.join(20)
    else:
        run()
    assert [error.reason for error in caught] == ["slow_image"] and time.monotonic() - start < 15
    assert hung._process is None


def test_a_decoder_that_dies_is_an_error_of_its_film() -> None:
    dying = Decoder([sys.executable, "-c", "import sys; sys.stdin.buffer.read(9)"])
    with pytest.raises(DecodeError, match="its decoder crashed"):
        dying.run(decode, b"some bytes" * 100_000)


def test_a_decoder_that_was_ended_between_films_is_started_again(own: Decoder) -> None:
    own.run(len, b"film")
    ended = own._process
    assert ended is not None and ended.stdin is not None and ended.stdout is not None
    ended.kill()
    ended.wait()
    assert own.run(len, b"film") == 4
    assert ended.stdin.closed and ended.stdout.closed


def test_a_compressed_film_is_shown_to_a_reader(tmp_path: Path) -> None:
    pytest.importorskip("openjpeg")
    (tmp_path / "film.dcm").write_bytes(film())
    assert pixels(tmp_path / "film.dcm").bits == 16
    (tmp_path / "cut.dcm").write_bytes(film()[:-400])
    with pytest.raises(ImageError):
        pixels(tmp_path / "cut.dcm")
    decoder().close()
