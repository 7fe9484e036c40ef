"""The laws of the target layouts: what is written is read again, and reading loses nothing."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tenstep.schemas.errors import LayoutError
from tenstep.schemas.layout import parse, write
from tenstep.schemas.trace import Trace

STEPS = [f"Region {number}: nothing abnormal is seen." for number in range(1, 11)]
PLAIN = write(STEPS, "Findings: Clear.")

TRICKY_LINES = (
    "1. No effusion.",
    "2. Heart size normal.",
    "10. Last.",
    "11. Looks like one more step.",
    "  3. Indented.",
    "",
    "   ",
    "___ year old with ___.",
    "4.2 cm nodule",
    "Technique: Chest.",
    "Impression:",
    "FINAL REPORT",
    "<<REASONING_10_STEPS>>",
    "<<END_REASONS>>",
    "<<REPORT_VERBATIM>>",
    "<<END_REPORT>>",
    "    <<END_REPORT>>  ",
    "{",
    '{"step_01": "x"}',
    "```",
    "\\_\\_\\_",
    "\ufeffFindings:",
)

lines = st.one_of(st.sampled_from(TRICKY_LINES), st.text(max_size=20))
breaks = st.sampled_from(["\n", "\n", "\r\n", "\n\n", "\r"])
tricky_text = st.lists(st.tuples(lines, breaks), max_size=12).map(lambda parts: "".join(map("".join, parts)))
reports = tricky_text.filter(lambda text: bool(text.strip()))  # a study without a reference does not exist
step_texts = (
    st.one_of(lines, st.text(min_size=1, max_size=60))
    .map(lambda text: " ".join(re.split(r"[\r\n]", text)).strip())
    .filter(bool)
)
ten_steps = st.lists(step_texts, min_size=10, max_size=10)
layouts = st.sampled_from(["plain", "tagged"])


@given(ten_steps, reports, layouts)
@example(STEPS, "Impression:\n1. No effusion.\n2. Normal heart.", "plain")
@example(STEPS, "11. A report that looks like a step.", "plain")
@example(STEPS, "1. A report that looks like a step.\r\n\r\n2. Another.\r\n", "plain")
@example(STEPS, "\n\n  ___ male with cough.\n\n", "plain")
@example(STEPS, "quoted\n<<END_REPORT>>\nand on\n<<REPORT_VERBATIM>>\n", "tagged")
@example(STEPS, "<<REASONING_10_STEPS>>\n1. x\n<<END_REASONS>>", "plain")
def test_what_is_written_is_read_again(steps: list[str], report: str, layout: str) -> None:
    trace = parse(write(steps, report, layout))  # type: ignore[arg-type]  # sampled from the literal's values
    assert list(trace.texts) == steps
    assert [step.number for step in trace.steps] == list(range(1, 11))
    assert trace.report == report
    assert (trace.preamble, trace.between, trace.trailer) == ("", "", "")
    assert trace.layout == layout


def in_the_wild(text: str) -> str:
    """The tagged form as markdown editors leave it: escaped, and the last tag indented."""
    text = re.sub(r"([\\`*_{}\[\]()#+\-!>~|])", r"\\\1", text)
    text = re.sub(r"(?m)^<<(.*?)\\>\\>$", r"<\\<\1>>", text)
    before, last = text.rsplit("\n", 1)
    return f"{before}\n    {last}"


@given(ten_steps, reports)
@example(STEPS, "FINAL REPORT\n ___ with (mild) cough*.\n")
def test_the_escaped_wild_form_reads_to_the_same_steps_and_report(steps: list[str], report: str) -> None:
    trace = parse(in_the_wild(write(steps, report, "tagged")))
    assert trace.escaped
    assert list(trace.texts) == steps
    assert trace.report == report


MARKER = re.compile(r"[0-9]{1,2}\.|<<(?:REASONING_10_STEPS|END_REASONS|REPORT_VERBATIM|END_REPORT)>>")


def assert_nothing_lost(text: str, trace: Trace) -> None:
    """Every word of the text stands in the trace, in the same order; only step numbers and tags may be gone."""
    parts = (trace.preamble, *trace.texts)
    if trace.layout == "plain":
        parts = (*parts, trace.report or "")
        kept = " ".join(parts).split()
        at = 0
        for word in text.split():
            if at < len(kept) and word == kept[at]:
                at += 1
            else:
                assert MARKER.fullmatch(word), f"{word!r} is lost"
        assert at == len(kept), "words that the text does not have"
        return
    kept = sorted(" ".join((*parts, trace.between, trace.report or "", trace.trailer)).split())
    for word in text.split():
        if word in kept:
            kept.remove(word)
        else:
            assert MARKER.fullmatch(word), f"{word!r} is lost"
    assert not kept, "words that the text does not have"


numbered = st.tuples(st.integers(0, 12), st.text(max_size=10)).map(lambda pair: f"{pair[0]}. {pair[1]}")
messy = st.lists(st.tuples(st.one_of(numbered, lines), breaks), max_size=25).map(lambda p: "".join(map("".join, p)))


@given(messy)
@example("<<REASONING_10_STEPS>>\nhm\n1. a\n\nstray\n<<END_REASONS>>\nx\n<<REPORT_VERBATIM>>\nr\n<<END_REPORT>>\ny")
@example("<<REASONING_10_STEPS>>\n1. a\n<<REPORT_VERBATIM>>\n<<END_REPORT>>")
def test_nothing_of_any_text_is_lost_and_nothing_but_a_layout_error_is_raised(text: str) -> None:
    try:
        trace = parse(text)
    except LayoutError:
        assert text.lstrip().startswith("{")
        return
    if trace.layout != "json" and not trace.escaped:
        assert_nothing_lost(text, trace)


@given(st.text(alphabet=st.characters(), max_size=60))
def test_no_text_at_all_raises_anything_but_a_layout_error(text: str) -> None:
    for whole in (text, "{" + text, '{"step_01": "' + text + '"}', "1. " + text):
        try:
            parse(whole)
        except LayoutError as error:
            assert "\n" not in str(error)


def test_wrapped_lines_join_their_step_and_a_measurement_is_no_step() -> None:
    text = "1. A nodule in the right upper lobe that measures\n4.2 cm, seen on one view only.\n2. Clear."
    assert parse(text).texts == (
        "A nodule in the right upper lobe that measures 4.2 cm, seen on one view only.",
        "Clear.",
    )


def test_a_number_on_a_wrapped_line_is_no_step_though_a_dot_and_a_space_follow_it() -> None:
    text = "1. The endotracheal tube ends above the carina by about\n4. Good position.\n2. Clear."
    assert [step.number for step in parse(text).steps] == [1, 2]


def test_a_numbered_impression_is_not_read_as_steps() -> None:
    report = "Findings: Clear.\nImpression:\n1. No effusion.\n2. Normal heart."
    trace = parse(write(STEPS, report))
    assert len(trace.steps) == 10
    assert trace.report == report


def test_steps_with_blank_lines_between_them_are_read() -> None:
    text = "\n\n".join(f"{n}. {step}" for n, step in enumerate(STEPS, 1)) + "\n\nFindings: Clear."
    trace = parse(text)
    assert list(trace.texts) == STEPS
    assert trace.report == "Findings: Clear."


def test_a_header_right_below_the_last_step_opens_the_report() -> None:
    trace = parse(PLAIN.replace("\n\n", "\n"))
    assert list(trace.texts) == STEPS
    assert trace.report == "Findings: Clear."


def test_windows_line_ends_change_neither_steps_nor_report() -> None:
    trace = parse(PLAIN.replace("\n", "\r\n") + "\r\nImpression: Normal.\r\n")
    assert list(trace.texts) == STEPS
    assert trace.report == "Findings: Clear.\r\nImpression: Normal.\r\n"


def test_a_tagged_text_with_windows_line_ends_is_read() -> None:
    trace = parse(write(STEPS, "Findings: Clear.", "tagged").replace("\n", "\r\n"))
    assert list(trace.texts) == STEPS
    assert trace.report == "Findings: Clear.\r"
    assert trace.trailer == ""


@pytest.mark.parametrize("end", ["\n", "\r\n", " \n"])
def test_a_number_without_a_text_is_an_empty_step(end: str) -> None:
    assert parse(f"1. Clear.{end}2.{end}3. Clear.").texts == ("Clear.", "", "Clear.")


def test_a_header_word_inside_a_wrapped_step_does_not_end_the_steps() -> None:
    text = "1. The image was taken in one\nView: PA, upright.\n2. Clear.\nView: PA"
    assert parse(text).texts == ("The image was taken in one View: PA, upright.", "Clear.")
    assert parse(text).report == "View: PA"


def test_fullwidth_digits_are_not_steps() -> None:
    assert parse("\uff11. Clear.\n\uff12. Clear.").steps == ()


def test_a_json_answer_is_read_and_its_other_keys_are_kept() -> None:
    trace = parse('{"step_02": "B\nwrapped", "step_01": "A", "report": "R", "note": "N"} bye')
    assert trace.texts == ("A", "B wrapped")
    assert (trace.layout, trace.report, trace.between, trace.trailer) == ("json", "R", '{"note": "N"}', "bye")


@pytest.mark.parametrize(
    "text",
    [
        '{"step_01": "cut',
        '{"answer": "x"}',
        '{"step_01": "a", "step_01": "b"}',
        '{"step_01": "\\ud800"}',
        '{"step_01": ' + "[" * 100_000,
        "1. half \ud800 a character",
    ],
    ids=["cut", "no steps", "same key twice", "surrogate", "deep", "plain surrogate"],
)
def test_an_answer_that_cannot_be_read_is_a_layout_error(text: str) -> None:
    with pytest.raises(LayoutError):
        parse(text)


@pytest.mark.parametrize("step", ["", " x", "x ", "a\nb", "a\rb"])
def test_a_step_that_is_not_one_clean_line_is_not_written(step: str) -> None:
    with pytest.raises(LayoutError, match="step 2"):
        write(["Fine.", step], "report")
