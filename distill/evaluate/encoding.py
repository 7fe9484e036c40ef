"""Texts through an encoder: cut to what it takes, in batches of like length, on the card where there is one.

A text that is longer than the encoder's positions is cut, and counted. How many positions there are is read from the
model: RoBERTa's kind begins to count behind the padding token, so that two of its 514 are never used.
"""

from collections.abc import Iterator, Sequence
from typing import Any

_BATCH, _BATCH_ON_CARD = 16, 64


class Encoder:
    """An encoder with its tokenizer, and which texts were too long for it."""

    def __init__(self, model: Any, tokenizer: Any, most: int | None = None) -> None:
        """Put the model where it computes.

        Args:
            model: of transformers, in evaluation mode.
            tokenizer: its tokenizer.
            most: tokens of a text, if the authors of a metric cut earlier.
        """
        import torch

        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device)
        self.tokenizer = tokenizer
        self.longest = min(most or tokenizer.model_max_length, tokenizer.model_max_length, positions(model))
        self._cut: set[str] = set()

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with the tokens that open and close it."""
        found: list[list[int]] = self.tokenizer(list(texts), truncation=True, max_length=self.longest)["input_ids"]
        full = [at for at, ids in enumerate(found) if len(ids) >= self.longest]
        whole = self.tokenizer([texts[at] for at in full], verbose=False)["input_ids"] if full else []
        self._cut |= {texts[at] for at, ids in zip(full, whole, strict=True) if len(ids) > self.longest}
        return found

    def batch(self, ids: Sequence[Sequence[int]]) -> dict[str, Any]:
        """Several texts as one batch, on the model's device."""
        padded = self.tokenizer.pad({"input_ids": [list(one) for one in ids]}, return_tensors="pt")
        return {name: padded[name].to(self.device) for name in ("input_ids", "attention_mask")}

    def batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Places of texts, the longest first: a card that is too small says so at once."""
        size = _BATCH if self.device.type == "cpu" else _BATCH_ON_CARD
        order = sorted(range(len(lengths)), key=lambda at: -lengths[at])
        yield from (order[start : start + size] for start in range(0, len(order), size))

    def remarks(self, texts: Sequence[str]) -> tuple[str, ...]:
        """What a reader of figures about these texts should know."""
        cut = sum(text in self._cut for text in texts)
        return (f"{cut} of {len(texts)} texts were cut to {self.longest} tokens",) if cut else ()


def positions(model: Any) -> int:
    """How many tokens a model has positions for."""
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    if table is not None and getattr(table, "padding_idx", None) is not None:
        return int(table.num_embeddings) - int(table.padding_idx) - 1
    return int(getattr(model.config, "max_position_embeddings", 512))
