"""No sentence made of the reader's own words makes a rule raise: faults lie where phrases meet as never before."""

import random

import pytest
from tenstep.schemas.study import Study
from tenstep.schemas.trace import STEPS, Step, Trace
from tenstep.validators.findings.lexicon import lexicon, names, rows
from tenstep.validators.gate import RULES
from tenstep.validators.rule import Case, ten

SENTENCES = 4_000
TABLES = ("findings", "devices", "organs", "places", "tips", "sides", "qualities", "cues", "compare")
MARKS = [",", ",", ",", ".", ";", ":", "(", ")", "?", "/", "4", "12 mm", "XXXX"]


def phrases() -> dict[str, list[str]]:
    return {
        table: [phrase.strip("[]") for row in rows(f"{table}.tsv") for phrase in names(row[-1])] for table in TABLES
    }


def sentence(chance: random.Random, kinds: dict[str, list[str]], words: list[str]) -> str:
    """Phrases of every kind in any order, with single words and marks between them."""
    parts = []
    for _ in range(chance.randint(1, 14)):
        draw = chance.random()
        kind = chance.choice(TABLES)
        parts.append(chance.choice(kinds[kind] if draw < 0.6 else words if draw < 0.8 else MARKS))
    return " ".join(parts) + chance.choice([".", "?", "", ". "])


def judged(count: int, seed: int) -> int:
    chance = random.Random(seed)
    kinds = phrases()
    words = sorted({word for table in kinds.values() for phrase in table for word in phrase.split()})
    blank, done = Case(ten()), 0
    while done < count:
        steps = [sentence(chance, kinds, words) for _ in range(STEPS)]
        report = " ".join(sentence(chance, kinds, words) for _ in range(3))
        study = Study(
            id="s", patient_id="p", source="made", data_class="public", report=report or "x", report_form="verbatim"
        )
        trace = Trace(steps=tuple(Step(number=at, text=text) for at, text in enumerate(steps, 1)), report=report)
        candidate = blank.candidate.model_copy(update={"trace": trace})
        for rule in RULES:
            for found in rule.rule(study, candidate):
                assert found.code in rule.CODES
        done += STEPS
    return done


def test_no_rule_raises_on_sentences_of_the_lexicons_own_words() -> None:
    assert len(lexicon().findings) > 100
    assert judged(SENTENCES, seed=1) == SENTENCES


@pytest.mark.slow
def test_no_rule_raises_on_a_hundred_thousand_of_them() -> None:
    assert judged(100_000, seed=2) == 100_000


@pytest.mark.parametrize(
    "step",
    [
        "The lungs, in which the right lower lobe, as expected, shows no consolidation.",
        "The heart, in which the left base, as seen, shows no effusion.",
    ],
)
def test_a_clause_between_commas_may_have_a_place_and_the_sentence_go_on(step: str) -> None:
    case = Case(ten({5: step}))
    assert not [found for rule in RULES for found in rule.rule(case.study, case.candidate) if found.severity == "error"]
