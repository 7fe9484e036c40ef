"""Every phrase of the lexicon has an example that holds and one that does not; all of them are run."""

import re
from collections.abc import Callable

import pytest
from tenstep.validators.findings import claims, compares_with_prior
from tenstep.validators.findings.lexicon import lexicon, phrases, rows
from tenstep.validators.findings.match import match

# The share of a table's phrases whose examples must do as they say: a phrase that is part of a longer one, or of two
# tables, may read otherwise in the table's sentence.
LEAST = 0.95
EXAMPLES = {(table, category): (holds, fails) for table, category, holds, fails in rows("examples.tsv")}


def asserted(text: str, name: str) -> bool:
    return any(claim.finding == name and claim.status != "absent" for claim in claims(text))


def named(kind: str) -> Callable[[str, str], bool]:
    def check(text: str, name: str) -> bool:
        found = (getattr(entry, kind) for entry in match(text).entries)
        return any(name in value if isinstance(value, tuple) else value == name for value in found)

    return check


def placed(text: str, name: str) -> bool:
    zones = lexicon().zones
    return any(zones[name] & zones[place] for claim in claims(text) for place in claim.place)


def tipped(text: str, name: str) -> bool:
    return any(name in claim.tip for claim in claims(text))


def modified(text: str, _: str) -> bool:
    """Whether nothing plainly says that there is pneumonia."""
    return not any(c.finding == "pneumonia" and c.status == "present" and not c.doubted for c in claims(text))


def sided(text: str, value: str) -> bool:
    return any(value in (claim.side, claim.size) for claim in claims(text))


CHECKS = {
    "findings": asserted,
    "devices": asserted,
    "organs": named("organ"),
    "qualities": named("qualities"),
    "places": placed,
    "tips": tipped,
    "sides": sided,
    "cues": modified,
    "compare": lambda text, _: compares_with_prior(text),
}


def cases(table: str, category: str) -> list[tuple[str, str, str]]:
    """(value, example that holds, example that does not) of every phrase."""
    found = []
    for row in rows(f"{table}.tsv"):
        before = len(next(iter(phrases(table)))) - 1
        *cells, phrase = row[: before + 1]
        if category not in ("*", cells[0]) or phrase == "-" or "-" in (cells[1:2] if table == "sides" else ()):
            continue
        holds, fails = row[before + 1 : before + 3] or EXAMPLES[table, category]
        said = phrase.strip("[]")
        unknown = "x" + re.sub(r"[^a-z]", "x", said)
        fails = fails.replace("{x}", unknown).replace("{}", said)
        found.append((cells[1] if table == "sides" else cells[0], holds.replace("{}", said), fails))
    return found


@pytest.mark.parametrize(("table", "category"), EXAMPLES)
def test_the_examples_of_a_table_do_as_they_say(table: str, category: str) -> None:
    check, found = CHECKS[table], cases(table, category)
    wrong = [holds for value, holds, _ in found if not check(holds, value)]
    wrong += [fails for value, _, fails in found if check(fails, value)]
    assert found
    assert len(wrong) <= (1 - LEAST) * 2 * len(found), wrong[:20]


def test_every_kind_of_cue_that_changes_a_finding_has_examples() -> None:
    directed = {kind for kind, direction, _ in phrases("cues") if direction != "-"}
    assert directed == {category for table, category in EXAMPLES if table == "cues"}


@pytest.mark.parametrize("table", CHECKS)
def test_a_phrase_stands_once_in_its_category(table: str) -> None:
    found = [tuple(row) for row in phrases(table)]
    assert len(set(found)) == len(found)
