"""trl-dpo: preference pairs for TRL's DPOTrainer: the accepted text, and one that rules rejected for the same study.

Form: TRL 1.16, `DataCollatorForVisionPreference` in trl/trainer/dpo_trainer.py.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from ..exporter import Folder, Row, by_split
from .trl import LOADER

PAIRS = "only"


def write(rows: Iterable[Row], folder: Folder) -> None:
    """pairs/, one file a split, and load.py."""
    for split, some in by_split(rows):
        folder.lines(f"pairs/{split}.jsonl", (pair for row in some for pair in _pairs(row, folder)))
    folder.text("load.py", LOADER.format(form="pairs").replace("SFTTrainer", "DPOTrainer"))


def _pairs(row: Row, folder: Folder) -> Iterator[dict[str, Any]]:
    for rejection in row.rejected:
        yield {
            "id": row.id,
            "images": folder.images(row),
            "prompt": [{"role": "user", "content": row.prompt}],
            "chosen": [{"role": "assistant", "content": row.target}],
            "rejected": [{"role": "assistant", "content": rejection.text}],
            "rejected_by": list(rejection.rules),
        }
