"""Splits by patient, and what train shares with what is held out."""

import json
import random
import stat
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts.mimic import film
from PIL import Image
from tenstep.__main__ import main
from tenstep.data.splitting.alike import NEAR_BITS, difference_hash, distance
from tenstep.data.splitting.contamination import StudyInSplit, contamination
from tenstep.data.splitting.splits import SplitRecipe, read_splits, recipe_of, resolve, write_splits
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.errors import InputError, RecipeError
from tenstep.schemas.study import ImageRef, Study

WORDS = ("heart", "lungs", "clear", "effusion", "small", "left", "right", "base", "apex", "opacity", "nodule", "scar",
         "line", "tube", "rib", "spine", "normal")  # fmt: skip


def report(seed: int, length: int = 40) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length)) + "."


def study(
    name: str, patient: str, source: str = "a", split: str | None = None, text: str | None = None, *images: ImageRef
) -> Study:
    return Study(
        id=f"{source}/{name}",
        patient_id=f"{source}/{patient}",
        source=source,
        data_class="restricted",
        report=text or report(zlib.crc32(name.encode())),
        report_form="verbatim",
        split=split,
        images=images,
    )


def store(path: Path, studies: Iterable[Study]) -> StudyStore:
    with StudyStore.create(path, "jsonl") as writer:
        for one in studies:
            writer.add(one)
    return StudyStore.open(path)


MANY = [study(f"{patient}-{n}", f"p{patient}") for patient in range(400) for n in range(3)]


@given(st.integers(0, 10), st.permutations(range(30)))
def test_a_patient_has_one_split_whoever_else_there_is(seed: int, order: list[int]) -> None:
    some = [MANY[n] for n in order]
    recipe = resolve(SplitRecipe(seed=seed), [some])
    alone = resolve(SplitRecipe(seed=seed), [some[:1]])
    assert recipe.of(some[0]) == alone.of(some[0])
    by_patient = {one.patient_id: recipe.of(one) for one in some}
    assert all(recipe.of(one) == by_patient[one.patient_id] for one in some)


def test_the_shares_are_about_those_that_were_asked_for() -> None:
    recipe = resolve(recipe_of(0, 0.2, 0.1, published=True), [MANY])
    patients = recipe.sources["a"].patients
    assert sum(patients.values()) == 400
    assert 55 <= patients["test"] <= 105
    assert 20 <= patients["validate"] <= 60
    other = resolve(recipe_of(1, 0.2, 0.1, published=True), [MANY])
    assert [recipe.of(one) for one in MANY] != [other.of(one) for one in MANY]


def test_published_splits_are_kept_and_what_is_not_published_is_drawn() -> None:
    names = {"a": ("train", "validate", "test"), "b": ("train", "valid"), "c": (None,)}
    studies = [
        study(f"{n}", f"p{n}", source, splits[n % len(splits)]) for source, splits in names.items() for n in range(300)
    ]
    recipe = resolve(SplitRecipe(), [studies])
    for one in studies:
        if one.source == "a":
            assert recipe.of(one) == one.split
        elif one.split == "valid":
            assert recipe.of(one) == "validate"
        elif one.source == "b":
            assert recipe.of(one) in ("train", "test")
    assert {s: recipe.sources[s].published for s in "abc"} == {
        "a": ("train", "validate", "test"),
        "b": ("train", "validate"),
        "c": (),
    }
    assert all(recipe.sources[source].studies["test"] > 0 for source in "abc")  # each source has its own test
    anew = resolve(SplitRecipe(published=False), [studies])
    assert any(anew.of(one) != one.split for one in studies if one.source == "a")


def test_the_small_file_gives_the_same_splits_and_notices_other_studies(tmp_path: Path) -> None:
    recipe = resolve(SplitRecipe(seed=3), [MANY])
    write_splits(recipe, tmp_path / "splits.yaml")
    assert (tmp_path / "splits.yaml").stat().st_size < 1000
    again = read_splits(tmp_path / "splits.yaml")
    assert resolve(again, [MANY]) == recipe
    assert [again.of(one) for one in MANY] == [recipe.of(one) for one in MANY]
    with pytest.raises(InputError, match="not what the recipe was made for"):
        resolve(again, [MANY[:-1]])


