"""trl: rows for TRL's SFTTrainer, as prompt and completion and as messages.

Prompt and completion is the form to use: the loss is then on the completion alone, without a template that marks the
assistant's tokens. Llama 3.2 Vision is the exception: its processor makes the cross-attention mask for a whole text,
and TRL joins prompt and completion after that, so it takes messages. Contents are plain strings: TRL puts one image
placeholder for each image before the first of them, and a struct with an image key would get empty images from Arrow
in every text part. Form: TRL 1.16, docs/source/dataset_formats.md, and `prepare_multimodal_messages` in
trl/data_utils.py.
"""

from collections.abc import Iterable
from typing import Any

from ..exporter import Folder, Row, by_split

PAIRS = "none"
LOADER = '''"""This folder for TRL: `python load.py` prints it; `from load import load` gives it to SFTTrainer."""

from pathlib import Path

from datasets import Image, List, load_dataset

HERE = Path(__file__).parent


def load(form="{form}"):
    """A DatasetDict; images are decoded when a row is read."""
    found = load_dataset("json", data_files={{f.stem: str(f) for f in sorted((HERE / form).glob("*.jsonl"))}})
    found = found.map(lambda row: {{"images": [str(HERE / path) for path in row["images"]]}})
    return found.cast_column("images", List(Image()))


if __name__ == "__main__":
    print(load())
'''


def write(rows: Iterable[Row], folder: Folder) -> None:
    """prompt_completion/ and messages/, one file a split, and load.py."""
    for split, some in by_split(rows):
        folder.lines(f"prompt_completion/{split}.jsonl", (_prompt_completion(row, folder) for row in some))
        folder.lines(f"messages/{split}.jsonl", (_messages(row, folder) for row in some))
    folder.text("load.py", LOADER.format(form="prompt_completion"))


def _prompt_completion(row: Row, folder: Folder) -> dict[str, Any]:
    return {
        "id": row.id,
        "images": folder.images(row),
        "prompt": [{"role": "user", "content": row.prompt}],
        "completion": [{"role": "assistant", "content": row.target}],
    }


def _messages(row: Row, folder: Folder) -> dict[str, Any]:
    turns = [{"role": "user", "content": row.prompt}, {"role": "assistant", "content": row.target}]
    return {"id": row.id, "images": folder.images(row), "messages": turns}
