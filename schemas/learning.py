"""How a student learns: the parts of a distil recipe that say which weights, how fast, from which rows, by what."""

from typing import Literal, Self

from pydantic import Field, model_validator

from .base import Noun


class Lora(Noun):
    """Which weights learn. What is named here is what is trained: a preflight counts it."""

    r: int = Field(16, ge=1, description="Rank of the adapter matrices.")
    alpha: float = Field(16, gt=0, description="Scale of what the adapter adds; see rslora.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the adapter's inputs that is dropped in training.")
    rslora: bool = Field(False, description="Scale by alpha / sqrt(r) instead of alpha / r.")
    parts: tuple[Literal["vision", "language"], ...] = Field(
        ("language",), min_length=1, description="Parts of the model that get adapters."
    )
    modules: tuple[Literal["attention", "mlp"], ...] = Field(
        ("attention", "mlp"), min_length=1, description="Kinds of linear layers that get adapters."
    )
    top_layers: int | None = Field(None, ge=1, description="Only the last so many layers of the language part.")
    whole: tuple[str, ...] = Field((), description="Modules trained in full and saved with the adapter: lm_head.")


class Optimizer(Noun):
    """How the weights learn."""

    name: Literal["adamw_8bit", "adamw_torch"] = Field(
        "adamw_8bit", description="AdamW with 8-bit states (bitsandbytes), or torch's."
    )
    learning_rate: float = Field(1e-4, gt=0, description="The highest of the schedule.")
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = Field(
        "cosine", description="How the learning rate falls after the warmup."
    )
    warmup: float = Field(0.03, ge=0, lt=1, description="Share of all steps.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's.")
    clip: float = Field(1.0, gt=0, description="Largest gradient norm.")


class Traces(Noun):
    """Which of a run's traces are trained on; anything but the default is for ablations."""

    source: Literal["accepted", "first", "first-accepted", "reports"] = Field(
        "accepted",
        description="accepted: the run's examples. first: every study's first answer, whatever the rules say of it. "
        "first-accepted: the first answers that the rules accept. reports: the accepted studies' reports, no steps.",
    )
    n: int | None = Field(None, ge=1, description="So many rows, the first in an order that `seed` decides.")
    seed: int = Field(0, description="Of that order; it is the same order of studies for every source.")
    without: tuple[str, ...] = Field((), description="Keys of traces that are left out of training, of those drawn.")
    balance: bool = Field(
        False,
        description="Draw and repeat rows so that the mix of findings in their references is that of all studies that "
        "were asked about: rejection alone changes it.",
    )

    @model_validator(mode="after")
    def _n_for_balance(self) -> Self:
        if self.balance and self.n is None:
            raise ValueError("balance needs n, the number of rows that are drawn")
        return self


class PreferenceOptimization(Noun):
    """Direct preference optimization (Rafailov et al. 2023): an accepted text against rejected ones of its study."""

    beta: float = Field(0.1, gt=0, description="How strongly the student is held to the base it starts from.")
    pairs: int = Field(2, ge=1, description="Rejected texts of one study, at most.")
    form: bool = Field(False, description="Pairs also where only the form of the rejected text was wrong.")


class Reward(Noun):
    """Group relative policy optimization (Shao et al. 2024), with the rules as the reward: validators/reward.py."""

    structure: float = Field(0.3, ge=0, description="Weight of the form of an answer.")
    grounding: float = Field(0.5, ge=0, description="Weight of its agreement with the reference.")
    coverage: float = Field(0.2, ge=0, description="Weight of how much of the reference it speaks of.")
    accepted: float = Field(
        0.0, ge=0, description="Weight of being accepted by all rules, 1 or 0: of use where some answers are already."
    )
    answers: int = Field(8, ge=2, description="To one study; they are compared with each other.")
    temperature: float = Field(1.0, gt=0, description="Of these answers.")
    beta: float = Field(0.0, ge=0, description="Weight of the divergence from the base; 0 saves its forward pass.")
    held_out: int = Field(64, ge=1, description="Validation studies that are answered before and after, at most.")

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        if not any(self.weights):
            raise ValueError("one of structure, grounding, coverage and accepted must weigh something")
        return self

    @property
    def weights(self) -> tuple[float, float, float, float]:
        """Of structure, grounding, coverage and acceptance."""
        return self.structure, self.grounding, self.coverage, self.accepted
