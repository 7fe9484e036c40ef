"""Preference pairs to TRL's DPOTrainer: one batch, the accepted texts first, then the rejected ones in the same order.

Pairs are collated as examples are (collator.py), because TRL's own collator of pairs processes prompt and completion
separately, which fails for Llama 3.2 Vision as it does in supervised training. The reference that the student is held
to is its base, with the adapters switched off, so the recipe's base is the student that is to be improved: merged.
"""

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

from ...schemas.errors import TrainingError
from ...schemas.learning import PreferenceOptimization
from .collator import IGNORED, Collate, TrainingRow, with_rejected

_READS_IMAGE_TOKENS = (1, 16)


class PairCollator:
    """Makes batches of pairs, of twice as many rows as pairs."""

    def __init__(self, collate: Collate) -> None:
        self._collate = collate

    def __call__(self, rows: Sequence[TrainingRow]) -> Mapping[str, Any]:
        """A batch: the processor's tensors and `completion_mask`, of shape (2 * pairs, tokens).

        Raises:
            TrainingError, ImageError: as CompletionCollator.
        """
        batch = dict(self._collate(with_rejected(rows)))
        batch["completion_mask"] = (batch.pop("labels") != IGNORED).long()
        return batch


def preferring(
    preference: PreferenceOptimization, arguments: dict[str, Any], given: dict[str, Any], collate: Collate
) -> Any:
    """A DPOTrainer.

    Args:
        preference: the recipe's.
        arguments: for its config, in addition to its own.
        given: for the trainer: model, tables, processor, adapters.
        collate: rows to batches.

    Raises:
        TrainingError: this version of TRL cannot train the family.
    """
    from trl import DPOConfig, DPOTrainer

    check_image_token(given["model"], importlib.metadata.version("trl"))
    config = DPOConfig(**arguments, beta=preference.beta, max_length=None)  # ours is checked, not cut
    return DPOTrainer(args=config, data_collator=PairCollator(collate), **given)


def check_image_token(model: Any, version: str) -> None:
    """TRL before 1.16 looks up every token of a text among those that the head predicts, and Llama 3.2 Vision's image
    token is not one of them.

    Raises:
        TrainingError: this version of TRL cannot train the model.
    """
    token, rows = getattr(model.config, "image_token_id", None), model.get_output_embeddings().out_features
    if tuple(map(int, version.split(".")[:2])) < _READS_IMAGE_TOKENS and token is not None and token >= rows:
        raise TrainingError(
            f"method dpo trains a {model.config.model_type} with TRL 1.16 or newer, and {version} is installed; "
            "upgrade trl, or train with method sft or grpo",
            field="method",
        )
