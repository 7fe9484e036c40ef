"""Agreement, against tables that others worked by hand; and what a file of ratings may hold."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenstep.__main__ import main
from tenstep.curation.judging.raters import Rated, Value, agreement, by_question
from tenstep.data.statistics import kappa

# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: four observers, twelve units, gaps
OBSERVERS = ("1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 .")


def rated(columns: list[list[Value | None]], patients: list[str] | None = None) -> list[Rated]:
    rows = zip(*columns, strict=True)
    return [Rated(patients[at] if patients else str(at), tuple(row)) for at, row in enumerate(rows)]


def observers(kind: type) -> list[list[Value | None]]:
    return [[None if v == "." else kind(v) for v in line.split()] for line in OBSERVERS]


def test_alpha_of_four_observers_with_gaps_is_krippendorffs() -> None:
    assert agreement(rated(observers(str))).alpha.value == pytest.approx(0.743, abs=5e-4)  # nominal
    assert agreement(rated(observers(int))).alpha.value == pytest.approx(0.815, abs=5e-4)  # ordinal


def test_alpha_of_two_observers_is_krippendorffs() -> None:
    binary = [[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]]  # section A
    assert agreement(rated(binary)).alpha.value == pytest.approx(0.095, abs=5e-4)
    nominal: list[list[Value | None]] = [list("aabbdcccedda"), list("babbbcccEddd".lower())]  # section B
    assert agreement(rated(nominal)).alpha.value == pytest.approx(0.692, abs=5e-4)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([[20, 5], [10, 15]], 0.4),
        # equal raw agreement, different margins: the table that is used to show what kappa depends on
        ([[45, 15], [25, 15]], 0.1304),
        ([[25, 35], [5, 35]], 0.2593),
        # Cohen 1960, table 1, as shares of 200 cases: psychiatric diagnoses by two judges
        ([[88, 14, 18], [10, 40, 10], [2, 6, 12]], 0.492),
    ],
)
def test_kappa_is_that_of_published_tables(table: list[list[int]], expected: float) -> None:
    found = kappa(np.array(table, float), 1.0 - np.eye(len(table)))
    assert float(found) == pytest.approx(expected, abs=5e-4)


def test_weighted_kappa_of_nine_items() -> None:
    """The example of R's psych::cohen.kappa, after T. Bates: 0.00 unweighted, 0.68 with squared weights."""
    (pair,) = agreement(rated([[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 1, 6, 1, 5, 5, 6, 7]])).pairs
    assert pair.quadratic is not None
    assert pair.kappa.value == pytest.approx(0.0, abs=5e-3)
    assert pair.quadratic.value == pytest.approx(0.68, abs=5e-3)


scores = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=3, max_size=30)


@given(scores)
def test_agreement_does_not_depend_on_who_is_first_and_is_one_for_equals(pairs: list[tuple[int, int]]) -> None:
    one, other = [list(column) for column in zip(*pairs, strict=True)]
    here, there = (agreement(rated(both), rounds=10) for both in ([one, other], [other, one]))  # type: ignore[arg-type]  # ints are values
    assert here.alpha.value == pytest.approx(there.alpha.value)
    assert here.pairs[0].kappa.value == pytest.approx(there.pairs[0].kappa.value)
    same = agreement(rated([one, one]), rounds=10)  # type: ignore[arg-type]  # ints are values
    assert same.pairs[0].raw.value == 1.0
    assert same.alpha.value is None or same.alpha.value == pytest.approx(1.0)


def test_one_category_alone_has_raw_agreement_and_no_kappa() -> None:
    found = agreement(rated([[True] * 6, [True] * 6]))
    assert found.pairs[0].raw.value == 1.0
    assert (found.pairs[0].kappa.value, found.alpha.value) == (None, None)


