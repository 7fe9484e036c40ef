"""The audit page, as text and in a real browser: complete, inert, filtered by what is chosen in its plots."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from page_parts import Tags, browser_only, contrast, tab_of, visible
from tenstep.curation.audit import audit
from tenstep.curation.auditing.examples import ALL, Examples
from tenstep.curation.auditing.page import page
from tenstep.data.charts import Bar, band, bars, columns, heat, rounded_up
from tenstep.validators.rule import REFERENCE, ten

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVIL = (
    "<img src=x onerror=alert(1)> </script><script>alert(2)</script> <a href='javascript:alert(3)'>here</a> "
    "\"><svg onload=alert(4)> <iframe src='https://example.org/'></iframe> abc\u202egnp.exe\u202c </style> $title"
)


def dataset(path: Path, rows: int = 40) -> Path:
    """Every fifth has nine steps, every fourth invents an effusion; the first is hostile."""
    lines = []
    for number in range(rows):
        text = ten()
        if number % 5 == 1:
            text = text.replace("10. ", "")
        elif number % 4 == 1:
            text = ten({6: "Pleura: there is a large left pleural effusion."})
        row = {
            "id": f"row {number}",
            "text": text,
            "reference_report": REFERENCE,
            "split": "train" if number % 2 else EVIL,
        }
        if number == 0:
            row |= {"id": EVIL, "text": ten({5: EVIL}, report=EVIL), "reference_report": EVIL, "patient_id": EVIL}
        lines.append(json.dumps(row))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def drawn(*paths: Path) -> str:
    audits = [
        audit(path, Examples(path.name if len(paths) > 1 else "", first=1 + at * 1_000))
        for at, path in enumerate(paths)
    ]
    try:
        return "".join(page(audits))
    finally:
        for one in audits:
            one.close()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return drawn(dataset(tmp_path_factory.mktemp("page") / "traces.jsonl"))


def test_the_page_says_the_numbers(source: str) -> None:
    text = " ".join("".join(Tags(source).text).split())
    for said in (
        "Audit of traces.jsonl", "40 traces", "accepted", "Where traces stop", "What was found", "step_count",
        "What each step claims", "How early the conclusion is given away", "What is copied", "Templates",
        "Findings of the references", "Sentences that stand most often", "In two splits", "Every trace is here.",
        "Silent is not false",
    ):  # fmt: skip
        assert said in text, said


def test_offending_words_are_marked_and_the_reference_stands_beside(source: str) -> None:
    card = next(part for part in source.split("<article")[1:] if ">row 5</span>" in part)
    assert re.search(r'<mark class="doubt">[^<]*pleural effusion', card)
    reference = card.split('class="text report">')[1].split("</div>")[0]
    assert '<mark class="doubt">No pleural effusion or pneumothorax.</mark><sup>1</sup>' in reference


def test_hostile_text_adds_no_tag_and_no_attribute(source: str, tmp_path: Path) -> None:
    calm = tmp_path / "calm.jsonl"
    calm.write_text(json.dumps({"id": "a", "text": ten(), "reference_report": REFERENCE}))
    plain = drawn(calm)
    assert {tag for tag, _ in Tags(source).tags} & {"a", "img", "iframe", "form", "object", "base", "link"} == set()
    for tag in ("script", "style", "meta", "title>"):
        bare = re.sub(r"<svg.*?</svg>", "", source, flags=re.S), re.sub(r"<svg.*?</svg>", "", plain, flags=re.S)
        assert bare[0].count(f"<{tag}") == bare[1].count(f"<{tag}")
    for _, attributes in Tags(source).tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("href", "style", "srcdoc")]
    assert "\u202e" not in source


def test_the_policy_allows_our_style_and_script_alone_and_nothing_names_a_network(source: str, tmp_path: Path) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', source)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy[1]
    calm = tmp_path / "calm.jsonl"
    calm.write_text(json.dumps({"id": "a", "text": ten(), "reference_report": REFERENCE}))
    assert not re.search(r"https?:|//[a-z]", re.sub(r"// .*", "", drawn(calm)))


def test_several_datasets_stand_side_by_side(tmp_path: Path) -> None:
    one, two = dataset(tmp_path / "one.jsonl"), dataset(tmp_path / "two.jsonl", 12)
    found = drawn(one, two)
    text = " ".join("".join(Tags(found).text).split())
    assert "Audit of one.jsonl and two.jsonl" in text
    assert "difference to the first, 95 % interval" in text
    assert found.count("<article") == 52
    assert len(set(re.findall(r'id="(s\d+)"', found))) == 52
    assert 'data-authors="|two.jsonl|"' in found


def test_a_dataset_is_shown_whole_up_to_a_number_of_rows(tmp_path: Path) -> None:
    assert drawn(dataset(tmp_path / "all.jsonl", ALL)).count("<article") == ALL


def test_a_large_dataset_shows_a_sample_with_every_code(tmp_path: Path) -> None:
    path = dataset(tmp_path / "many.jsonl", ALL + 200)
    found = drawn(path)
    assert 20 <= found.count("<article") <= 60
    assert "step_count" in "".join(re.findall(r'data-codes="([^"]*)"', found))
    assert f"of {ALL + 200:,} traces" in found
    assert drawn(path) == found


def test_an_empty_chart_is_drawn() -> None:
    assert "<svg" in bars("t", [], 0)
    assert "<svg" in heat("t", [])
    assert "<svg" in columns("t", [[("good", 0.0, "")]] * 10, top=0, unit="")
    assert "<svg" in band("t", [(0, 0, 0)] * 10, top=0, unit="")


def test_labels_of_charts_are_escaped() -> None:
    evil = '"><script>'
    source = bars(evil, [Bar(evil, (("good", 1),), evil, code=evil, hint=evil)], 1) + heat(
        evil, [(evil, "error", [1] * 10)]
    )
    assert "<script>" not in source
    assert source.count("&quot;&gt;&lt;script&gt;") > 5


@pytest.mark.parametrize(
    ("value", "edge"), [(0, 1), (0.7, 0.8), (1, 1), (1.2, 1.5), (7, 8), (23, 30), (99, 100), (101, 150)]
)
def test_scales_end_at_round_numbers(value: float, edge: float) -> None:
    assert rounded_up(value) == pytest.approx(edge)
    assert rounded_up(0.07, share=True) == 0.1


# in a browser


@pytest.fixture
def opened(browser: "Browser", source: str, tmp_path: Path) -> Iterator["Page"]:
    """The page; the test fails on any trouble that its tab sees."""
    file = tmp_path / "audit.html"
    file.write_text(source, encoding="utf-8")
    with tab_of(browser, file) as tab:
        yield tab


class TestInABrowser:
    pytestmark = browser_only

    def test_hostile_text_is_read_and_not_obeyed(self, opened: "Page") -> None:
        first = opened.locator("article").first  # far from the window, so it is not laid out and has no inner text
        assert "<img src=x onerror=alert(1)>" in (first.text_content() or "")
        assert opened.locator("a, iframe, img, main svg, main script").count() == 0
        assert opened.title().startswith("Audit of")

    def test_a_bar_filters_the_examples_by_mouse_and_by_key(self, opened: "Page") -> None:
        assert visible(opened) == 40
        opened.locator(".plots [data-code=step_count]").first.click()
        assert opened.locator("#code").input_value() == "step_count"
        assert visible(opened) == 8
        assert opened.locator("#examples").evaluate("bar => bar.getBoundingClientRect().top") < 90
        opened.keyboard.press("Escape")
        assert visible(opened) == 40
        opened.locator(".plots [data-code=step_count]").last.focus()
        opened.keyboard.press("Enter")
        assert visible(opened) == 8

    def test_keys_walk_search_and_go_to_the_top(self, opened: "Page") -> None:
        opened.get_by_role("button", name="Accepted").click()
        others = (opened.locator(f"[data-show={name}] b").inner_text() for name in ("doubted", "rejected"))
        assert visible(opened) + sum(map(int, others)) == 40
        opened.keyboard.press("j")
        assert opened.evaluate("document.activeElement.tagName") == "ARTICLE"
        opened.keyboard.press("t")
        assert opened.evaluate("scrollY") == 0
        opened.keyboard.press("/")
        opened.keyboard.type("row 33")
        assert visible(opened) <= 1

    def test_every_plot_is_inside_the_window_at_any_width(self, opened: "Page") -> None:
        for width in (1500, 900, 380):
            opened.set_viewport_size({"width": width, "height": 900})
            assert opened.evaluate("document.documentElement.scrollWidth") <= width
            assert opened.locator("svg").first.evaluate("chart => chart.getBoundingClientRect().width") > 250

    def test_labels_do_not_run_out_of_their_charts(self, opened: "Page") -> None:
        outside = opened.evaluate("""() => Array.from(document.querySelectorAll("svg")).flatMap((chart) => {
          const box = chart.getBoundingClientRect();
          return Array.from(chart.querySelectorAll("text")).filter((label) => {
            const own = label.getBoundingClientRect();
            return own.left < box.left - 1 || own.right > box.right + 1;
          }).map((label) => label.textContent); })""")
        assert outside == []

    def test_print_keeps_the_plots_and_drops_the_controls(self, opened: "Page") -> None:
        opened.emulate_media(media="print")
        assert opened.locator(".plots svg").first.is_visible()
        assert not opened.locator("#search").is_visible()
        assert len(opened.pdf()) > 20_000

    def test_dark_and_light_have_readable_contrast(self, opened: "Page") -> None:
        for scheme in ("light", "dark"):
            opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of two
            for text in ("svg .label", "svg .number", ".lead", ".tile", ".legend"):
                colours = opened.evaluate(
                    """(selector) => { const found = getComputedStyle(document.querySelector(selector));
                       const card = getComputedStyle(document.querySelector(selector === ".lead" ? "body" : ".chart"));
                       const ink = selector.startsWith("svg") ? found.fill : found.color;
                       return [ink, card.backgroundColor].map((c) => c.match(/[0-9.]+/g).slice(0, 3).map(Number)); }""",
                    text,
                )
                assert contrast(*colours) >= 4.5, (scheme, text)
