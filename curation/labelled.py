"""Teachers without a model that make mistakes on purpose, each answer labelled with the mistake that is in it.

What chance decides is a hash of the seed and the study, so the same study always fares the same.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .teacher import Reply


class LabelledTeacher:
    """What such teachers share: all of a teacher but `ask`; see `curation.teacher.Teacher`.

    Args:
        name: as the recipe names it.
        identity: what decides its answers.
    """

    model = "none"
    sees_images = False
    endpoints: tuple[str, ...] = ()
    can_repair = True

    def __init__(self, name: str, identity: Mapping[str, Any]) -> None:
        self.name = name
        self._identity = identity

    def identity(self) -> Mapping[str, Any]:
        """See `curation.teacher.Teacher`."""
        return self._identity

    def read(self, raw: bytes) -> Reply:
        """See `curation.teacher.Teacher`."""
        answer = json.loads(raw)
        return Reply(text=answer["text"], cost_usd=0.0, stop_reason="stop", label=answer.get("label"))

    async def close(self) -> None:
        """See `curation.teacher.Teacher`."""


def answer(text: str, label: str | None) -> bytes:
    """An answer that `LabelledTeacher.read` reads."""
    return json.dumps({"text": text, "label": label}).encode()


def chances(seed: int, study_id: str) -> tuple[float, float, float, float]:
    """Four numbers in [0, 1) for a study: whether a mistake is made, whether it lasts, which, and one more."""
    digest = hashlib.sha256(f"{seed}:{study_id}".encode()).digest()
    one, two, three, four = (int.from_bytes(digest[at : at + 4]) / 2**32 for at in (0, 4, 8, 12))
    return one, two, three, four
