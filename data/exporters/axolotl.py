"""axolotl: messages whose content parts hold the image paths, and the configuration that they need.

With an `images` column axolotl takes the first image only, so each path stands in a part of its own. Paths are relative
to the folder: train there. Form: axolotl 0.19, docs/multimodal.qmd and axolotl/processing_strategies.py.
"""

from collections.abc import Iterable
from typing import Any

from ..exporter import Folder, Row, by_split

PAIRS = "none"
CONFIG = """\
# axolotl train axolotl.yaml              (in this folder)
base_model: Qwen/Qwen2.5-VL-3B-Instruct
processor_type: AutoProcessor
chat_template: qwen2_vl
skip_prepare_dataset: true                # these four are what multimodal training needs
remove_unused_columns: false
sample_packing: false
sequence_len: 8192
datasets:
  - path: train.jsonl
    ds_type: json
    type: chat_template
    field_messages: messages
adapter: lora
lora_r: 16
lora_alpha: 16
lora_target_linear: true
micro_batch_size: 1
num_epochs: 1
learning_rate: 1.0e-4
optimizer: adamw_torch
output_dir: out
"""


def write(rows: Iterable[Row], folder: Folder) -> None:
    """SPLIT.jsonl and axolotl.yaml."""
    for split, some in by_split(rows):
        folder.lines(f"{split}.jsonl", (_line(row, folder) for row in some))
    folder.text("axolotl.yaml", CONFIG)


def _line(row: Row, folder: Folder) -> dict[str, Any]:
    question = [{"type": "image", "path": path} for path in folder.images(row)]
    return {
        "messages": [
            {"role": "user", "content": [*question, {"type": "text", "text": row.prompt}]},
            {"role": "assistant", "content": [{"type": "text", "text": row.target}]},
        ]
    }
