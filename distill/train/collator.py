"""Rows to a batch: one processor call on whole conversations, loss on the target only, padding on the right.

Ours because the obvious ways fail for Llama 3.2 Vision: training libraries process prompt and completion separately
(a second BOS becomes the first trained token, and the cross-attention mask keeps the prompt's length), take the
image's token as a label, or cut a long target in silence. Here a long example is an error that names its study.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from PIL import Image

from ...schemas.errors import TrainingError
from ..chat import conversation

IGNORED = -100


class TrainingRow(TypedDict):
    """One example as the trainer's table holds it; the image is opened when its batch is made."""

    study: str
    image: str
    prompt: str
    target: str
    image_sha256: NotRequired[str]
    rejected: NotRequired[str]  # of a preference pair: the text that is not to be preferred
    reference_report: NotRequired[str]  # for a reward
    views: NotRequired[list[str]]
    has_prior: NotRequired[bool]


Collate = Callable[[Sequence[TrainingRow]], Mapping[str, Any]]  # rows to a batch


def with_rejected(rows: Sequence[TrainingRow]) -> list[TrainingRow]:
    """All rows, then those of the pairs once more with the rejected text as their target."""
    others = [row.copy() for row in rows if "rejected" in row]
    for row in others:
        row["target"] = row["rejected"]
    return [*rows, *others]


class CompletionCollator:
    """Makes batches of rows.

    Args:
        processor: the checkpoint's own.
        max_length: tokens of a whole conversation, image tokens included; none to allow any number.
        open_image: from a row's `image` to an RGB image.
    """

    def __init__(self, processor: Any, max_length: int | None, open_image: Callable[[str], Image.Image]) -> None:
        self.processor = processor
        self.max_length = max_length
        self.open_image = open_image

    def __call__(self, rows: Sequence[TrainingRow]) -> Mapping[str, Any]:
        """A batch: the processor's tensors of shape (rows, tokens, ...) and `labels` of shape (rows, tokens).

        Raises:
            TrainingError: an example has more than `max_length` tokens, or the target's tokens depend on the prompt.
            ImageError: an image cannot be opened.
        """
        import torch

        texts = [conversation(self.processor, row["prompt"], row["target"]) for row in rows]
        batch = self.processor(
            images=[[self.open_image(row["image"])] for row in rows],
            text=[head + completion for head, completion in texts],
            padding=True,
            padding_side="right",
            add_special_tokens=False,
            return_tensors="pt",
        )
        labels = torch.full_like(batch["input_ids"], IGNORED)
        lengths = batch["attention_mask"].sum(dim=1).tolist()
        for at, (row, (_, completion), length) in enumerate(zip(rows, texts, lengths, strict=True)):
            if self.max_length is not None and length > self.max_length:
                raise too_long(row["study"], length, self.max_length)
            answer = self.processor.tokenizer(completion, add_special_tokens=False)["input_ids"]
            start = length - len(answer)
            if batch["input_ids"][at, start:length].tolist() != answer:
                raise TrainingError(
                    f"study '{row['study']}': its target's first token merges with the prompt; "
                    "targets must not begin with white space"
                )
            labels[at, start:length] = batch["input_ids"][at, start:length]
        batch["labels"] = labels
        return dict(batch)


def too_long(study: str, length: int, limit: int) -> TrainingError:
    """The error for an example that does not fit."""
    return TrainingError(
        f"study '{study}': {length} tokens, more than the {limit} of max_length; raise max_length or leave it out",
        field="max_length",
    )
