"""The clinical teacher: reads the demo's phantoms and makes clinical mistakes on purpose, labelled, and mends them.

No model: it exists so that it can be measured what curation is worth. Its traces are well-formed; some say what the
film does not show, or deny what it does. `mistakes` are made at random, one kind in each wrong trace; `denies_heart` is
a bias: of the enlarged hearts, this share is called normal. A repair is right unless the mistake is `stubborn`.

It knows the truth of a phantom by the study's id, so it takes no other studies.

    options:
      mistakes: [wrong_side, missed_finding, invented_finding, heart_size]
      share: 0.37                  of the studies, where a mistake can be made
      denies_heart: 0.6            of the studies with an enlarged heart
      stubborn: 0.1                the share of those mistakes that is made at every attempt
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pydantic import Field

from ...data.demo.truth import Nodule, Side, Truth, draw
from ...data.demo.words import sections
from ...schemas.base import Noun
from ...schemas.errors import TeacherError
from ...schemas.study import Study
from ..labelled import LabelledTeacher, answer, chances
from ..teacher import Question
from .checklist import numbered, steps

Mistake = Literal["wrong_side", "missed_finding", "invented_finding", "heart_size"]
_PHANTOM = re.compile(r"demo-(\d+)$")
_OTHER: Mapping[Side, Side] = {"left": "right", "right": "left"}


class Options(Noun):
    """See the module."""

    mistakes: tuple[Mistake, ...] = Field((), description="Mistakes that are made on purpose.")
    share: float = Field(0.37, ge=0, le=1, description="Of the studies that get one of them, where it can be made.")
    denies_heart: float = Field(
        0.0, ge=0, le=1, description="Of the studies with an enlarged heart: the share that is called normal."
    )
    stubborn: float = Field(0.0, ge=0, le=1, description="Share of those mistakes that is made at every attempt.")
    seed: int = Field(0, description="Of the draw of studies and mistakes.")


class Teacher(LabelledTeacher):
    """See the module."""

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, {"provider": "clinical", "version": 1, **options.model_dump()})
        self._options = options

    async def ask(self, question: Question) -> bytes:
        """See `curation.teacher.Teacher`."""
        study, options = question.study, self._options
        truth = _truth(study)
        whether, lasting, which, denied = chances(options.seed, study.id)
        seen, label = truth, None
        if question.attempt == 1 or lasting < options.stubborn:
            if truth.heart == "enlarged" and denied < options.denies_heart:
                seen, label = replace(truth, heart="normal"), "denied_heart"
            elif options.mistakes and whether < options.share:
                label = options.mistakes[int(which * len(options.mistakes))]
                seen = mistaken(truth, label)
        words = study.model_copy(update={"sections": study.sections.model_copy(update=sections(seen))})
        return answer(numbered(steps(words)), label if seen != truth else None)


def mistaken(truth: Truth, mistake: Mistake) -> Truth:
    """What a reader who makes this mistake sees; the truth where it cannot be made, as on the side of nothing."""
    nodule, effusion = truth.nodule, truth.effusion
    match mistake:
        case "heart_size":
            return replace(truth, heart="normal" if truth.heart == "enlarged" else "enlarged")
        case "wrong_side":
            return replace(
                truth,
                effusion=_OTHER[effusion] if effusion in ("left", "right") else effusion,
                nodule=nodule and replace(nodule, side=_OTHER[nodule.side]),
                pneumothorax=truth.pneumothorax and _OTHER[truth.pneumothorax],
            )
        case "missed_finding":
            if effusion != "none":
                return replace(truth, effusion="none", effusion_size=None)
            return replace(truth, nodule=None) if nodule else replace(truth, pneumothorax=None)
        case "invented_finding":
            if effusion == "none":
                return replace(truth, effusion="left", effusion_size="small")
            return replace(truth, nodule=Nodule("right", "upper")) if nodule is None else replace(truth, device=None)


def _truth(study: Study) -> Truth:
    found = _PHANTOM.search(study.id)
    if found is None:
        raise TeacherError(f"the clinical teacher reads the demo's phantoms only, and '{study.id}' is none")
    return draw(int(found[1]))
