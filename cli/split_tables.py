"""What `tenstep split` does and shows: the small file, the tables, the lists."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ..data.files import replacing
from ..data.splitting.contamination import ERRORS, KINDS, LISTED, Contamination, StudyInSplit, contamination
from ..data.splitting.splits import SPLITS, SplitRecipe, resolve, write_splits
from ..data.store.studies import StudyStore
from ..data.workers import Workers
from ..schemas.errors import InputError
from ..schemas.outcome import Outcome, Table

_SHOWN = 20


def split_stores(
    roots: Sequence[Path],
    recipe: SplitRecipe,
    out: Path | None,
    *,
    similarity: float,
    images: bool,
    pairs: Path | None = None,
    ids: Path | None = None,
    parts: Path | None = None,
    workers: Workers = 1,
    kept: Path | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Split stores, look for contamination, write the files.

    Args:
        roots: the stores, of all stages and sources that share a test.
        recipe: the small file, resolved or not.
        out: where to write it; none if it was read.
        similarity: see splitting/contamination.py.
        images: see splitting/contamination.py.
        pairs: file for all pairs that are listed, one JSON object a line.
        ids: folder for lists of ids, one file a split.
        parts: folder for a study store of each split; images stay where they are.
        workers: see splitting/contamination.py.
        kept: see splitting/contamination.py.
        on_progress: see splitting/contamination.py.
    """
    stores = [StudyStore.open(root) for root in roots]
    if out is not None and out.exists():
        raise InputError("exists; give another --out, or use it again with --recipe", file=out)
    if pairs is not None and pairs.exists():
        raise InputError("exists; remove it, or give another --pairs", file=pairs)
    if ids is not None and (found_ids := [name for name in SPLITS if (ids / f"{name}.ids").exists()]):
        raise InputError("exists; remove it, or give another --ids", file=ids / f"{found_ids[0]}.ids")
    if parts is not None and (there := [name for name in SPLITS if (parts / name).exists()]):
        raise InputError("exists; remove it, or give another --stores", file=parts / there[0])
    resolved = resolve(recipe, stores)

    def every() -> Iterator[StudyInSplit]:
        for store in stores:
            for study in store:
                yield StudyInSplit(study, store.path_of, resolved.of(study) != "train")

    found = contamination(
        every, similarity=similarity, images=images, workers=workers, kept=kept, on_progress=on_progress
    )
    private = any(store.data_class == "restricted" for store in stores)
    if out is not None:
        write_splits(resolved, out)
    if pairs is not None:
        _write(pairs, (json.dumps(pair._asdict(), ensure_ascii=False) for pair in found.pairs), private=private)
    if ids is not None:
        ids.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
        for name in SPLITS:
            named = (study.id for store in stores for study in store if resolved.of(study) == name)
            _write(ids / f"{name}.ids", dict.fromkeys(named), private=private)
    if parts is not None:
        _write_stores(resolved, stores, parts)
    return _outcome(resolved, found, out).model_copy(update={"private": private})


def _write_stores(recipe: SplitRecipe, stores: Sequence[StudyStore], folder: Path) -> None:
    """A store of each split that has studies; a study that several stores hold is written once."""
    for name in SPLITS:
        held = {study.id: store for store in stores for study in store if recipe.of(study) == name}
        if held:
            with StudyStore.create(folder / name, "split") as writer:
                for study_id, store in held.items():
                    writer.add(store.with_full_paths(store.get(study_id)))


def _outcome(recipe: SplitRecipe, found: Contamination, out: Path | None) -> Outcome:
    sources = Table(
        title="studies (patients)",
        columns=("source", "published", *SPLITS),
        rows=tuple(
            (
                name,
                ", ".join(s.published) or "-",
                *(f"{s.studies[split]:,} ({s.patients[split]:,})" for split in SPLITS),
            )
            for name, s in recipe.sources.items()
        ),
    )
    shared = Table(
        title="shared by train and held-out studies",
        columns=("what", "pairs", ""),
        rows=tuple((kind, f"{found.counts[kind]:,}", "error" if kind in ERRORS else "warning") for kind in KINDS),
    )
    first = [pair for kind in KINDS for pair in found.pairs if pair.kind == kind][:_SHOWN]
    listed = Table(title="pairs", columns=("what", "train", "held out", "detail"), rows=tuple(tuple(p) for p in first))
    notes = [] if out is None else [f"{out}: reproduces this with --recipe {out}"]
    if len(found.pairs) > _SHOWN:
        notes.append(f"the first {_SHOWN} pairs are shown; --json and --pairs give the first {LISTED} of each kind")
    if found.contaminated:
        notes.append("contaminated: the held-out studies above are no test of what learns from these; take them out")
    return Outcome(
        payload={
            "recipe": recipe.model_dump(mode="json", by_alias=True),
            "contaminated": found.contaminated,
            "counts": found.counts,
            "pairs": [pair._asdict() for pair in found.pairs],
        },
        tables=(sources, shared, *((listed,) if first else ())),
        notes=tuple(notes),
        exit_code=2 if found.contaminated else 0,
    )


def _write(path: Path, lines: Iterable[str], *, private: bool) -> None:
    with replacing(path, private=private) as file:
        file.writelines(f"{line}\n" for line in lines)
