"""What several tests of curation start from: a store, and teachers that say what a script says."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tenstep.data.store.studies import StudyStore
from tenstep.schemas.study import Study
from tenstep.validators.rule import ten

GOOD = ten(report=None)
NINE = "\n".join(GOOD.split("\n")[:9])


def make_store(folder: Path, studies: Iterable[Study]) -> StudyStore:
    """A new store of these studies."""
    with StudyStore.create(folder, "t") as writer:
        for study in studies:
            writer.add(study)
    return StudyStore.open(folder)


def scripted(folder: Path, texts: Mapping[str, Sequence[str]], name: str = "scripted") -> dict[str, Any]:
    """The spec of a teacher with answers in turn for each study, named without its `t/`; the folder gets its log."""
    script = folder / f"{name}.jsonl"
    script.write_text("".join(json.dumps({"id": f"t/{key}", "texts": said}) + "\n" for key, said in texts.items()))
    return {"kind": "scripted", "name": name, "options": {"script": str(script), "log": str(folder / f"{name}.log")}}


def asked(folder: Path, name: str = "scripted") -> list[list[Any]]:
    """What such a teacher was asked: study and attempt, in its order."""
    log = folder / f"{name}.log"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
