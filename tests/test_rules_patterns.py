"""What a pattern needs is read from the pattern: no match is hidden by the look into the words before the search."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tenstep.validators import assistant, identifiers, leak, overclaim, placeholder, views
from tenstep.validators.findings import measure
from tenstep.validators.patterns import Patterns, leads, needs

EVERY = {
    f"{module.__name__.rpartition('.')[2]}{name}": pattern
    for module in (assistant, identifiers, leak, overclaim, placeholder, measure)
    for name, pattern in vars(module).items()
    if isinstance(pattern, Patterns)
} | {f"views: {name}": pattern for name, pattern in views._SPOKEN.items()}
SOURCES = [
    pytest.param(part, p._flags, id=f"{name}-{at}") for name, p in EVERY.items() for at, part in enumerate(p.sources)
]


@pytest.mark.parametrize(("source", "flags"), SOURCES)
@given(data=st.data())
@settings(max_examples=15, suppress_health_check=list(HealthCheck), deadline=None)
def test_whatever_a_pattern_matches_has_a_lead_that_it_needs(source: str, flags: int, data: st.DataObject) -> None:
    needed = needs(source, flags)
    text = data.draw(st.from_regex(re.compile(source, flags)))
    assert not needed or needed & leads(text)


@pytest.mark.parametrize(
    ("pattern", "needed"),
    [
        (r"\breports?\b", {"report"}),
        (r"\b(?:doctor|physician)s? (?:says|put)\b", {"doctor", "physic"}),
        (r"\bdocument(?:ation)?\b", {"docume"}),
        (r"\b(?:the|this)\s+(?:\w+\s+){0,2}?(?:text|prose)\b", {"text", "prose"}),
        (r"\bword for word\b|\bverbatim\b", {"word", "verbat"}),
        (r"_{2,}", {"_"}),
        (r"\d{1,2}/\d{1,2}", {"0"}),
        (r"\d{2}:\d{2}", {"00"}),
        (r"\d{3}-\d|\d", {"0"}),
        (r"\bX{2,}\b", {"xx", "xxx", "xxxx", "xxxxx", "xxxxxx"}),
        (r"\bage \d{1,3}\b", {"age"}),
        (r"\w+ly", set()),
    ],
)
def test_needs_are_read_from_the_pattern(pattern: str, needed: set[str]) -> None:
    assert needs(pattern) == needed


def test_alternatives_are_cut_outside_of_groups_and_sets_only() -> None:
    assert Patterns(r"a|(?:b|c)[|)]d|\|e").sources == ("a", r"(?:b|c)[|)]d", r"\|e")


@given(st.text(alphabet="ab |c1", max_size=30))
def test_a_search_finds_what_the_joined_pattern_finds_first(text: str) -> None:
    patterns, joined = Patterns(r"\bab\b", r"c\d"), re.compile(r"\bab\b|c\d", re.I)
    mine, theirs = patterns.search(text), joined.search(text)
    assert (mine and mine.span()) == (theirs and theirs.span())


@pytest.mark.parametrize(
    "step", ["The doctor says that it is clear.", "A colleague said so.", "The physician put it well."]
)
def test_words_that_no_list_of_triggers_named_are_found(step: str) -> None:
    assert leak._PATTERN.search(step) is not None


def test_a_measure_in_words_with_a_hyphen_is_read() -> None:
    assert [found.value for found in measure.measurements("a two-mm nodule")] == [2.0]
