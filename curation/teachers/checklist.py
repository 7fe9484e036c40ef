"""The checklist teacher: no model. It arranges what the reference asserts into ten steps, in reading order.

It sees no image and adds no knowledge: it is for trying the line, for tests, and as a floor that a real teacher
must beat. A sentence about one region is given in the reference's words; one about several is split into
its claims, and so is one that compares with an earlier examination or holds words that de-identification
removed. Where the reference is silent on a region, the step says what was examined and claims nothing.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ...schemas.base import Noun
from ...schemas.study import Study
from ...validators.findings import Claim, claims, compares_with_prior, region_of, sentences
from ..teacher import Question, Reply

REGIONS = ("technique", "devices", "cardiomediastinum", "airway", "lungs", "pleura", "pneumothorax", "vessels", "bones")
_SILENT = {
    "technique": "The projection, the depth of inspiration and the exposure were looked at before anything else.",
    "devices": "The film was searched from the neck to the upper abdomen for anything that was placed there.",
    "cardiomediastinum": "The outline of the heart and the contours of the mediastinum were followed on both sides.",
    "airway": "The trachea was followed down to the carina and the main bronchi.",
    "lungs": "Both lungs were compared zone by zone, from apex to base.",
    "pleura": "Both costophrenic angles, the fissures and the pleural margins were traced.",
    "pneumothorax": "The apices and the lateral chest walls were searched for a visceral pleural line.",
    "vessels": "The hila and the calibre of the vessels toward the periphery were looked at.",
    "bones": "The ribs, clavicles, shoulders and visible spine were followed one after another.",
}
_UNSAYABLE = re.compile(
    r"XXXX|__|[\[<>*]|\b(?:report|dictat|document|describ|stated|mention|note that|noti[fc]|recommend"
    r"|believe|follow up|clinical|correlat|consider)|\b(?:I|we|our)\b",
    re.I,
)
_HARDLY = 3  # words; a shorter sentence is given as a claim
_SYNTHESIS_LENGTH = 400  # characters; a longer impression is given by its claims


class Options(Noun):
    """None."""


class Teacher:
    """See the module."""

    model = "none"
    sees_images = False
    endpoints: tuple[str, ...] = ()
    can_repair = False

    def __init__(self, name: str, options: Options) -> None:
        self.name = name

    def identity(self) -> Mapping[str, Any]:
        """See `curation.teacher.Teacher`."""
        return {"provider": "checklist", "version": 2}

    async def ask(self, question: Question) -> bytes:
        """See `curation.teacher.Teacher`; never fails."""
        return numbered(steps(question.study)).encode()

    async def close(self) -> None:
        """See `curation.teacher.Teacher`."""

    def read(self, raw: bytes) -> Reply:
        """See `curation.teacher.Teacher`."""
        return Reply(text=raw.decode(), cost_usd=0.0, stop_reason="stop")


def numbered(texts: list[str]) -> str:
    """Steps as a teacher writes them."""
    return "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1))


def steps(study: Study) -> list[str]:
    """The ten steps for a study, from its reference alone."""
    said: dict[str, list[str]] = defaultdict(list)
    for part in (study.sections.technique, study.sections.findings or _body(study)):
        for sentence in _sentences(part or ""):
            for region, words in _tell(sentence):
                if words not in said[region]:
                    said[region].append(words)
    for region, words in _from_view(study):
        said[region].append(words)
    ten = [" ".join(said[region]) or _SILENT[region] for region in REGIONS]
    return [*ten, _synthesis(study)]


def _body(study: Study) -> str:
    return "" if study.sections.impression else study.report


def _from_view(study: Study) -> Iterator[tuple[str, str]]:
    views = ", ".join(dict.fromkeys(study.views)) or (study.sections.view or "").strip(" .")
    if views and views.lower() != "unknown":
        yield "technique", f"View: {views}."


def _tell(sentence: str) -> Iterator[tuple[str, str]]:
    """What a sentence contributes to which region's step."""
    found = [claim for claim in claims(sentence) if claim.region in REGIONS]
    regions = sorted({claim.region for claim in found}, key=REGIONS.index)
    if _sayable(sentence) and len(regions) < 2 and len(sentence.split()) >= _HARDLY:
        region = regions[0] if regions else region_of(sentence)
        if region in REGIONS:
            yield region, _finished(sentence)
        return
    spent: set[str] = set()
    for region in regions:
        here = [claim for claim in found if claim.region == region]
        for claim in [c for c in here if not c.implied] or here[:1]:
            yield region, say(claim, in_full=claim.text not in spent)
            spent.add(claim.text)


def _synthesis(study: Study) -> str:
    impression = _sentences(study.sections.impression or "")
    words = "; ".join(_lower_first(_finished(s)).rstrip(".") for s in impression if _sayable(s))
    if not words or len(words) > _SYNTHESIS_LENGTH or not all(map(_sayable, impression)):
        found = [c for s in impression or [study.report] for c in claims(s) if c.region in REGIONS]
        words = (
            "; ".join(dict.fromkeys(_lower_first(say(c)).rstrip(".") for c in found if c.status != "absent")) or words
        )
    return f"Synthesis: {_lower_first(words or 'nothing beyond the observations of the chest above is concluded')}."


def _sayable(sentence: str) -> bool:
    return not compares_with_prior(sentence) and not _UNSAYABLE.search(sentence)


def say(claim: Claim, *, in_full: bool = True) -> str:
    """A claim as a sentence that asserts the same and no more.

    Args:
        claim: what to say.
        in_full: whether a normal organ may be said in the claim's own words ("the lungs are clear"), which stand for
            all that they deny; else one finding is denied.
    """
    own = claim.text if _sayable(claim.text) else claim.finding.replace("_", " ")
    if claim.implied and in_full and own == claim.text:
        return _finished(_upper_first(own))
    if claim.implied:
        own = claim.finding.replace("_", " ")
    words = [word for word in (claim.size, claim.side) if word and word not in own.lower()]
    thing = _lower_first(" ".join([*words, own]))
    match claim.status:
        case "absent":
            return f"There is no {thing}."
        case "uncertain":
            return f"There may be {thing}."
        case _:
            return f"The film shows {thing}."


def _sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


def _finished(sentence: str) -> str:
    words = " ".join(sentence.split())
    return words if words.endswith((".", "?", "!")) else f"{words}."


def _upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower_first(text: str) -> str:
    # an acronym or a proper name keeps its capital
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
