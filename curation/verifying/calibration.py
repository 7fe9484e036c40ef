"""Calibration: how often a verifier is right on labelled traces, and whether that is enough to lift doubts.

It counts for one model and one prompt. A good trace is right if it is found clean, a bad one if it is rejected; an
answer that cannot be used is an error on either side. Trusted is, unless a recipe says another figure: at least 76 good
and 76 bad, and no more than 3 errors in 76 on either side; then the 95 % interval starts at 0.89 or above.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field, ValidationError

from ...data.statistics import wilson
from ...schemas.base import Noun, Record, Sha256
from ...schemas.errors import RecipeError, cannot_be_read
from ...schemas.version import __version__

LEAST, ERRORS = 76, 3
Decision = Literal["accept", "reject", "unreadable"]


class Accuracy(Noun):
    """How often it was right, with the 95 % interval (Wilson)."""

    n: int = Field(description="Traces.")
    right: int = Field(description="Traces on which the verifier was right.")
    share: float = Field(description="right / n.")
    low: float = Field(description="Of the interval.")
    high: float = Field(description="Of the interval.")


class Calibration(Record):
    """calibration.json."""

    model: str = Field(description="The verifier's model id.")
    prompt_id: str = Field(description="Name and version of its prompt.")
    prompt_sha256: Sha256 = Field(description="Of the prompt file.")
    labelled: str = Field(description="The set: ours, or a path.")
    labelled_sha256: Sha256 = Field(description="Of that set.")
    good: Accuracy = Field(description="Good traces, and how many of them were found clean.")
    bad: Accuracy = Field(description="Bad traces, and how many of them were rejected.")
    families: dict[str, Accuracy] = Field(description="Bad traces by what is wrong with them.")
    unreadable: int = Field(description="Traces without a usable answer; errors, on either side.")
    code_version: str = Field(description="Version of tenstep.")

    def shortfalls(self, bound: float | None = None) -> list[str]:
        """What is missing to lift a doubt, a phrase for each; none if it is trusted.

        Args:
            bound: the recipe's lower bound for both intervals, if it sets one.
        """
        found = []
        for name, rate in (("good", self.good), ("bad", self.bad)):
            wrong = rate.n - rate.right
            if bound is not None:
                if rate.low < bound:
                    start = f"{rate.low:.3f}, and verifier.trust is {bound}"
                    found.append(f"the interval of the {name} ones starts at {start}")
                continue
            if rate.n < LEAST:
                found.append(f"only {rate.n} {name} traces were measured, and {LEAST} are needed")
            if wrong * LEAST > ERRORS * rate.n:
                found.append(f"{wrong} of {rate.n} {name} ones are wrong, and {ERRORS} in {LEAST} are allowed")
        return found


class Seen(NamedTuple):
    """One labelled trace and what the verifier decided."""

    id: str
    good: bool
    family: str | None
    decision: Decision


def calibration(
    seen: Iterable[Seen], *, model: str, prompt_id: str, prompt_sha256: str, labelled: str, labelled_sha256: str
) -> Calibration:
    """Count."""
    rows = list(seen)
    good, bad = [one for one in rows if one.good], [one for one in rows if not one.good]
    families = sorted({one.family or "other" for one in bad})
    return Calibration(
        model=model,
        prompt_id=prompt_id,
        prompt_sha256=prompt_sha256,
        labelled=labelled,
        labelled_sha256=labelled_sha256,
        good=_rate(good, "accept"),
        bad=_rate(bad, "reject"),
        families={name: _rate([one for one in bad if (one.family or "other") == name], "reject") for name in families},
        unreadable=sum(one.decision == "unreadable" for one in rows),
        code_version=__version__,
    )


def read_calibration(path: Path) -> Calibration:
    """Read calibration.json.

    Raises:
        RecipeError: it is none.
    """
    try:
        return Calibration.model_validate(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise RecipeError(cannot_be_read(error), file=path, field="verifier.calibration") from None
    except (ValueError, ValidationError, RecursionError):
        message = "is not what `tenstep calibrate` writes"
        raise RecipeError(message, file=path, field="verifier.calibration") from None


def check_calibration(found: Calibration, path: str, *, model: str, prompt_id: str, prompt_sha256: str) -> None:
    """See that a calibration is of this model and prompt.

    Raises:
        RecipeError: it is of another one.
    """
    if found.model != model:
        message = f"is of the model '{found.model}', and the verifier is '{model}'; calibrate that one"
    elif found.prompt_sha256 != prompt_sha256:
        message = f"is of another prompt ({found.prompt_id}) than the verifier's ({prompt_id}); calibrate again"
    else:
        return
    raise RecipeError(message, file=path, field="verifier.calibration")


def _rate(rows: list[Seen], right: Decision) -> Accuracy:
    hits = sum(one.decision == right for one in rows)
    found = wilson(hits, len(rows))
    share, low, high = (round(value, 4) for value in found)
    return Accuracy(n=len(rows), right=hits, share=share, low=low, high=high)
