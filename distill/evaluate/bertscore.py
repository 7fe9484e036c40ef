"""BERTScore (Zhang et al. 2020) with an encoder from a local folder: greedy cosine matching, no idf, no rescaling.

Special tokens at both ends can be matched but are not counted, as in the authors' package. A figure says which encoder
and layer made it: it means nothing without them.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...schemas.errors import InputError, why
from ...schemas.version import __version__
from ..libraries import quiet
from ..load import sha256_of
from .encoding import Encoder
from .measure import Measure, MeasureOf, Pair, mean, mean_of


def bertscore(pairs: Sequence[Pair], encoder: Path, layer: int | None = None) -> MeasureOf:
    """Score all pairs of texts, each once.

    Args:
        pairs: what is compared; an empty hypothesis scores 0.
        encoder: a checkpoint's folder with its tokenizer, in safetensors.
        layer: the hidden layer, from 1; the last one if not given.

    Returns:
        BERTScore-F1 of any of the pairs.

    Raises:
        InputError: the encoder cannot be loaded, or has no such layer.
    """
    texts = list(dict.fromkeys((pair.hypothesis.strip(), pair.reference.strip()) for pair in pairs))
    with quiet():
        import torch

        model, tokenizer = _load(encoder)
        depth = model.config.num_hidden_layers
        layer = layer or depth
        if not 1 <= layer <= depth:
            raise InputError(
                f"the encoder has layers 1 to {depth}; choose one of them", file=encoder, field="bertscore-layer"
            )
        reader = Encoder(model, tokenizer)
        ours, theirs = (reader.tokens([both[side] for both in texts]) for side in (0, 1))
        scores: dict[tuple[str, str], float] = {}
        with torch.inference_mode():
            for some in reader.batches([max(len(one), len(two)) for one, two in zip(ours, theirs, strict=True)]):
                sides = (_embed(reader, [ids[at] for at in some], layer) for ids in (ours, theirs))
                scores |= {texts[at]: _f1(one, other) for at, one, other in zip(some, *sides, strict=True)}
    described = f"encoder {encoder.name} ({_fingerprint(encoder)}), layer {layer} of {depth}, no idf, not rescaled"

    def measure(of: Sequence[Pair]) -> Measure:
        both = [(pair.hypothesis.strip(), pair.reference.strip()) for pair in of]
        remarks = reader.remarks([text for pair in both for text in pair])
        values = mean_of([scores[pair] for pair in both])
        return Measure("BERTScore-F1", "tenstep", __version__, described, values, mean, remarks=remarks)

    return measure


def _load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    if not any(folder.glob("*.safetensors")):
        raise InputError("no encoder in safetensors here; nothing is fetched, give a local folder", file=folder)
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        model = AutoModel.from_pretrained(folder, use_safetensors=True, **local).eval()
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"the encoder cannot be loaded ({why(error)}); fetch it again", file=folder) from None
    if tokenizer.pad_token_id is None:
        raise InputError(
            "the tokenizer has no padding token, so texts cannot be read together; choose another encoder", file=folder
        )
    return model, tokenizer


def _embed(reader: Encoder, ids: Sequence[Sequence[int]], layer: int) -> list[tuple[Any, Any]]:
    """Unit vectors of each text's tokens, shape (tokens, width), and which tokens count, shape (tokens,)."""
    import torch

    batch = reader.batch(ids)
    hidden = reader.model(**batch, output_hidden_states=True).hidden_states[layer]
    unit = torch.nn.functional.normalize(hidden.float(), dim=-1)
    ends = [one for one in (reader.tokenizer.cls_token_id, reader.tokenizer.sep_token_id) if one is not None]
    there = batch["attention_mask"].bool()
    counted = ~torch.isin(batch["input_ids"], torch.tensor(ends, device=reader.device))
    return [(unit[at][there[at]], counted[at][there[at]]) for at in range(len(ids))]


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
        digest.update(bytes.fromhex(sha256_of(file)))
    return digest.hexdigest()[:12]
