"""The review page in a real browser: hostile text stays inert, filters and keys work, nothing is requested."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from page_parts import browser_only, contrast, tab_of, visible
from tenstep.curation.pages.review import page
from tenstep.data.demo.phantom import phantom
from tenstep.data.demo.words import report
from tenstep.schemas.attribution import Attributed
from tenstep.schemas.candidate import Candidate
from tenstep.schemas.layout import parse
from tenstep.schemas.study import ImageRef, Study
from tenstep.schemas.verdict import Finding, Verdict

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVIL = (
    "<img src=x onerror=alert(1)> </script><script>alert(2)</script> <a href='javascript:alert(3)'>here</a> "
    "\"><svg onload=alert(4)> <iframe src='https://example.org/'></iframe> abc\u202egnp.exe\u202c "
    "<style>*{display:none}</style> <meta http-equiv=refresh content='0;url=https://example.org/'>"
)

pytestmark = browser_only


def candidate(about: Study, key: int, text: str, **fields: object) -> Candidate:
    values = {
        "key": f"{key:064x}", "study_id": about.id, "author": "teacher", "teacher": "scripted", "model": "none",
        "prompt_id": "informed@1", "prompt_sha256": "0" * 64, "saw_image": False, "writes_report": False, "text": text,
        "trace": parse(text), "started_at": 0.0, "seconds": 0.1,
    }  # fmt: skip
    return Candidate.model_validate(values | fields)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty studies: the first is hostile, every fourth was repaired, every fifth is rejected."""
    folder = tmp_path_factory.mktemp("page")
    items = []
    for seed in range(40):
        film, truth = phantom(seed, 64)
        film.save(folder / f"{seed}.png")
        ref = ImageRef(path=str(folder / f"{seed}.png"), view=truth.view, sha256="0" * 64, width=64, height=64)
        about = Study(
            id=f"demo/{seed}", patient_id="p", source="demo", data_class="public", images=(ref,),
            report=EVIL if seed == 0 else report(truth), report_form="four-header",
        )  # fmt: skip
        ten = "\n".join(f"{n}. {EVIL if seed == 0 else 'The film is read.'}" for n in range(1, 11))
        wrong = Finding(
            rule="grounding", code="wrong_side", severity="error", step=2, span=(4, 8), message=EVIL, evidence=EVIL
        )
        first = candidate(about, 10 * seed + 1, ten, reasoning=EVIL if seed == 0 else None)
        second = candidate(about, 10 * seed + 2, ten + " ", attempt=2, parent=first.key)
        if seed % 5 == 0:
            attempts = [(first, Verdict(findings=(wrong,)))]
        elif seed % 4 == 0:
            attempts = [(first, Verdict(findings=(wrong,))), (second, Verdict())]
        else:
            attempts = [(first, Verdict())]
        items.append((about, attempts))
    out = folder / "review.html"
    known = {
        f"{10 * seed + 1:064x}": Attributed(rank=40 - seed, study="", key="", before=2.0, after=seed / 10)
        for seed in range(2, 40)
    }
    pieces = page(items, title="Browser", path_of=lambda ref: Path(ref.path), attribution=known)
    out.write_text("".join(pieces), encoding="utf-8")
    return out


@pytest.fixture
def opened(browser: "Browser", file: Path) -> Iterator["Page"]:
    """The page; the test fails on any trouble that its tab sees."""
    with tab_of(browser, file) as tab:
        yield tab


def test_hostile_text_is_read_and_not_obeyed(opened: "Page") -> None:
    first = opened.locator("article").first
    assert "<img src=x onerror=alert(1)>" in first.inner_text()
    assert "javascript:alert(3)" in first.inner_text()
    assert first.locator("img").count() == 1  # the film
    assert (
        opened.locator(
            "article a, article script, article iframe, article svg, article style, meta[content*=url]"
        ).count()
        == 0
    )
    assert first.locator(".hidden-char", has_text="U+202E").count() > 0
    assert "\u202e" not in (opened.locator("body").text_content() or "")


