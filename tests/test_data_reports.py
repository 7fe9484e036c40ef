"""Report text: what is kept byte for byte, what is composed, and what is never made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenstep.data.intake.reports import (
    MAX_REPORT,
    Refusal,
    compose,
    decode,
    describe_views,
    find_sections,
    has_four_headers,
    reference,
    split_steps,
    usable,
    view_words,
    views_in,
)
from tenstep.data.intake.stated_views import stated_views
from tenstep.schemas.layout import write
from tenstep.schemas.study import Sections

FOUR = "Technique: Portable chest.\nView: AP\nFindings: Clear lungs.\nImpression: Normal."
words = st.from_regex(r"[a-z]{1,8}( [a-z]{1,8}){0,5}\.", fullmatch=True)


def reason(result: object) -> str:
    assert isinstance(result, Refusal), result
    return result.reason


@given(st.binary(max_size=60))
def test_any_bytes_are_text_or_a_reason(data: bytes) -> None:
    text = decode(data)
    if isinstance(text, Refusal):
        assert text.reason == "bad_encoding"
    else:
        assert text.encode() == data.removeprefix(b"\xef\xbb\xbf")


@given(words, words, words, words)
def test_a_composed_report_has_the_four_headers_and_gives_its_sections_back(
    technique: str, view: str, findings: str, impression: str
) -> None:
    sections = Sections(technique=technique, view=view, findings=findings, impression=impression)
    text = compose(sections, ())
    assert isinstance(text, str)
    assert has_four_headers(text)
    assert find_sections(text) == sections
    assert reference(text, sections, (), "four-header") == text


def test_composing_says_no_more_than_is_known() -> None:
    sections = Sections(findings="Clear\n  lungs.", impression="1. Normal.\n2. Stable.")
    expected = "Technique: Chest radiograph.\nView: {}\nFindings: Clear lungs.\nImpression: 1. Normal. 2. Stable."
    assert compose(sections, ()) == expected.format("unknown")
    assert compose(sections, ("PA", "lateral")) == expected.format("PA and lateral")


@pytest.mark.parametrize("missing", ["findings", "impression"])
def test_findings_and_impression_are_never_made_up(missing: str) -> None:
    sections = Sections(findings="Clear.", impression="Normal.").model_copy(update={missing: None})
    assert reason(compose(sections, ())) == f"no_{missing}"
    text = "Findings: Clear." if missing == "impression" else "Impression: Normal."
    assert reference(text, sections, (), "verbatim") == text


@pytest.mark.parametrize(
    "text", [FOUR, FOUR.replace("\n", "\r\n") + "\r\n", FOUR.replace(": Normal.", ":\n1. A\n\n2. B")]
)
def test_a_report_in_the_four_header_form_is_kept_byte_for_byte(text: str) -> None:
    assert reference(text, find_sections(text), (), "four-header") == text


@pytest.mark.parametrize(
    "text",
    [
        FOUR.replace("View: AP\n", ""),
        "History: cough.\n" + FOUR,
        "Dr. X\n" + FOUR,
        FOUR.replace("AP", " "),
        FOUR.upper(),
        FOUR + "\nFindings: again.",
        "\n".join(reversed(FOUR.split("\n"))),
    ],
)
def test_another_order_or_set_of_headers_is_composed_anew(text: str) -> None:
    assert not has_four_headers(text)
    composed = reference(text, find_sections(text), (), "four-header")
    assert isinstance(composed, str)
    assert has_four_headers(composed)


def test_sections_are_found_by_their_common_names() -> None:
    text = "EXAMINATION: chest\nCLINICAL INFORMATION: cough\nVIEWS: PA\nFINDINGS:\n One.\n\n Two.\nCONCLUSION: Three.\n"
    assert find_sections(text) == Sections(history="cough", view="PA", findings="One.\n\n Two.", impression="Three.")
    assert find_sections("Findings: first\nFindings: second") == Sections(findings="second")
    assert find_sections("The findings: clear.") == Sections()


def test_text_that_cannot_be_a_reference_is_refused() -> None:
    assert usable(FOUR) is None
    assert usable("Ödem.\r\n\tKein Erguß.\f") is None
    for text, expected in (
        ("", "empty_report"),
        (" \n\t", "empty_report"),
        ("a" * (MAX_REPORT + 1), "long_report"),
        ("clear\0", "bad_characters"),
        ("clear\x1b[31m", "bad_characters"),
        ("half \ud800", "bad_characters"),
    ):
        assert reason(usable(text)) == expected


@pytest.mark.parametrize(
    ("caption", "views", "described"),
    [
        ("Xray Chest PA and Lateral", ("PA", "lateral"), "PA and lateral"),
        ("CHEST 2V FRONTAL/LATERAL", ("frontal", "lateral"), "frontal and lateral"),
        ("AP chest, frontal view", ("AP",), "AP"),
        ("2 views chest", (), "unknown"),
        ("spatial and lateralised", (), "unknown"),
    ],
)
def test_views_are_read_from_captions(caption: str, views: tuple[str, ...], described: str) -> None:
    assert views_in(caption) == views
    assert describe_views(views) == described


def test_views_are_listed_once() -> None:
    assert describe_views(["PA", "lateral", "PA", "unknown", "LL"]) == "PA, lateral and LL"


@given(st.lists(words, min_size=10, max_size=10), st.sampled_from(["plain", "tagged"]))
def test_steps_before_a_report_are_taken_off_it(steps: list[str], layout: str) -> None:
    text = write(steps, FOUR, "plain" if layout == "plain" else "tagged")
    assert split_steps(text)[:2] == (FOUR, True)
    assert "10 steps before the report" in (split_steps(text).warning or ("", ""))[1]


@pytest.mark.parametrize(
    "text",
    [
        FOUR,
        "1. Heart normal.\n2. Lungs clear.\n\nImpression: normal.",
        "Findings:\n" + "\n".join(f"{n}. Finding." for n in range(1, 11)) + "\n\nImpression: many.",
        "\n".join(f"{n}. Step." for n in range(1, 11)),
        '{"step_01": "not a report layout"}',
        "{not even JSON",
    ],
)
def test_a_report_that_only_looks_like_steps_stays_whole(text: str) -> None:
    assert split_steps(text) == (text, False, None)


@pytest.mark.parametrize("count", [6, 9, 11, 12])
def test_a_numbered_report_keeps_its_findings_and_says_so(count: int) -> None:
    text = "\n".join(f"{n}. Finding." for n in range(1, count + 1)) + "\n\nImpression: many."
    whole, has_steps, warning = split_steps(text)
    assert (whole, has_steps) == (text, False)
    assert warning is not None and warning[0] == "numbered_report"


@pytest.mark.parametrize("word", ["nan", "NaN", "none", "NULL", "n/a", " N/A ", "<NA>", "-", "___", "."])
def test_words_for_a_missing_value_are_no_text(word: str) -> None:
    assert reason(usable(word)) == "empty_report"
    text = f"FINDINGS: {word}\nIMPRESSION: {word}"
    assert find_sections(text) == Sections()
    assert reason(reference(text, Sections(), (), "verbatim")) == "empty_report"
    assert not has_four_headers(f"Technique: Chest.\nView: PA\nFindings: {word}\nImpression: Normal.")


@pytest.mark.parametrize("text", ["None.", "None seen.", "Nan Xu was notified.", "1"])
def test_what_people_write_is_text(text: str) -> None:
    assert usable(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "FINDINGS: The lungs are clear. IMPRESSION: Normal.",
        "Findings: The lungs are clear. Impression: Normal.",
        "FINDINGS: The lungs are clear IMPRESSION: Normal.",
        "EXAM: Chest.\nFINDINGS: The lungs are clear.   Impression : Normal.",
    ],
)
def test_sections_on_one_line_are_sections(text: str) -> None:
    found = find_sections(text)
    assert ((found.findings or "").rstrip("."), found.impression) == ("The lungs are clear", "Normal.")


@pytest.mark.parametrize(
    "text",
    [
        "Findings: As the impression: clear.",
        "Findings: See the findings of 2010. The impression: clear.",
        "Findings: No change in the findings (impression below).",
    ],
)
def test_a_word_inside_a_sentence_is_no_header(text: str) -> None:
    assert find_sections(text).impression is None


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        ("PORTABLE AP. The heart is large.", "AP"),
        ("Portable ap chest radiograph demonstrates clear lungs.", "AP"),
        ("The lungs are clear. PA and lateral views of the chest were obtained.", "PA and lateral"),
        ("Examination consists of frontal and lateral radiographs of the chest.", "frontal and lateral"),
        ("Portable chest radiograph. Clear.", "unknown"),  # nearly always AP, but it does not say so
        ("A nodule is seen on the lateral view.", "unknown"),  # where it is seen, not which films there are
        ("Increased AP diameter of the chest. The AP window is normal.", "unknown"),
        ("PA and lateral views may be of benefit.", "unknown"),
        ("AP view of the femur shows no fracture.", "unknown"),
        ("Compared with the PA film of May, no change.", "unknown"),
        ("The PA is large in the chest film.", "unknown"),
    ],
)
def test_a_report_states_its_views_where_it_begins_to_describe_a_film(findings: str, words: str) -> None:
    report = f"FINDINGS: {findings}\nIMPRESSION: As above."
    assert describe_views(stated_views(report, find_sections(report))) == words
    assert describe_views(stated_views(findings, Sections())) == words  # a report without sections


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("PORTABLE AP CHEST 2:15 AM\nFINDINGS: Clear. Lateral view shows more.", "AP"),
        ("EXAMINATION: Chest, PA and lateral\nFINDINGS: Clear.", "PA and lateral"),
        ("TECHNIQUE: Single AP view. FINDINGS: Clear.", "AP"),
        ("COMPARISON: AP chest of 2010\nFINDINGS: Clear.", "unknown"),
        ("The AP window is normal.", "unknown"),
    ],
)
def test_a_report_names_its_own_views_above_its_findings(text: str, words: str) -> None:
    assert describe_views(views_in(view_words(text))) == words
