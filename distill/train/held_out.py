"""That nothing is learned which any stage is tested on: compared by study, patient and image.

A declared test set is a study store (all of it), the small file that `tenstep split` wrote (what it calls test), or a
list of study ids, one a line. Equal report texts are no overlap: many normal reports are the same words.
"""

from collections.abc import Sequence
from pathlib import Path

from ...data.formats.json_lines import id_lines
from ...data.splitting.splits import read_splits
from ...data.store.studies import StudyStore
from ...schemas.errors import InputError, TrainingError
from ...schemas.study import Study


def check_apart(studies: Sequence[Study], test_sets: Sequence[str]) -> None:
    """Compare what is learned or watched with every test set.

    Raises:
        TrainingError: they overlap; says in how many studies, and names one.
        InputError, RecipeError: a test set is not there, or is none.
    """
    for name in test_sets:
        shared = _shared(studies, Path(name))
        if shared:
            first, why = shared[0]
            raise TrainingError(
                f"{len(shared)} studies are not apart from this test set (the first is '{first}': {why}); "
                "leave them out, or the test is none",
                file=name,
                field="test_sets",
            )


def _shared(studies: Sequence[Study], path: Path) -> list[tuple[str, str]]:
    if not path.exists():
        raise InputError("there is no such test set", file=path, field="test_sets")
    if path.is_dir():
        return _of_store(studies, StudyStore.open(path))
    if path.suffix in (".yaml", ".yml"):
        splits = read_splits(path)
        known = (study for study in studies if study.source in splits.sources)
        return [(study.id, "it is test there") for study in known if splits.of(study) == "test"]
    listed = set(id_lines(path))
    return [(study.id, "it is listed there") for study in studies if study.id in listed]


def _of_store(studies: Sequence[Study], store: StudyStore) -> list[tuple[str, str]]:
    ids: set[str] = set()
    patients: set[tuple[str, str]] = set()
    images: set[str] = set()
    for study in store:
        ids.add(study.id)
        patients.add((study.source, study.patient_id))
        images.update(image.sha256 for image in study.images)
    found = []
    for study in studies:
        if study.id in ids:
            found.append((study.id, "the same study"))
        elif (study.source, study.patient_id) in patients:
            found.append((study.id, "the same patient"))
        elif any(image.sha256 in images for image in study.images):
            found.append((study.id, "the same image"))
    return found
