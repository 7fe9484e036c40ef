"""Studies that a student fails on, back to curation as a study store.

`tenstep curate RECIPE --studies` takes it as it takes any other, so that a teacher writes traces for what the student
does not yet know.
"""

from pathlib import Path

from ..data.run import RunFolder
from ..data.store.studies import StudyStore


def redo(out: Path, store: Path) -> int:
    """Write the studies that were answered, but none of whose answers was accepted, as a study store for curation.

    Args:
        out: the sampling run.
        store: the new store's folder.

    Returns:
        how many studies there are; for none, no store is written.

    Raises:
        InputError: there is something at `store`.
    """
    with RunFolder.read(out) as run:
        passed: dict[str, bool] = {}
        for candidate, verdict in run.judged(by_study=True):
            passed[candidate.study_id] = passed.get(candidate.study_id, False) or verdict.accepted
        failed = [study_id for study_id, accepted in passed.items() if not accepted]
        if failed:
            with StudyStore.create(store, "sample") as writer:
                for study_id in failed:
                    writer.add(run.studies.with_full_paths(run.studies.get(study_id)))
    return len(failed)
