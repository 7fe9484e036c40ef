"""ms-swift: messages with `<image>` placeholders, and DPO rows with `rejected_response` where there are pairs.

Image paths are relative; swift finds them under ROOT_IMAGE_DIR, which train.sh sets to the folder itself.
Form: ms-swift 4.6, swift/dataset/preprocessor/core.py and swift/template/vision_utils.py.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from ..exporter import Folder, Row, by_split
from .llama_factory import check, sft_row

__all__ = ["PAIRS", "check", "write"]

PAIRS = "also"
SCRIPT = """\
#!/bin/sh
# SFT; for DPO: swift rlhf --rlhf_type dpo --dataset "$here/dpo_train.jsonl" ...
here=$(cd "$(dirname "$0")" && pwd)
export ROOT_IMAGE_DIR="$here"
exec swift sft --model Qwen/Qwen2.5-VL-3B-Instruct --tuner_type lora --dataset "$here/train.jsonl" "$@"
"""


def write(rows: Iterable[Row], folder: Folder) -> None:
    """SPLIT.jsonl, dpo_SPLIT.jsonl and train.sh."""
    for split, some in by_split(rows):
        folder.lines(f"{split}.jsonl", (sft_row(row, folder) for row in some))
        folder.lines(f"dpo_{split}.jsonl", (pair for row in some for pair in _dpo(row, folder)))
    folder.text("train.sh", SCRIPT)


def _dpo(row: Row, folder: Folder) -> Iterator[dict[str, Any]]:
    for rejection in row.rejected:
        yield sft_row(row, folder) | {"rejected_response": rejection.text}
