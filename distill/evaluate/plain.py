"""BLEU, ROUGE-L and METEOR without Java: sacrebleu, rouge-score and nltk. Not the figures of coco.py: METEOR is twice.

Where no WordNet is at hand, nltk's METEOR matches words and stems only, and says so.
"""

import importlib.metadata
import re
from collections.abc import Sequence

import numpy as np

from ...schemas.errors import MissingExtraError
from . import bleu
from .measure import Measure, Pair, mean, mean_of

_WORD = re.compile(r"\w+|[^\w\s]")


def plain(pairs: Sequence[Pair]) -> list[Measure]:
    """BLEU-1 to 4, ROUGE-L and METEOR.

    Raises:
        MissingExtraError: one of the packages is not installed.
    """
    try:
        return [*_bleu(pairs), _rouge(pairs), _meteor(pairs)]
    except ModuleNotFoundError as error:
        raise MissingExtraError("evaluate", f"'{error.name}'") from None


def _bleu(pairs: Sequence[Pair]) -> list[Measure]:
    from sacrebleu.metrics.bleu import BLEU

    counter = BLEU(lowercase=True, effective_order=True, smooth_method="none")  # of single pairs only counts are used
    counted = [counter.sentence_score(pair.hypothesis, [pair.reference]) for pair in pairs]
    rows = [bleu.row(one.sys_len, one.ref_len, one.counts, one.totals) for one in counted]
    stats = np.array(rows, dtype=np.float64)
    described = "13a tokens, lower case, no smoothing"
    version = importlib.metadata.version("sacrebleu")
    return [
        Measure(f"BLEU-{order}", "sacrebleu", version, described, stats, bleu.value(order)) for order in bleu.ORDERS
    ]


def _rouge(pairs: Sequence[Pair]) -> Measure:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    scores = [scorer.score(pair.reference, pair.hypothesis)["rougeL"].fmeasure for pair in pairs]
    described = "letters and digits, lower case, no stems, F1"
    return Measure(
        "ROUGE-L", "rouge-score", importlib.metadata.version("rouge-score"), described, mean_of(scores), mean
    )


def _meteor(pairs: Sequence[Pair]) -> Measure:
    from nltk.corpus import wordnet
    from nltk.translate.meteor_score import meteor_score

    try:
        wordnet.ensure_loaded()
        words, described = wordnet, "words and punctuation, lower case, stems and WordNet synonyms"
    except LookupError:
        words, described = _NoWordNet(), "words and punctuation, lower case, stems, no synonyms (no WordNet here)"
    scores = [
        meteor_score([_WORD.findall(pair.reference)], _WORD.findall(pair.hypothesis), wordnet=words) for pair in pairs
    ]
    return Measure("METEOR", "nltk", importlib.metadata.version("nltk"), described, mean_of(scores), mean)


class _NoWordNet:
    """A lexicon without synonyms."""

    def synsets(self, word: str) -> list[object]:
        """None."""
        return []
