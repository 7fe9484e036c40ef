"""What a rewarded student answers about studies that it is not rewarded for, before training and after it.

A reward can be gained without getting better: by saying nothing that could be wrong, or by saying the same of every
film. Neither is seen in the reward of the studies that are trained on; so some held out by patient are answered, at the
reward's temperature and from fixed seeds, and these are counted together with their reward. In published work
(ChexReason) rewards of this kind gained on their own data and lost on another set: what holds here may not hold there.
"""

from collections.abc import Callable, Sequence

from pydantic import Field

from ...schemas.base import Noun
from ...validators.reward import judged
from ..generate import Request, generate
from ..load import Loaded
from ..pixels import open_image
from .collator import TrainingRow

WORSE = 0.05  # by how much a share may rise before it is called a sign
ANSWERS = 4  # to each study
_BATCH = 16


class HeldOut(Noun):
    """Means over the answers to held-out studies; shares are of all of them."""

    step: int = Field(description="Optimizer step.")
    studies: int = Field(description="Held-out studies.")
    answers: int = Field(description="Answers to them.")
    structure: float = Field(description="The reward's parts; an answer that was cut gets nothing.")
    grounding: float = Field(description="As structure.")
    coverage: float = Field(description="As structure.")
    reward: float = Field(description="Their weighted mean.")
    accepted: float = Field(description="By all rules.")
    says_nothing: float = Field(description="Share whose steps claim nothing (the rule `substance`).")
    repeated: float = Field(description="Share whose steps are, word for word, those of a study with another report.")


def answer_held_out(
    loaded: Loaded,
    rows: Sequence[TrainingRow],
    weights: Sequence[float],
    *,
    max_new_tokens: int,
    temperature: float,
    step: int,
    on_progress: Callable[[int, int], object] = lambda _done, _all: None,
) -> HeldOut:
    """Answer and count; the model is left as it was found, in training or not.

    Args:
        loaded: the student as it is now.
        rows: held-out studies, with their reports.
        weights: of structure, grounding, coverage and acceptance.
        max_new_tokens: where an answer is cut.
        temperature: of the answers; each is drawn from a seed of its own, always the same.
        step: after how many steps.
        on_progress: called with answers that are done, and how many there are.
    """
    training = loaded.model.training
    loaded.model.eval()
    texts: list[tuple[str, bool]] = []
    asked = [row for row in rows for _ in range(ANSWERS)]
    for start in range(0, len(asked), _BATCH):
        some = asked[start : start + _BATCH]
        images = {row["image"]: open_image(row["image"]) for row in some}
        requests = [
            Request(images[row["image"]], row["prompt"], seed, temperature) for seed, row in enumerate(some, start)
        ]
        texts += [(one.text, one.complete) for one in generate(loaded, requests, max_new_tokens=max_new_tokens)]
        on_progress(len(texts), len(asked))
    loaded.model.train(training)
    return count(asked, texts, weights, step=step)


def count(
    rows: Sequence[TrainingRow], texts: Sequence[tuple[str, bool]], weights: Sequence[float], *, step: int
) -> HeldOut:
    """Judge answers.

    Args:
        rows: what each is about.
        texts: each answer, and whether the student ended it.
        weights: of structure, grounding, coverage and acceptance.
        step: after how many steps they were given.
    """
    parts = [0.0, 0.0, 0.0]
    accepted = silent = 0
    steps: dict[tuple[str, ...], set[str]] = {}
    said: list[tuple[str, ...]] = []
    for row, (text, complete) in zip(rows, texts, strict=True):
        trace, verdict, scores = judged(text, row["reference_report"], tuple(row["views"]), row["has_prior"])
        if complete:
            parts = [total + one for total, one in zip(parts, scores, strict=True)]
        accepted += complete and verdict.accepted
        silent += "says_nothing" in verdict.codes or trace is None or not trace.steps
        said.append(trace.texts if trace is not None else (text,))
        steps.setdefault(said[-1], set()).add(row["reference_report"])
    n = len(rows)
    means = [part / n for part in (*parts, accepted)]
    return HeldOut(
        step=step,
        studies=len({row["study"] for row in rows}),
        answers=n,
        structure=round(means[0], 4),
        grounding=round(means[1], 4),
        coverage=round(means[2], 4),
        reward=round(sum(w * mean for w, mean in zip(weights, means, strict=True)) / sum(weights), 4),
        accepted=round(accepted / n, 4),
        says_nothing=round(silent / n, 4),
        repeated=round(sum(len(steps[one]) > 1 for one in said) / n, 4),
    )


def signs(before: HeldOut, after: HeldOut) -> tuple[str, ...]:
    """What speaks against a student that was trained by reward; nothing if nothing does."""
    found = []
    if after.reward <= before.reward:
        found.append(
            f"the reward of held-out studies did not rise ({before.reward:.3f} to {after.reward:.3f}): what was "
            "learned holds for the studies that were trained on"
        )
    if after.says_nothing > before.says_nothing + WORSE:
        change = f"{before.says_nothing:.0%} to {after.says_nothing:.0%}"
        found.append(f"more answers claim nothing ({change}): it learned to be silent")
    if after.repeated > before.repeated + WORSE:
        change = f"{before.repeated:.0%} to {after.repeated:.0%}"
        found.append(f"more answers are those of a study with another report ({change}): it may look less at the film")
    if after.coverage < before.coverage - WORSE:
        change = f"{before.coverage:.0%} to {after.coverage:.0%}"
        found.append(f"answers speak of less of their references ({change}): it learned to leave things out")
    return tuple(found)
