"""unsloth: conversations for UnslothVisionDataCollator: a Python list with images opened, which load.py makes.

Unsloth's notebooks say list, not `map`. Its collator shrinks images to the model's size by default (`resize="min"`).
Form: unsloth_zoo 2026.10, vision_utils.py.
"""

from collections.abc import Iterable
from typing import Any

from ..exporter import Folder, Row, by_split

PAIRS = "none"
LOADER = '''"""This folder for Unsloth: `from load import load`, then SFTTrainer(train_dataset=load(), data_collator=
UnslothVisionDataCollator(model, tokenizer), ...)."""

import json
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent


def conversation(row):
    """One row as Unsloth's collator wants it."""
    images = [{"type": "image", "image": Image.open(HERE / path).convert("RGB")} for path in row["images"]]
    question = [*images, {"type": "text", "text": row["prompt"]}]
    answer = [{"type": "text", "text": row["completion"]}]
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def load(split="train"):
    """A list of conversations."""
    with (HERE / f"{split}.jsonl").open(encoding="utf-8") as lines:
        return [conversation(json.loads(line)) for line in lines]


if __name__ == "__main__":
    print(len(load()), load()[0])
'''


def write(rows: Iterable[Row], folder: Folder) -> None:
    """One file a split, and load.py."""
    for split, some in by_split(rows):
        folder.lines(f"{split}.jsonl", (_line(row, folder) for row in some))
    folder.text("load.py", LOADER)


def _line(row: Row, folder: Folder) -> dict[str, Any]:
    return {"id": row.id, "images": folder.images(row), "prompt": row.prompt, "completion": row.target}
