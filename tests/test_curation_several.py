"""Several teachers: shares, the best of many, and how far they agree."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from curation_parts import GOOD, NINE, asked, make_store, scripted
from hypothesis import given
from hypothesis import strategies as st
from servers.studies import make_study
from tenstep.curation.engine import Engine
from tenstep.curation.judging.agreement import agreements
from tenstep.curation.requests.tally import Tally
from tenstep.curation.teacher import load
from tenstep.data.choice import rank
from tenstep.data.judged import Judged
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.verdict import Finding, Verdict
from tenstep.validators.reading import read_candidate
from tenstep.validators.rule import REFERENCE

OTHER = GOOD.replace("1. ", "1. First of all: ")


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return make_store(tmp_path / "studies", (make_study(name, REFERENCE) for name in "abcdef"))


def recipe_of(tmp_path: Path, teachers: dict[str, dict[str, list[str]]], **more: Any) -> CurateRecipe:
    specs = [scripted(tmp_path, texts, name) for name, texts in teachers.items()]
    return CurateRecipe.model_validate({"kind": "curate", "name": "t", "teachers": specs, **more})


def curate(path: Path, recipe: CurateRecipe, store: StudyStore) -> Tally:
    with RunFolder.open(path, kind="curate", recipe=recipe, studies=store) as run:
        tally = asyncio.run(Engine(run, recipe, [load(spec) for spec in recipe.teachers]).work())
        run.finish(spend_usd=tally.spend_usd)
    return tally


def times_asked(tmp_path: Path, name: str) -> Counter[str]:
    return Counter(study_id for study_id, *_ in asked(tmp_path, name))


def test_split_gives_each_study_to_one_teacher_and_the_same_one_again(tmp_path: Path, store: StudyStore) -> None:
    good = {name: [GOOD] for name in "abcdef"}
    recipe = recipe_of(tmp_path, {"one": good, "two": good}, concurrency=3)
    tally = curate(tmp_path / "run", recipe, store)
    assert tally.accepted == 6
    assert times_asked(tmp_path, "one") == {"t/a": 1, "t/c": 1, "t/e": 1}
    assert times_asked(tmp_path, "two") == {"t/b": 1, "t/d": 1, "t/f": 1}
    assert curate(tmp_path / "run", recipe, store).asked == 0


def test_best_asks_all_and_one_example_comes_of_each_study(tmp_path: Path, store: StudyStore) -> None:
    one = {name: [NINE, GOOD] for name in "abcdef"}  # accepted after a repair
    two = {"a": [OTHER], "b": [NINE, NINE, NINE], "c": [OTHER]}  # and refuses the others
    recipe = recipe_of(tmp_path, {"one": one, "two": two}, several={"strategy": "best"})
    tally = curate(tmp_path / "run", recipe, store)
    assert (tally.accepted, tally.repaired, tally.rejected) == (6, 4, 0)
    with RunFolder.read(tmp_path / "run") as run:
        chosen = {example.study.id: example.provenance.teacher for example in run.accepted()}
        counts = run.manifest.counts
    two_won = {"t/a": "two", "t/c": "two"}  # the first attempt was accepted: fewer repairs
    assert chosen == dict.fromkeys(("t/b", "t/d", "t/e", "t/f"), "one") | two_won
    assert counts["accepted"] == 6
    rows = [json.loads(line) for line in (tmp_path / "run" / "accepted.jsonl").read_text().splitlines()]
    assert {row["study"]["id"]: row["provenance"]["teacher"] for row in rows} == chosen
    assert curate(tmp_path / "run", recipe, store).asked == 0


def test_samples_are_different_questions_with_repairs_of_their_own(tmp_path: Path, store: StudyStore) -> None:
    recipe = recipe_of(tmp_path, {"one": {name: [GOOD] for name in "abcdef"}}, several={"samples": 3})
    tally = curate(tmp_path / "run", recipe, store)
    assert (tally.asked, tally.accepted) == (18, 6)
    with RunFolder.read(tmp_path / "run") as run:
        assert Counter(candidate.sample for candidate, _ in run.judged()) == {0: 6, 1: 6, 2: 6}
        assert [example.provenance.key for example in run.accepted()] == [
            candidate.key for candidate, _ in run.judged() if candidate.sample == 0
        ]


def made(study: str, teacher: str, text: str, *codes: str, attempt: int = 1, sample: int = 0) -> Judged:
    candidate = read_candidate(text, study, writes_report=False)
    key = f"{sum(map(ord, f'{study}{teacher}{attempt}{sample}')):064x}"
    candidate = candidate.model_copy(update={"teacher": teacher, "attempt": attempt, "sample": sample, "key": key})
    findings = tuple(Finding(rule="r", code=code, severity="warning", message="m") for code in codes)
    return Judged(candidate, Verdict(findings=findings))


@given(st.permutations(range(6)))
def test_the_choice_does_not_depend_on_the_order_of_answers(order: list[int]) -> None:
    answers = [
        made("s", "one", GOOD, "w", "w"),
        made("s", "one", GOOD, "w", attempt=2),
        made("s", "two", GOOD, "w"),
        made("s", "one", GOOD, "w", sample=1),
        made("s", "one", GOOD, "w"),
        made("s", "stranger", GOOD, "w"),
    ]
    found = min((answers[n] for n in order), key=lambda one: rank(one.candidate, one.verdict, ("one", "two")))
    assert found is answers[4]
    ranked = sorted(answers, key=lambda one: rank(one.candidate, one.verdict, ("one", "two")))
    assert [answers.index(one) for one in ranked] == [4, 3, 2, 5, 1, 0]


def rejected(study: str, teacher: str) -> Judged:
    candidate, _ = made(study, teacher, GOOD)
    return Judged(candidate, Verdict(findings=(Finding(rule="r", code="c", severity="error", message="m"),)))


def test_agreement_counts_what_was_judged_alike_beyond_chance() -> None:
    judged = []
    for n, (one, two) in enumerate([(1, 1)] * 4 + [(0, 0)] * 3 + [(1, 0)] * 2 + [(0, 1)]):
        for name, good in (("one", one), ("two", two)):
            judged.append(made(f"s{n}", name, GOOD) if good else rejected(f"s{n}", name))
    (found,) = agreements(judged, ["one", "two", "absent"])
    assert (found.teachers, found.studies) == (("one", "two"), 10)
    assert found.same_verdict == pytest.approx(0.7)
    chance = 0.6 * 0.5 + 0.4 * 0.5
    assert found.kappa == pytest.approx((0.7 - chance) / (1 - chance))
    assert found.same_claims == 1.0


def test_agreement_in_what_is_asserted_is_apart_from_agreement_in_verdicts() -> None:
    effusion = GOOD.replace("10. ", "10. There is a small left pleural effusion. ")
    (found,) = agreements([made("s", "one", GOOD), made("s", "two", effusion)], ["one", "two"])
    assert (found.same_verdict, found.kappa) == (1.0, None)  # all alike: chance explains it
    assert found.same_claims is not None and found.same_claims < 1.0


def test_repairs_and_further_samples_are_no_part_of_agreement() -> None:
    judged = [rejected("s", "one"), made("s", "one", GOOD, attempt=2), made("s", "two", GOOD)]
    (found,) = agreements(judged, ["one", "two"])
    assert found.same_verdict == 0.0
    assert agreements([made("s", "one", GOOD), made("r", "two", GOOD)], ["one", "two"]) == ()
