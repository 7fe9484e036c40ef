"""The index of sketches finds what a comparison of every pair finds, and reads no more than it must."""

import sqlite3
from collections.abc import Iterator

import numpy as np
import pytest
from tenstep.curation.auditing.sketch import ALIKE
from tenstep.curation.sketch_index import SketchIndex, _bits, _may_be_alike
from tenstep.data.similarity import SIZE, Signature, likeness


def sketches_in_groups(count: int, groups: int, differ: int, seed: int = 0) -> Signature:
    """Sketches of which each is one of a few, with so many minima changed at most."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 2**32, (groups, SIZE), dtype=np.uint32)
    found = first[rng.integers(0, groups, count)]
    for row in found:
        places = rng.choice(SIZE, rng.integers(0, differ + 1), replace=False)
        row[places] = rng.integers(0, 2**32, len(places), dtype=np.uint32)
    return found


@pytest.fixture
def index() -> Iterator[SketchIndex]:
    db = sqlite3.connect(":memory:")
    yield SketchIndex(db)
    db.close()


def test_each_is_found_among_those_before_it(index: SketchIndex) -> None:
    sketches = sketches_in_groups(200, 60, 12)
    for at, ours in enumerate(sketches):
        same = likeness(ours, sketches[:at]) if at else np.array([])
        expected = {int(other) + 1: float(same[other]) for other in np.flatnonzero(same >= ALIKE)}
        assert dict(index.add(ours)) == expected  # in groups of a few, every one is a head


def test_in_a_large_group_each_is_found_through_the_first_ones(index: SketchIndex) -> None:
    sketches = sketches_in_groups(500, 1, 6)
    found = [len(index.add(ours)) for ours in sketches]
    assert found[0] == 0 and min(found[1:]) >= 1
    assert max(found) <= 8 * 16  # heads of all bands


@pytest.mark.parametrize("at_once", [1, 7, 64, 400])
def test_many_at_once_are_found_and_held_as_one_by_one(index: SketchIndex, at_once: int) -> None:
    sketches = np.concatenate([sketches_in_groups(250, 60, 12), sketches_in_groups(150, 1, 14, seed=3)])
    rng = np.random.default_rng(4)
    rng.shuffle(sketches)
    other = SketchIndex(db := sqlite3.connect(":memory:"))
    one_by_one = [(number, *pair) for number, ours in enumerate(sketches, 1) for pair in other.add(ours)]
    found = []
    for start in range(0, len(sketches), at_once):
        rows, others, same = index.extend(sketches[start : start + at_once])
        found += zip((rows + start + 1).tolist(), others.tolist(), same.tolist(), strict=True)
    assert found == one_by_one != []
    assert index.count == other.count
    for table in ("SELECT * FROM bands ORDER BY band", "SELECT * FROM sketches ORDER BY at"):
        assert index._db.execute(table).fetchall() == db.execute(table).fetchall()
    db.close()


def test_the_first_wanted_one_that_is_alike_is_found_for_each(index: SketchIndex) -> None:
    sketches = sketches_in_groups(200, 60, 12, seed=1)
    for ours in sketches:
        index.add(ours)
    wanted = bytearray([0] + [number % 3 == 0 for number in range(1, 201)])
    others = [number for number in range(1, 201) if not wanted[number]]
    expected = {}
    for number in others:
        same = likeness(sketches[number - 1], sketches)
        if alike := [other + 1 for other in np.flatnonzero(same >= ALIKE).tolist() if wanted[other + 1]]:
            expected[number] = alike[0]
    assert dict(index.alike(others, index.wanted(wanted))) == expected != {}
    assert list(index.alike([], index.wanted(wanted))) == []


def test_the_bits_of_heads_pass_every_sketch_that_is_alike_and_few_others() -> None:
    close, far = sketches_in_groups(2_000, 1, 12), sketches_in_groups(2_000, 1_000, 0, seed=2)
    alike = likeness(close, close[0]) >= ALIKE
    assert alike.sum() > 100 and _may_be_alike(_bits(close), _bits(close[:1]))[alike].all()
    assert _may_be_alike(_bits(far[1:]), _bits(far[:1])).mean() < 0.01
