"""BLEU, ROUGE-L and METEOR as pycocoevalcap computes them: the convention of report generation. Needs Java.

The package itself is called, and its figures are reported. Its statistics are kept as well, for intervals; that
they lead to the same figures is checked in every run. METEOR's formula is that of Denkowski and Lavie 2014, with the
parameters of the package's jar for English.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...schemas.errors import InputError, MissingExtraError
from . import bleu
from .measure import Floats, Measure, Pair, mean, mean_of, ratio
from .words import Preprocessing, clean, flat

PACKAGE = "pycocoevalcap"
_PREPARED = {
    "ptb": "Penn Treebank tokens, lower case, no punctuation",
    "clean": "lower case, no punctuation but a dot behind each sentence",
    "none": "split at white space",
}
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])  # exact, stem, synonym, paraphrase
_FLOORS = 1e-15, 1e-9  # what the package adds to matches and to counts
_AGREE = 1e-6

Texts = dict[str, list[str]]


def missing() -> str | None:
    """What keeps this implementation from being used here, if anything does."""
    if importlib.util.find_spec(PACKAGE) is None:
        return f"{PACKAGE} is not installed"
    return None if shutil.which("java") else "there is no java on the PATH"


def coco(pairs: Sequence[Pair], preprocessing: Preprocessing = "ptb") -> list[Measure]:
    """BLEU-1 to 4, ROUGE-L and METEOR 1.5.

    Raises:
        MissingExtraError: package or Java are not installed.
        InputError: Java failed, or the package's figures are not those of its own statistics.
    """
    why = missing()
    if why:
        raise MissingExtraError("coco", f"{PACKAGE} with Java ({why}), which --implementation python does without,")
    try:
        hypotheses, references = _texts(pairs, preprocessing)
        found = [*_bleu(hypotheses, references), _rouge(hypotheses, references), _meteor(hypotheses, references)]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{PACKAGE} failed ({type(error).__name__}: {error}); is Java able to run?") from None
    version = _version()
    measures = [
        Measure(name, PACKAGE, version, _PREPARED[preprocessing], stats, value, reported)
        for name, stats, value, reported in found
    ]
    for measure in measures:
        counted = float(measure.value(measure.stats.sum(axis=0)))
        if abs(counted - measure.point) > _AGREE:
            raise InputError(f"{measure.name}: {PACKAGE} gives {measure.point:.6f}, its statistics {counted:.6f}")
    return measures


def _version() -> str:
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _texts(pairs: Sequence[Pair], preprocessing: Preprocessing) -> tuple[Texts, Texts]:
    """Prepared hypotheses and references by position; `|||` and line breaks would break the package's protocols."""
    sides = ([pair.hypothesis for pair in pairs], [pair.reference for pair in pairs])
    prepared = []
    for texts in sides:
        lines = [flat(text.replace("|||", " ")) for text in texts]
        if preprocessing == "ptb":
            from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

            with _stderr_closed():
                tokens = PTBTokenizer().tokenize({str(at): [{"caption": line}] for at, line in enumerate(lines)})
            if len(tokens) != len(lines):
                raise ValueError("the tokenizer lost lines")
            prepared.append(tokens)
        else:
            change = clean if preprocessing == "clean" else flat
            prepared.append({str(at): [change(line)] for at, line in enumerate(lines)})
    return prepared[0], prepared[1]


@contextlib.contextmanager
def _stderr_closed() -> Iterator[None]:
    """The tokenizer's Java writes its speed to standard error, past sys.stderr."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _bleu(hypotheses: Texts, references: Texts) -> list[tuple[str, Floats, Any, float]]:
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    reported, _ = Bleu(4).compute_score(references, hypotheses, verbose=0)
    scorer = BleuScorer(n=4)
    for at, hypothesis in hypotheses.items():
        scorer += (hypothesis[0], references[at])
    rows = [bleu.row(one["testlen"], one["reflen"][0], one["correct"], one["guess"]) for one in scorer.ctest]
    stats = np.array(rows, dtype=np.float64)
    return [(f"BLEU-{order}", stats, bleu.value(order, *_FLOORS), float(reported[order - 1])) for order in bleu.ORDERS]


def _rouge(hypotheses: Texts, references: Texts) -> tuple[str, Floats, Any, float]:
    from pycocoevalcap.rouge.rouge import Rouge

    reported, scores = Rouge().compute_score(references, hypotheses)
    return "ROUGE-L", mean_of(scores), mean, float(reported)


def _meteor(hypotheses: Texts, references: Texts) -> tuple[str, Floats, Any, float]:
    from pycocoevalcap.meteor.meteor import Meteor

    scorer = Meteor()
    try:
        reported, _ = scorer.compute_score(references, hypotheses)
        lines = [scorer._stat(hypothesis[0], references[at]) for at, hypothesis in hypotheses.items()]
    except (OSError, ValueError):
        scorer.meteor_p.stdin.close()
        raise ValueError(scorer.meteor_p.stderr.read().decode(errors="replace").strip()[:300]) from None
    finally:
        scorer.meteor_p.stdout.close()  # the package leaves both open
        scorer.meteor_p.stderr.close()
    stats = np.array([[float(cell) for cell in line.split()] for line in lines])
    whole = (stats[:, 21:23] == stats[:, 0:2]).all(axis=1) & (stats[:, 20] == 1)
    stats[whole, 20] = 0  # where all words match in one piece nothing is in pieces; so the jar counts it too
    return "METEOR", stats, meteor, float(reported)


def meteor(sums: Floats) -> Floats:
    """METEOR 1.5 from sums of its 23 statistics, shape (..., 23).

    They are: lengths and numbers of function words of hypothesis and reference; for each of four stages the matched
    content words in both, then the function words in both; chunks; matched words in both.
    """
    length = sums[..., 0:2]
    function = sums[..., 2:4]
    stages = sums[..., 4:20].reshape(*sums.shape[:-1], 4, 4)
    weighted = (_DELTA * stages[..., 0:2] + (1 - _DELTA) * stages[..., 2:4]).swapaxes(-1, -2) @ _WEIGHTS
    share = ratio(weighted, _DELTA * (length - function) + (1 - _DELTA) * function)
    precision, recall = share[..., 0], share[..., 1]
    mean_f = ratio(precision * recall, (1 - _ALPHA) * recall + _ALPHA * precision)
    chunks, matched = sums[..., 20], sums[..., 21:23]
    result: Floats = mean_f * (1 - _GAMMA * ratio(chunks, matched.mean(axis=-1)) ** _BETA)
    return result
