"""What tests of pages share: a reader of tags, and a tab of the system's browser in which any trouble is a failure."""

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

browser_only = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed"),
]


class Tags(HTMLParser):
    """Every tag and attribute, and the text between them."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@contextmanager
def tab_of(browser: "Browser", file: Path) -> Iterator["Page"]:
    """A page from disk; fails at the end on any dialog, script error, blocked resource or request beyond the file."""
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    tab = context.new_page()
    trouble: list[str] = []
    tab.on("dialog", lambda dialog: (trouble.append(f"dialog {dialog.message}"), dialog.dismiss()))
    tab.on("pageerror", lambda error: trouble.append(f"error {error}"))
    tab.on("console", lambda line: trouble.append(f"console {line.text}"))
    tab.on("request", lambda request: trouble.append(request.url) if request.url.split(":")[0] != "file" else None)
    tab.goto(file.as_uri())
    yield tab
    tab.wait_for_timeout(100)
    assert trouble == []
    assert tab.url.split("#")[0] == file.as_uri()
    context.close()


def visible(tab: "Page") -> int:
    """Cards that no filter hides."""
    return tab.locator("article:not([hidden])").count()


def contrast(one: list[float], other: list[float]) -> float:
    """Contrast of two sRGB colours of 0 to 255, from 1 to 21 (WCAG 2)."""
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _luminance(colour: list[float]) -> float:
    """Relative luminance of sRGB (WCAG 2)."""
    linear = [c / 255 / 12.92 if c / 255 <= 0.03928 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
