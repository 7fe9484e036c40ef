"""That nothing is learned which any stage is tested on: compared by study, patient and image.

A declared test set is a study store (all of it), the small file that `tenstep split` wrote (what it calls test), or a
list of study ids, one a line, gzipped or not. Ids are compared as data/ids.py says. A test set that cannot be compared
(a list none of whose ids is a study at hand, a split of other sources) is no proof of anything and is refused. Equal
report texts are no overlap: many normal reports are the same words.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...data.formats.json_lines import id_lines
from ...data.ids import join_ids, patient_key
from ...data.source import kinds
from ...data.splitting.splits import read_splits
from ...data.store.studies import StudyStore
from ...schemas.errors import InputError, TrainingError
from ...schemas.study import Study


class CheckedList(NamedTuple):
    """A list of ids that shares nothing with what is learned."""

    name: str
    listed: int
    unknown: tuple[str, ...]  # entries that name no study of the stores

    def __str__(self) -> str:
        if not self.unknown:
            return f"{self.name}: all {self.listed:,} ids are studies of the stores"
        first = ", ".join(self.unknown[:3])
        return f"{self.name}: {len(self.unknown):,} of {self.listed:,} ids name no study of the stores (first: {first})"


def check_held_out(
    studies: Sequence[Study], test_sets: Sequence[str], stores: Iterable[StudyStore] = ()
) -> tuple[CheckedList, ...]:
    """Compare what is learned or validated on with every test set.

    Args:
        studies: what is learned or validated on.
        test_sets: names of files and folders.
        stores: the stores that they are from, whose other studies a list may name.

    Returns:
        For each list of ids, how much of it could be compared.

    Raises:
        TrainingError: they overlap; says in how many studies, and names one.
        InputError, RecipeError: a test set is not there, is none, or cannot be compared.
    """
    compared = []
    known = {study.id for study in studies}
    for name in test_sets:
        path = Path(name)
        if path.is_file() and path.suffix not in (".yaml", ".yml"):
            known.update(id_ for store in stores for id_, _ in store.patients())
        shared, said = _shared(studies, path, known)
        if shared:
            first, why = shared[0]
            raise TrainingError(
                f"{len(shared)} studies are in this test set as well (the first is '{first}': {why}); "
                "leave them out, or the test is none",
                file=name,
                field="test_sets",
            )
        compared += said
    return tuple(compared)


def _shared(studies: Sequence[Study], path: Path, known: set[str]) -> tuple[list[tuple[str, str]], list[CheckedList]]:
    if not path.exists():
        raise InputError("there is no such test set", file=path, field="test_sets")
    if path.is_dir():
        return _of_store(studies, StudyStore.open(path)), []
    if path.suffix in (".yaml", ".yml"):
        splits = read_splits(path)
        comparable = [study for study in studies if study.source in splits.sources]
        if studies and not comparable:
            named = ", ".join(sorted(splits.sources)) or "none"
            raise InputError(
                f"splits the sources {named}; what is learned is of {studies[0].source}, so nothing can be compared",
                file=path,
                field="test_sets",
            )
        return [(study.id, "it is test there") for study in comparable if splits.of(study) == "test"], []
    joined = join_ids(id_lines(path), known)
    if not joined.of:
        raise InputError("the list is empty", file=path, field="test_sets")
    if not joined.found and not _of_other_sources(joined.missing, known):
        raise InputError(
            f"none of its {joined.of:,} ids (the first: '{joined.missing[0][:60]}') is a study of the stores, whose "
            f"ids look like '{next(iter(sorted(known)), '')}'; nothing can be compared",
            file=path,
            field="test_sets",
        )
    learned = [(study.id, "it is listed there") for study in studies if study.id in joined.found]
    return learned, [CheckedList(str(path), joined.of, joined.missing)]


def _of_other_sources(entries: Sequence[str], known: Iterable[str]) -> bool:
    """Whether a list is of sources that are known by name and are not those of the stores: then it shares nothing."""
    ours = {id_.partition("/")[0] for id_ in known}
    named = {source if slash else "" for source, slash, _ in (entry.partition("/") for entry in entries)}
    return named <= set(kinds()) - ours


def _of_store(studies: Sequence[Study], store: StudyStore) -> list[tuple[str, str]]:
    ids: set[str] = set()
    patients: set[tuple[str, str]] = set()
    images: set[str] = set()
    for study in store:
        ids.add(study.id)
        patients.add((study.source, patient_key(study.patient_id)))
        images.update(image.sha256 for image in study.images)
    found = []
    for study in studies:
        if study.id in ids:
            found.append((study.id, "the same study"))
        elif (study.source, patient_key(study.patient_id)) in patients:
            found.append((study.id, "the same patient"))
        elif any(image.sha256 in images for image in study.images):
            found.append((study.id, "the same image"))
    return found
