"""llama-factory: ShareGPT rows with dataset_info.json, for SFT, and ranking rows for DPO where there are pairs.

Its converter skips a bad row with a warning only, and looks for images under `media_dir`, which is the dataset's folder
by default. So a text that holds its placeholder is refused, and the tests count the rows that it loads.
Form: LLaMA-Factory 0.9.5, data/README.md and src/llamafactory/data/converter.py.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from ..exporter import Folder, Row, by_split

PAIRS = "also"
PLACEHOLDER = "<image>"
_TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
CONFIG = """\
# llamafactory-cli train train.yaml       (in this folder)
model_name_or_path: Qwen/Qwen2.5-VL-3B-Instruct
template: qwen2_vl
stage: sft                                # or: dpo, with dataset: tenstep_dpo_train
do_train: true
finetuning_type: lora
dataset_dir: .
dataset: tenstep_train
cutoff_len: 8192
output_dir: saves
"""


def check(row: Row) -> str | None:
    """Its placeholder in a text would ask for another image."""
    texts = (row.prompt, row.target, *(one.text for one in row.rejected))
    return f"a text holds {PLACEHOLDER}" if any(PLACEHOLDER in text for text in texts) else None


def write(rows: Iterable[Row], folder: Folder) -> None:
    """tenstep_SPLIT.json, tenstep_dpo_SPLIT.json, dataset_info.json and train.yaml."""
    info: dict[str, Any] = {}
    for split, some in by_split(rows):
        name = f"tenstep_{split}"
        folder.array(f"{name}.json", (sft_row(row, folder) for row in some))
        columns = {"messages": "messages", "images": "images"}
        info[name] = {"file_name": f"{name}.json", "formatting": "sharegpt", "columns": columns, "tags": _TAGS}
        name = f"tenstep_dpo_{split}"
        if folder.array(f"{name}.json", (pair for row in some for pair in _ranking(row, folder))):
            info[name] = {
                "file_name": f"{name}.json",
                "formatting": "sharegpt",
                "ranking": True,
                "columns": {
                    "messages": "conversations",
                    "chosen": "chosen",
                    "rejected": "rejected",
                    "images": "images",
                },
            }
    folder.json("dataset_info.json", info)
    folder.text("train.yaml", CONFIG)


def asked(row: Row) -> str:
    """The prompt behind one placeholder for each image."""
    return PLACEHOLDER * len(row.films) + row.prompt


def sft_row(row: Row, folder: Folder) -> dict[str, Any]:
    """A row with question and answer as messages."""
    turns = [{"role": "user", "content": asked(row)}, {"role": "assistant", "content": row.target}]
    return {"messages": turns, "images": folder.images(row)}


def _ranking(row: Row, folder: Folder) -> Iterator[dict[str, Any]]:
    for rejection in row.rejected:
        yield {
            "conversations": [{"from": "human", "value": asked(row)}],
            "chosen": {"from": "gpt", "value": row.target},
            "rejected": {"from": "gpt", "value": rejection.text},
            "images": folder.images(row),
        }