@pytest.mark.parametrize(("test", "validate"), [(0.6, 0.4), (-0.1, 0.1), (1.5, 0)])
def test_shares_that_are_none_are_one_clear_error(test: float, validate: float) -> None:
    with pytest.raises(RecipeError, match="shares"):
        recipe_of(0, test, validate, published=True)


def kinds(*ones: tuple[Study, bool], images: bool = False) -> dict[str, int]:
    found = contamination(
        lambda: [StudyInSplit(one, lambda ref: Path(ref.path), held) for one, held in ones], images=images
    )
    return {kind: n for kind, n in found.counts.items() if n}


def test_each_way_of_sharing_is_found() -> None:
    image = ImageRef(path="/x.png", sha256="0" * 64, width=1, height=1)
    assert kinds((study("1", "p"), False), (study("2", "q"), True)) == {}
    assert kinds((study("1", "p"), False), (study("2", "p"), True)) == {"patient": 1}
    assert kinds((study("1", "p"), False), (study("1", "p"), True)) == {"patient": 1, "study": 1, "report": 1}
    left, right = study("1", "p", "a", None, None, image), study("2", "q", "b", None, None, image)
    assert kinds((left, False), (right, True)) == {"image": 1}
    text = report(1)
    other = f"  {text.upper().replace(' ', '  ')} "
    assert kinds((study("1", "p", text=text), False), (study("2", "q", "b", text=other), True)) == {"report": 1}
    near = text.replace(text.split()[-1], "stable.")
    assert kinds((study("1", "p", text=text), False), (study("2", "q", "b", text=near), True)) == {"near_report": 1}


def test_an_image_that_only_looks_the_same_is_found(tmp_path: Path) -> None:
    y, x = np.mgrid[0:300, 0:260] / 300
    for name, phase, size, kind in (("a.png", 0, (260, 300), "PNG"), ("b.jpg", 0, (400, 460), "JPEG"),
                                    ("c.png", 2, (260, 300), "PNG")):  # fmt: skip
        shade = 120 + 60 * np.sin(9 * x + phase) * np.cos(7 * y + phase)
        Image.fromarray(shade.astype(np.uint8)).resize(size).save(tmp_path / name, kind)
    hashes = [difference_hash((tmp_path / name).read_bytes()) for name in ("a.png", "b.jpg", "c.png")]
    assert distance(hashes[0], hashes[1]) <= NEAR_BITS < distance(hashes[0], hashes[2])
    refs = [ImageRef(path=str(tmp_path / name), sha256=f"{n:064}", width=1, height=1)
            for n, name in enumerate(("a.png", "b.jpg", "c.png", "absent.png"))]  # fmt: skip
    ones = [study(str(n), f"p{n}", "a", None, None, ref) for n, ref in enumerate(refs)]
    pairs = [(one, n == 0) for n, one in enumerate(ones)]
    assert kinds(*pairs, images=True) == {"near_image": 1}
    assert kinds(*pairs) == {}


def test_a_phrase_that_thousands_share_is_counted_and_not_listed_without_end() -> None:
    ones = [
        StudyInSplit(study(str(n), f"p{n}", text="No acute process."), lambda ref: Path(ref.path), n < 100)
        for n in range(200)
    ]
    found = contamination(lambda: ones)
    assert found.counts["report"] == 100 * 100
    assert len(found.pairs) == 1000
    assert not found.contaminated


