"""Lines that are no report: long texts of any shape take no longer than their length."""

import pytest
from tenstep.data.intake.boilerplate import without_boilerplate


@pytest.mark.parametrize(
    "piece", ["\n", "\t", " \n", "-", "-\n", "_", "end of impression ", "\n summary", "narrative "]
)
def test_long_texts_without_words_are_read_once(piece: str) -> None:
    """Reading each from every place in it would take hours."""
    text = f"Clear.{piece * (400_000 // len(piece))}"
    assert without_boilerplate(text).startswith("Clear.")


@pytest.mark.parametrize("line", ["SUMMARY: 2", "--- Summary 3: x", "summary : text", "IMPRESSION:"])
def test_lines_of_the_reporting_system_go(line: str) -> None:
    assert without_boilerplate(f"Clear.\n{line}\nNormal.") == "Clear.\nNormal."


def test_a_sentence_about_a_summary_stays() -> None:
    assert without_boilerplate("Clear.\nIn summary, normal.") == "Clear.\nIn summary, normal."