def test_an_injected_script_is_stopped_by_the_policy(browser: "Browser", file: Path, tmp_path: Path) -> None:
    """Even if a tag slipped through, the browser would refuse it: the check that the policy itself works."""
    broken = tmp_path / "broken.html"
    source = file.read_text("utf-8")
    broken.write_text(
        source.replace(
            "<main>", "<main><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
        )
    )
    tab = browser.new_page()
    refused: list[str] = []
    tab.on("console", lambda line: refused.append(line.text))
    tab.goto(broken.as_uri())
    tab.wait_for_timeout(200)
    assert tab.title() == "Browser"
    assert any("Content Security Policy" in line for line in refused)
    tab.close()


def test_films_are_shown(opened: "Page") -> None:
    opened.locator("article").nth(1).scroll_into_view_if_needed()
    opened.wait_for_function("document.querySelectorAll('article img')[1].naturalWidth === 64")


def test_studies_are_sorted_by_a_students_loss_and_back(opened: "Page") -> None:
    def ids() -> list[int]:
        return [int(name.strip().removeprefix("demo/")) for name in opened.locator("article h2").all_text_contents()]

    assert ids() == list(range(40))
    opened.get_by_label("Order").select_option("loss")
    assert ids() == [*range(39, 1, -1), 0, 1]  # of the first two no loss is known
    opened.keyboard.press("Escape")
    opened.locator("body").press("j")
    assert "demo/39" in opened.evaluate("document.activeElement.textContent")
    opened.get_by_label("Order").select_option("")
    assert ids() == list(range(40))


def test_buttons_filter_by_status(opened: "Page") -> None:
    assert visible(opened) == 40
    for name, count in (("Accepted", 32), ("of them after repair", 8), ("Rejected", 8), ("All", 40)):
        opened.get_by_role("button", name=name).click()
        assert visible(opened) == count
        assert opened.locator("#count").inner_text() == f"{count} shown"
        assert opened.get_by_role("button", name=name).get_attribute("aria-pressed") == "true"


def test_finding_and_search_narrow_further(opened: "Page") -> None:
    opened.locator("#code").select_option("wrong_side")
    assert visible(opened) == 16
    opened.locator("#search").fill("demo/4 repair")
    assert opened.locator("article:not([hidden]) h2").all_text_contents() == ["demo/4"]
    opened.locator("#search").fill("no such words")
    assert visible(opened) == 0
    assert opened.locator("#none").is_visible()
    opened.keyboard.press("Escape")
    assert visible(opened) == 40
    assert opened.locator("#code").input_value() == ""


def test_keys_walk_through_what_is_shown(opened: "Page") -> None:
    opened.get_by_role("button", name="Rejected").click()
    where = "document.activeElement.id"
    for key, place in (("j", "s1"), ("j", "s6"), ("j", "s11"), ("k", "s6"), ("k", "s1"), ("k", "s1")):
        opened.keyboard.press(key)
        assert opened.evaluate(where) == place
    opened.keyboard.press("j")
    assert opened.locator("#s6").evaluate("card => card.getBoundingClientRect().top") < 120
    opened.keyboard.press("/")
    assert opened.evaluate(where) == "search"
    opened.keyboard.type("jk")
    assert opened.locator("#search").input_value() == "jk"


def test_print_opens_every_attempt_and_drops_the_controls(opened: "Page") -> None:
    opened.locator("#s2 summary").first.click()
    assert opened.locator("#s2 details").first.get_attribute("open") is None
    opened.emulate_media(media="print")
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.locator("#s2 details").first.get_attribute("open") is not None
    assert not opened.locator("#search").is_visible()


def test_dark_and_light_have_readable_contrast(opened: "Page") -> None:
    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of two
        for name in ("--ink", "--quiet", "--error", "--warning", "--good", "--accent"):
            colours = opened.evaluate(
                """name => ["--card", name].map(n => {
                     const probe = document.createElement("i"); document.body.append(probe);
                     const all = getComputedStyle(document.documentElement);
                     probe.style.color = all.getPropertyValue(n);
                     const found = getComputedStyle(probe).color.match(/[0-9]+/g).map(Number);
                     probe.remove(); return found; })""",
                name,
            )
            assert contrast(*colours) >= 4.5, (scheme, name)
