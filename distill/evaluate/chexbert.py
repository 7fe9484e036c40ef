"""CheXbert (Smit et al. 2020): our own loader of its weights, since the package that has one no longer runs.

The architecture is BERT with 14 linear heads on the first token: 13 of four classes (blank, positive, negative,
uncertain), and two classes (blank, positive) for No Finding. All sizes are read from the weights. The file is opened as
weights only, so it cannot run code. Weights and the tokenizer of bert-base-uncased are the user's.
"""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...schemas.errors import InputError, cannot_be_read
from ..libraries import quiet
from ..load import sha256_of
from .encoding import Encoder
from .labels import LABELS, Positive, f1_measures
from .measure import Measure, Pair
from .words import flat

POSITIVE, UNCERTAIN = 1, 3
_TOKENS = 512  # of a text; the authors cut there
_HEAD = 64  # width of an attention head, in every BERT
_LAYER = re.compile(r"bert\.encoder\.layer\.(\d+)\.")


def chexbert_f1(pairs: Sequence[Pair], weights: Path, tokenizer: Path) -> Callable[[Sequence[Pair]], list[Measure]]:
    """Label all texts, each once.

    Args:
        pairs: what is compared.
        weights: chexbert.pth.
        tokenizer: the folder of bert-base-uncased's tokenizer.

    Returns:
        CheXbert-F1 of any of the pairs: over 14 and 5 labels, micro and macro, and of each label.

    Raises:
        InputError: weights or tokenizer cannot be used.
    """
    texts = list(dict.fromkeys(flat(text) for pair in pairs for text in (pair.hypothesis, pair.reference)))
    with quiet():
        bert, heads = load(weights)
        reader = Encoder(bert, _tokenizer(tokenizer, bert.config.vocab_size), _TOKENS)
        labels = dict(zip(texts, _labels(reader, heads, texts), strict=True))
    described = f"weights {sha256_of(weights)[:12]}; uncertain counts as positive"

    def measures(of: Sequence[Pair]) -> list[Measure]:
        sides = [[flat(pair.hypothesis) for pair in of], [flat(pair.reference) for pair in of]]
        hypotheses, references = (np.stack([labels[text] for text in side]) for side in sides)
        implementation = ("tenstep's loader of chexbert", "CheXbert", described)
        remarks = reader.remarks([*sides[0], *sides[1]])
        return f1_measures("CheXbert-F1", hypotheses, references, implementation, remarks)

    return measures


def load(weights: Path) -> tuple[Any, Any]:
    """The encoder and its heads, in evaluation mode.

    Raises:
        InputError: the file is missing, no plain table of weights, or not CheXbert's.
    """
    import pickle

    import torch
    from transformers import BertConfig, BertModel

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle that it goes on to refuse
            held = torch.load(weights, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(cannot_be_read(error), file=weights) from None
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        line = str(error).splitlines()[0]
        raise InputError(f"not a plain file of weights, so it is not opened ({line})", file=weights) from None
    table = held.get("model_state_dict", held) if isinstance(held, dict) else {}
    table = {str(name).removeprefix("module."): weight for name, weight in table.items()}
    try:
        config = BertConfig(**_sizes(table))
        bert = BertModel(config)
        heads = torch.nn.ModuleList(
            torch.nn.Linear(config.hidden_size, 4 if label != "No Finding" else 2) for label in LABELS
        )
        bert.load_state_dict(_under(table, "bert."))
        heads.load_state_dict(_under(table, "linear_heads."))
    except (KeyError, ValueError, RuntimeError, AttributeError) as error:
        line = " ".join(str(error).split())[:200]
        raise InputError(
            f"these are not CheXbert's weights ({line}); give chexbert.pth as its authors publish it", file=weights
        ) from None
    return bert.eval(), heads.eval()


def _sizes(table: Mapping[str, Any]) -> dict[str, int]:
    vocabulary, hidden = table["bert.embeddings.word_embeddings.weight"].shape
    return {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": 1 + max(int(found[1]) for name in table if (found := _LAYER.match(name))),
        "num_attention_heads": hidden // _HEAD,
        "intermediate_size": table["bert.encoder.layer.0.intermediate.dense.weight"].shape[0],
        "max_position_embeddings": table["bert.embeddings.position_embeddings.weight"].shape[0],
    }


def _under(table: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    # older versions of transformers saved this buffer, newer ones make it anew
    return {
        name.removeprefix(prefix): weight
        for name, weight in table.items()
        if name.startswith(prefix) and not name.endswith("position_ids")
    }


def _tokenizer(folder: Path, vocabulary: int) -> Any:
    from transformers import AutoTokenizer

    try:
        words = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        line = " ".join(str(error).split())[:200]
        raise InputError(
            f"no tokenizer of bert-base-uncased here ({line}); name the folder that holds it", file=folder
        ) from None
    if len(words) != vocabulary:
        raise InputError(
            f"the tokenizer has {len(words):,} tokens, the weights want {vocabulary:,}; give that of bert-base-uncased",
            file=folder,
        )
    return words


def _labels(reader: Encoder, heads: Any, texts: Sequence[str]) -> Positive:
    import torch

    heads = heads.to(reader.device)
    ids = reader.tokens(texts)
    found = np.zeros((len(texts), len(LABELS)), dtype=np.bool_)
    with torch.inference_mode():
        for some in reader.batches([len(one) for one in ids]):
            first = reader.model(**reader.batch([ids[at] for at in some])).last_hidden_state[:, 0]
            classes = torch.stack([head(first).argmax(dim=1) for head in heads], dim=1).cpu()
            found[some] = torch.isin(classes, torch.tensor([POSITIVE, UNCERTAIN])).numpy()
    return found
