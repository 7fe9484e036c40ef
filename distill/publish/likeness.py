"""How alike two sets of weights are: by what they predict at every token of the same answers.

Greedy answers of real models part sooner or later after any rounding (a 135M model merged in bfloat16 gave 5 of 20
answers token by token, though it was fine), so they decide nothing. Both models are shown the same answers (teacher
forcing), and their predictions are compared at each token: how often the likeliest token is the same, and the mean
Kullback-Leibler divergence in nats, over the 64 likeliest tokens of the first model and all others together, which is a
lower bound of the whole.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..generate import Completion, Request
from ..load import Loaded
from ..train.collator import IGNORED, CompletionCollator, TrainingRow
from .merge_card import Precision

_TOP = 64
_SMALLEST = 1e-6  # of a probability, where float32 cannot tell it from none


class Tolerance(NamedTuple):
    """What a merge may change."""

    top1: float  # least share of tokens with the same likeliest token
    kl: float  # most nats a token


# 16-bit rounding moves logits by some thousandths; 4 bits are a quantization of their own
TOLERANCE: Mapping[Precision, Tolerance] = {
    "fp16": Tolerance(0.97, 0.02),
    "bf16": Tolerance(0.95, 0.05),
    "nf4": Tolerance(0.85, 0.3),
}


class Likeness(NamedTuple):
    """Over all tokens of all answers."""

    top1: float
    kl: float
    tokens: int
    worst: int  # the answer whose predictions differ most


class Predictions(NamedTuple):
    """Of one answer's tokens: the likeliest ones, shape (tokens, 64), and the logarithms of their probabilities."""

    ids: Any
    log: Any


def predict(loaded: Loaded, requests: Sequence[Request], answers: Sequence[Completion]) -> list[Predictions]:
    """A model's predictions at the tokens of given answers."""
    import torch

    found = []
    for log in _forced(loaded, requests, answers):
        top = torch.topk(log, min(_TOP, log.shape[-1]), dim=-1)
        found.append(Predictions(top.indices.cpu(), top.values.cpu()))
    return found


def likeness(
    loaded: Loaded, requests: Sequence[Request], answers: Sequence[Completion], first: Sequence[Predictions]
) -> Likeness:
    """Compare a second model with the first one's predictions.

    Args:
        loaded: the second model.
        requests, answers: those that the first one was shown.
        first: its predictions.
    """
    same = tokens = 0
    divergences = []
    for predicted, (ids, expected) in zip(_forced(loaded, requests, answers), first, strict=True):
        log = predicted.cpu()
        ours, theirs = expected.exp(), log.gather(-1, ids)
        rest = (1 - ours.sum(dim=-1)).clamp(min=_SMALLEST)
        other_rest = (1 - theirs.exp().sum(dim=-1)).clamp(min=_SMALLEST)
        each = (ours * (expected - theirs)).sum(dim=-1) + rest * (rest.log() - other_rest.log())
        divergences.append((float(each.sum()), len(each)))
        same += int((log.argmax(dim=-1) == ids[:, 0]).sum())
        tokens += len(each)
    means = [total / max(1, n) for total, n in divergences]
    return Likeness(
        top1=same / tokens,
        kl=max(0.0, sum(total for total, _ in divergences) / tokens),
        tokens=tokens,
        worst=means.index(max(means)),
    )


def _forced(loaded: Loaded, requests: Sequence[Request], answers: Sequence[Completion]) -> Any:
    """For each answer, log probabilities at its tokens, shape (tokens, vocabulary), with those before it given."""
    import torch

    images = {str(at): request.image for at, request in enumerate(requests)}
    collate = CompletionCollator(loaded.processor, None, images.__getitem__)
    for at, (request, answer) in enumerate(zip(requests, answers, strict=True)):
        target = answer.text.strip() or "."  # an answer without a word still has its end to predict
        batch = dict(collate([TrainingRow(study=str(at), image=str(at), prompt=request.prompt, target=target)]))
        labels = batch.pop("labels")[0, 1:]
        with torch.inference_mode():
            logits = loaded.model(**loaded.placed(batch)).logits[0, :-1]
        yield logits[labels != IGNORED].float().log_softmax(dim=-1)
