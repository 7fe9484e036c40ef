"""The recipe of `tenstep curate`. An unknown key is an error, and so is a wrong value."""

from typing import Literal, Self

from pydantic import Field, model_validator

from .base import Noun
from .recipe import RequestOptions, TeacherSpec
from .trace import WrittenLayout
from .verdict import Doubts, Weight

Reach = Literal["doubts", "all", "off"]


class Goal(Noun):
    """When to stop. Without a goal the run ends with the data."""

    accepted: int | None = Field(None, gt=0, description="Stop when so many studies have an accepted trace.")
    pilot: int = Field(
        20, ge=0, description="Studies that go first, to forecast what a larger goal will need. 0 is no pilot."
    )


class Repair(Noun):
    """How often a candidate that was not accepted goes back to its author with the findings."""

    attempts: int = Field(2, ge=0, le=10, description="Repairs after the first attempt.")
    feed: tuple[Literal["errors", "doubts"], ...] = Field(
        ("errors", "doubts"),
        min_length=1,
        description="What is repaired: errors are put as problems, doubts as questions. Doubts that the recipe "
        "accepts, or that a verifier lifts, are not.",
    )


class Several(Noun):
    """What several teachers do: `split` gives each study to one of them in turn, `best` gives it to all."""

    strategy: Literal["split", "best"] = Field(
        "split",
        description="split: each study goes to one teacher, in turn. best: to all of them, and the best trace is kept.",
    )
    samples: int = Field(1, ge=1, le=64, description="Answers a teacher gives to one study, each with its repairs.")


class VerifierSpec(TeacherSpec):
    """A model that checks traces claim by claim; `kind` and `options` as of a teacher."""

    calibration: str | None = Field(
        None, description="What `tenstep calibrate` wrote of this model and prompt; without it, no doubt is lifted."
    )
    trust: float | None = Field(
        None,
        gt=0.5,
        lt=1,
        description="Lower bound of the 95 % interval that the share of good ones accepted and that of bad ones caught "
        "must reach before a doubt is lifted. None: 76 of each at least, and 3 errors in 76 at most.",
    )
    prompt: str | None = Field(None, description="A prompt file in place of curation/verifying/verify.yaml.")
    same_family: bool = Field(False, description="Let a model check its own family's traces.")


class CurateRecipe(RequestOptions):
    """`tenstep curate RECIPE`."""

    kind: Literal["curate"] = Field(description="Which kind of recipe this is.")
    studies: str | None = Field(None, description="A study store; --studies overrides it.")
    teachers: tuple[TeacherSpec, ...] = Field(min_length=1)
    several: Several = Several()
    prompt: str = Field("informed", min_length=1, description="A prompt in curation/prompts, or the path of a file.")
    layout: WrittenLayout = Field("plain", description="How accepted examples are written.")
    goal: Goal = Goal()
    repair: Repair = Repair()
    severities: dict[str, Weight] = Field(
        default_factory=dict, description="Finding codes whose severity differs in this run."
    )
    rules: tuple[str, ...] = Field((), description="Files of further rules, as validators/rule.py describes them.")
    doubts: Doubts | None = Field(
        None,
        description="What becomes of a doubt. hold: it waits for a reader, in doubted.jsonl; verify: a verifier is "
        "asked, and what it may not lift is held. None: verify if a verifier is named, else hold.",
    )
    verifier: VerifierSpec | None = None
    verify: Reach = Field(
        "doubts", description="What the verifier reads: traces in doubt, or those that the rules accept as well."
    )
    reader_overrides: Literal["doubts", "reject", "both"] = Field(
        "both",
        description="What a reader's decision may change. doubts: it settles doubts only; reject: it may also reject "
        "what the rules accept; both: it may also accept what they reject.",
    )
    limit: int | None = Field(None, gt=0, description="Only the first so many studies.")
    shard: str | None = Field(
        None,
        pattern=r"^[1-9]\d{0,5}/[1-9]\d{0,5}$",
        description="2/3: only the second third of the patients. `--shard` writes it, with that shard's share of goal, "
        "budget and rate.",
    )

    @model_validator(mode="after")
    def _is_a_shard(self) -> Self:
        number, _, of = (self.shard or "1/1").partition("/")
        if int(number) > int(of):
            raise ValueError(f"there is no shard {number} of {of}")
        return self

    @model_validator(mode="after")
    def _names_a_verifier(self) -> Self:
        if self.doubts == "verify" and self.verifier is None:
            raise ValueError("doubts: verify needs a verifier")
        return self
