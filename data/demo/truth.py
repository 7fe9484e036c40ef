"""What is to be seen on one demo radiograph, drawn from a seed. Knows nothing of pixels or words."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Side = Literal["left", "right"]
Zone = Literal["upper", "lower"]
Effusion = Literal["none", "left", "right", "bilateral"]
Device = Literal["central line", "pacemaker"]

_EFFUSIONS: tuple[Effusion, ...] = ("none", "none", "none", "left", "left", "right", "right", "bilateral")
_DEVICES: tuple[Device | None, ...] = (None, None, None, None, "central line", "pacemaker")


@dataclass(frozen=True)
class Nodule:
    """A round opacity in one lung."""

    side: Side
    zone: Zone


@dataclass(frozen=True)
class Truth:
    """The findings of one radiograph. Sides are the patient's: the patient's right is on the image's left."""

    view: Literal["PA", "AP"]
    effusion: Effusion
    effusion_size: Literal["small", "large"] | None
    heart: Literal["normal", "enlarged"]
    nodule: Nodule | None
    pneumothorax: Side | None
    device: Device | None

    def fluid(self, side: Side) -> Literal["small", "large"] | None:
        """The size of the effusion on one side."""
        return self.effusion_size if self.effusion in (side, "bilateral") else None


def draw(seed: int) -> Truth:
    """Draw the findings: effusion in five of eight studies, a large heart in two of five, the others in about a sixth.

    Findings that would hide each other are not combined: a pneumothorax and a nodule lie in different lungs, and a
    nodule in a lung with a large effusion lies in its upper zone.
    """
    rng = np.random.default_rng((seed, 1))
    view: Literal["PA", "AP"] = "PA" if rng.random() < 0.6 else "AP"
    effusion = _EFFUSIONS[int(rng.integers(len(_EFFUSIONS)))]
    size: Literal["small", "large"] = "small" if rng.random() < 0.5 else "large"
    heart: Literal["normal", "enlarged"] = "enlarged" if rng.random() < 0.4 else "normal"
    side: Side = "left" if rng.random() < 0.5 else "right"
    other: Side = "right" if side == "left" else "left"
    covered = size == "large" and effusion in (side, "bilateral")
    zone: Zone = "lower" if rng.random() < 0.4 and not covered else "upper"
    return Truth(
        view=view,
        effusion=effusion,
        effusion_size=None if effusion == "none" else size,
        heart=heart,
        nodule=Nodule(side, zone) if rng.random() < 0.18 else None,
        pneumothorax=other if rng.random() < 0.15 else None,
        device=_DEVICES[int(rng.integers(len(_DEVICES)))],
    )