def test_the_command_splits_and_lists_the_offending_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = store(tmp_path / "one", [study(f"{n}", f"p{n}", split="train" if n else "test") for n in range(30)])
    shared = study("0", "p0", split="train")  # the second stage learns from the first one's test patient
    two = store(tmp_path / "two", [shared.model_copy(update={"id": "a/again"})])
    words = ["split", str(one.root), str(two.root), "--out", str(tmp_path / "splits.yaml"), "--json"]
    assert main([*words, "--pairs", str(tmp_path / "pairs.jsonl"), "--ids", str(tmp_path / "lists")]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["contaminated"] is True
    assert told["counts"]["patient"] == 1
    assert {"kind": "patient", "train": "a/again", "held": "a/0", "detail": "a/p0"} in told["pairs"]
    lines = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert lines == told["pairs"]
    assert stat.S_IMODE((tmp_path / "pairs.jsonl").stat().st_mode) == 0o600
    ids = {name: (tmp_path / "lists" / f"{name}.ids").read_text().split() for name in ("train", "validate", "test")}
    assert sorted(id_ for some in ids.values() for id_ in some) == sorted([*(f"a/{n}" for n in range(30)), "a/again"])
    assert main(["split", str(one.root), "--recipe", str(tmp_path / "splits.yaml")]) == 2  # other studies
    assert "not what the recipe was made for" in capsys.readouterr().err
    assert main(words) == 2
    assert "exists" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_one_file_for_two_outputs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = store(tmp_path / "one", [study("a", "p1", report(1))])
    words = ["split", str(one.root), "--out", str(tmp_path / "o"), "--pairs", str(tmp_path / "x" / ".." / "o")]
    assert main(words) == 2
    assert "is named by --out and --pairs" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_clean_split_is_said_to_be_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = store(tmp_path / "one", MANY[:300])
    assert main(["split", str(one.root), "--out", str(tmp_path / "splits.yaml")]) == 0
    out = capsys.readouterr().out
    assert "splits.yaml" in out
    assert "contaminated" not in out


def test_each_split_becomes_a_store_whose_images_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one" / "images").mkdir(parents=True)
    picture = film(1, ".png")
    (tmp_path / "one" / "images" / "a.png").write_bytes(picture)

    def image(n: int) -> ImageRef:
        return ImageRef(path="images/a.png", view="PA", sha256=f"{n:064x}", width=40, height=48)

    (tmp_path / "one").rename(tmp_path / "kept")
    one = store(tmp_path / "one", [study(f"{n}", f"p{n}", "a", None, None, image(n)) for n in range(40)])
    (tmp_path / "kept" / "images").rename(tmp_path / "one" / "images")
    two = store(tmp_path / "two", [study("x", "x", "b", "test")])
    words = ["split", str(one.root), str(two.root), "--out", str(tmp_path / "splits.yaml")]
    assert main([*words, "--stores", str(tmp_path / "parts")]) == 0
    recipe = read_splits(tmp_path / "splits.yaml")
    for name in ("train", "validate", "test"):
        part = StudyStore.open(tmp_path / "parts" / name)
        assert part.data_class == "restricted" and len(part)
        assert {found.id for found in part} == {s.id for s in [*one, *two] if recipe.of(s) == name}
        assert all(part.path_of(i).read_bytes() == picture for found in part for i in found.images)
    capsys.readouterr()
    again = ["split", str(one.root), str(two.root), "--recipe", str(tmp_path / "splits.yaml")]
    assert main([*again, "--stores", str(tmp_path / "parts")]) == 2
    assert "exists; remove it, or give another --stores" in capsys.readouterr().err


def test_film_is_deterministic() -> None:
    assert film(3) == film(3)


def test_splits_of_other_sources_place_no_study() -> None:
    recipe = resolve(SplitRecipe(test=0.5), [MANY])
    with pytest.raises(InputError, match="splits are of a, and study 'b/x' is of b"):
        recipe.of(study("x", "p1", source="b"))
    assert SplitRecipe(test=0.5).of(study("x", "p1", source="b")) in ("train", "validate", "test")


def test_a_patient_id_that_two_sources_have_is_a_warning(tmp_path: Path) -> None:
    learned = [study("1", "17", "csv"), study("2", "p10000032", "mimic-cxr"), study("3", "18", "csv")]
    held = [study("4", "17.0", "jsonl"), study("5", "10000032", "csv")]
    found = contamination(
        lambda: [StudyInSplit(one, lambda ref: Path(ref.path), one in held) for one in (*learned, *held)]
    )
    alike = [(pair.train, pair.held) for pair in found.pairs if pair.kind == "patient_alike"]
    assert alike == [("csv/1", "jsonl/4"), ("mimic-cxr/2", "csv/5")]
    assert found.counts["patient"] == 0 and not found.contaminated