def test_intervals_are_wider_when_ratings_hang_together() -> None:
    chance = np.random.default_rng(1)
    truth = np.repeat(chance.integers(0, 2, 30), 6)  # thirty patients of six studies, whose readers err by patient
    error = np.repeat(chance.random(30) < 0.3, 6)
    columns = [[str(v) for v in truth], [str(v) for v in np.where(error, 1 - truth, truth)]]
    alone = agreement(rated(columns)).alpha  # type: ignore[arg-type]  # texts are values
    together = agreement(rated(columns, [str(at // 6) for at in range(180)])).alpha  # type: ignore[arg-type]  # texts are values
    assert together.value == alone.value
    assert None not in (together.low, together.high, alone.low, alone.high)
    assert together.high - together.low > 1.5 * (alone.high - alone.low)  # type: ignore[operator]  # not none, as just said


def test_the_same_seed_gives_the_same_interval() -> None:
    ratings = rated(observers(int))
    assert agreement(ratings, seed=3) == agreement(ratings, seed=3)
    assert agreement(ratings, seed=3).alpha != agreement(ratings, seed=4).alpha


def test_questions_that_one_rater_answered_are_left_out() -> None:
    found = by_question([{"a": {"x": 1, "y": 2}}, {"a": {"x": 1}, "b": {"x": 2}}], {"a": "p"})
    assert list(found) == ["x"]
    assert found["x"] == [Rated("p", (1, 1)), Rated("b", (None, 2))]


# the command


def ratings(path: Path, *rows: dict[str, object]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main([*words, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, found


def test_files_are_compared_by_question(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = [{"id": n, "coherence": n % 5 + 1, "accepted": n % 2 == 0} for n in range(20)]
    second = [{"id": n, "coherence": min(5, n % 5 + 2), "accepted": n % 2 == 0} for n in range(2, 22)]
    one = ratings(tmp_path / "one.jsonl", *(row | {"patient_id": row["id"] // 2, "comment": "x"} for row in first))
    two = ratings(tmp_path / "two.jsonl", *second)
    code, found = run_json(capsys, "agreement", one, two)
    assert code == 0
    assert set(found["questions"]) == {"coherence", "accepted"}
    accepted = found["questions"]["accepted"]
    assert (accepted["items"], accepted["patients"], accepted["ordinal"]) == (18, 9, False)
    assert (accepted["alpha"]["value"], accepted["pairs"][0]["raw"]["value"]) == (1.0, 1.0)
    coherence = found["questions"]["coherence"]
    assert coherence["ordinal"] and coherence["pairs"][0]["raw"]["value"] < 0.3
    assert coherence["pairs"][0]["kappa_quadratic"]["value"] > coherence["pairs"][0]["kappa"]["value"]
    assert coherence["distributions"][0]["1"] == 4
    assert main(["agreement", one, two]) == 0
    assert "to rely on" in " ".join(capsys.readouterr().out.split())


def test_an_audit_can_be_compared_with_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = [{"id": str(n), "accepted": n < 6, "findings": []} for n in range(10)]
    (tmp_path / "audit.json").write_text(json.dumps({"rows": 10, "items": items}))
    people = ratings(tmp_path / "people.jsonl", *({"id": n, "accepted": n < 5} for n in range(10)))
    code, found = run_json(capsys, "agreement", str(tmp_path / "audit.json"), people)
    assert code == 0
    assert found["questions"]["accepted"]["pairs"][0]["table"] == [[4, 0], [1, 5]]


def test_bad_ratings_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = ratings(tmp_path / "one.jsonl", {"id": "a", "x": 1}, {"x": 1}, {"id": "a", "x": 2}, {"id": "b", "x": 2})
    two = ratings(tmp_path / "two.jsonl", {"id": "a", "x": 1}, {"id": "b", "x": 2})
    code, found = run_json(capsys, "agreement", one, two)
    assert code == 2
    assert len(found["problems"]) == 2
    assert found["questions"]["x"]["pairs"][0]["raw"]["value"] == 1.0
    for other in ([], [{"id": "c", "y": 1}]):
        assert main(["agreement", one, ratings(tmp_path / "other.jsonl", *other)]) == 2
    assert main(["agreement", one]) == 2
    (tmp_path / "bad.json").write_text("{}")
    assert main(["agreement", one, str(tmp_path / "bad.json")]) == 2
