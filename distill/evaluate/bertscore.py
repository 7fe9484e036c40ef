"""BERTScore (Zhang et al. 2020) with an encoder from a local folder: greedy cosine matching, no idf, no rescaling.

Special tokens at both ends can be matched but are not counted, as in the authors' package. A figure says which encoder
and layer made it: it means nothing without them.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ... import __version__
from ...schemas.errors import InputError
from ..libraries import quiet
from .measure import Measure, Pair, mean, mean_of

_BATCH = 16


def bertscore(pairs: Sequence[Pair], encoder: Path, layer: int | None = None) -> Measure:
    """BERTScore-F1.

    Args:
        pairs: what is compared; an empty hypothesis scores 0.
        encoder: a checkpoint's folder with its tokenizer, in safetensors.
        layer: the hidden layer, from 1; the last one if not given.

    Raises:
        InputError: the encoder cannot be loaded, or has no such layer.
    """
    with quiet():
        import torch

        model, tokenizer = _load(encoder)
        depth = model.config.num_hidden_layers
        layer = layer or depth
        if not 1 <= layer <= depth:
            raise InputError(f"the encoder has layers 1 to {depth}", file=encoder, field="bertscore-layer")
        scores = []
        with torch.inference_mode():
            for start in range(0, len(pairs), _BATCH):
                some = pairs[start : start + _BATCH]
                ours = _embed(model, tokenizer, [pair.hypothesis for pair in some], layer)
                theirs = _embed(model, tokenizer, [pair.reference for pair in some], layer)
                scores += [_f1(one, other) for one, other in zip(ours, theirs, strict=True)]
    described = f"encoder {encoder.name} ({_fingerprint(encoder)}), layer {layer} of {depth}, no idf, not rescaled"
    return Measure("BERTScore-F1", "tenstep", __version__, described, mean_of(scores), mean)


def _load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    if not any(folder.glob("*.safetensors")):
        raise InputError("no encoder in safetensors here; nothing is fetched, give a local folder", file=folder)
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        model = AutoModel.from_pretrained(folder, use_safetensors=True, **local).eval()
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"the encoder cannot be loaded ({error})", file=folder) from None
    return model, tokenizer


def _embed(model: Any, tokenizer: Any, texts: Sequence[str], layer: int) -> list[tuple[Any, Any]]:
    """Unit vectors of each text's tokens, shape (tokens, width), and which tokens count, shape (tokens,)."""
    import torch

    longest = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 512))
    batch = tokenizer(
        [text.strip() for text in texts], padding=True, truncation=True, max_length=longest, return_tensors="pt"
    )
    hidden = model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], output_hidden_states=True
    ).hidden_states[layer]
    unit = torch.nn.functional.normalize(hidden.float(), dim=-1)
    ends = torch.tensor([tokenizer.cls_token_id, tokenizer.sep_token_id])
    there = batch["attention_mask"].bool()
    counted = ~torch.isin(batch["input_ids"], ends)
    return [(unit[at][there[at]], counted[at][there[at]]) for at in range(len(texts))]


def _f1(ours: tuple[Any, Any], theirs: tuple[Any, Any]) -> float:
    (one, counts_one), (other, counts_other) = ours, theirs
    if not counts_one.any() or not counts_other.any():
        return 0.0
    alike = one @ other.T
    precision = float(alike.max(dim=1).values[counts_one].mean())
    recall = float(alike.max(dim=0).values[counts_other].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:12]
