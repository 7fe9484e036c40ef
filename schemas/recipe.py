"""Recipes: what a run is to do. An unknown key is an error, and so is a wrong value."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from .base import Noun, Sha256, Words
from .learning import Lora, Optimizer, Preference, Reward, Traces
from .verdict import Doubts, Weight

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class TeacherSpec(Noun):
    """One teacher; `kind` is the name of a file in curation/teachers, which checks `options` itself."""

    kind: Name
    name: Name | None = Field(None, description="What records call it; its kind if not given.")
    options: dict[str, Any] = Field(default_factory=dict)


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


class Budget(Noun):
    """Where spending stops, over all calls on one run folder; the bound that is reached first stops the run."""

    usd: float | None = Field(None, ge=0, allow_inf_nan=False, description="Needs a price for every teacher.")
    calls: int | None = Field(None, ge=0, description="Requests that are sent, whatever becomes of them.")
    tokens: int | None = Field(None, ge=0, description="Input and output together.")


class Rate(Noun):
    """What one endpoint and model may be asked in a minute, where the provider says so."""

    requests_per_minute: float | None = Field(None, gt=0, allow_inf_nan=False)
    tokens_per_minute: float | None = Field(None, gt=0, allow_inf_nan=False)


class Several(Noun):
    """What several teachers do: `split` gives each study to one of them in turn, `best` gives it to all."""

    strategy: Literal["split", "best"] = "split"
    samples: int = Field(1, ge=1, le=64, description="Answers a teacher gives to one study, each with its repairs.")


class TrainingTerms(Noun):
    """A person's word that an endpoint's terms allow training on what it answers."""

    endpoint: str = Field(description="As in the teacher: scheme, host and port decide.")
    attested_by: Words = Field(description="A person, by name.")
    attested_on: date
    basis: Words = Field(description="The terms: title, version, clause.")


class Policy(Noun):
    """Who vouches for endpoints that are not this machine."""

    attestations: tuple[str, ...] = Field((), description="Attestation files, for restricted data.")
    training_terms: tuple[TrainingTerms, ...] = Field(
        (), description="Without one for each such endpoint, nothing of the run may be exported for training."
    )


class RequestOptions(Noun):
    """How requests are sent, whatever they ask: what every recipe with a teacher, judge or verifier holds."""

    kind: str
    name: Name
    resend_unknown: Literal["ask", "yes", "unanswered", "no"] = Field(
        "ask",
        description="Requests that were sent and brought no answer that can be read: yes sends them again; unanswered: "
        "only those to which nothing came; ask is no, and says so.",
    )
    budget: Budget = Budget()
    prices: str | None = Field(None, description="A price table whose entries go before those that are shipped.")
    policy: Policy = Policy()
    concurrency: int = Field(8, ge=1, le=4096, description="Most requests under way to one endpoint and model.")
    rate: Rate = Rate()
    retries: int = Field(5, ge=0, le=20, description="How often a request that the server turned away is sent again.")
    seed: int = 0


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

    kind: Literal["curate"]
    studies: str | None = Field(None, description="A study store; --studies overrides it.")
    teachers: tuple[TeacherSpec, ...] = Field(min_length=1)
    several: Several = Several()
    prompt: str = Field("informed", min_length=1, description="A prompt in curation/prompts, or the path of a file.")
    layout: Literal["plain", "tagged"] = Field("plain", description="How accepted examples are written.")
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
    verify: Literal["doubts", "all", "off"] = Field(
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


Shape = Literal[  # the files of distill/students/*.json
    "InternVL3-8B-hf",
    "Llama-3.2-11B-Vision-Instruct",
    "Qwen3-VL-8B-Instruct",
    "SmolVLM2-2.2B-Instruct",
    "llava-onevision-qwen2-7b-ov-hf",
    "medgemma-1.5-4b-it",
]


class DistillRecipe(Noun):
    """`tenstep distill RECIPE`."""

    kind: Literal["distill"]
    name: Name
    method: Literal["sft", "dpo", "grpo"] = Field(
        "sft",
        description="sft: imitate the targets. dpo: prefer each accepted text to the texts that rules rejected for the "
        "same study. grpo: answer, be judged by the rules, and make the better answers likelier.",
    )
    base: str = Field(description="A checkpoint's folder or hub name; `tiny` builds the demo's student on the spot.")
    revision: str | None = Field(None, description="Commit of a hub checkpoint.")
    backend: Literal["auto", "hf", "unsloth"] = Field(
        "auto", description="Who loads the model; auto is unsloth where CUDA and unsloth are, else hf."
    )
    run: str | None = Field(None, description="A run folder, whose accepted examples are learned; --run overrides it.")
    traces: Traces = Traces()
    studies: tuple[str, ...] = Field(
        (), description="Study stores, whose references are learned without steps, in place of a run."
    )
    splits: str | None = Field(
        None, description="What `tenstep split` wrote: its train is learned, its validate watched, its test left out."
    )
    validation: float = Field(
        0.0, ge=0, lt=1, description="Share of patients that is watched and not learned, where `splits` says none."
    )
    split_seed: int = Field(0, description="Which patients `validation` draws.")
    patience: int | None = Field(
        None, ge=1, description="Stop after so many evaluations in a row without a lower validation loss."
    )
    test_sets: tuple[str, ...] = Field(
        (),
        description="What any stage is tested on, none of which may be learned: study stores, splits (their test), "
        "and lists of study ids, one a line.",
    )
    prompt: Name = Field("ten-steps", description="A prompt in distill/prompts.")
    quantize: Literal["nf4", "none"] = Field("nf4", description="nf4 with double quantization, or none.")
    lora: Lora = Lora()
    optimizer: Optimizer = Optimizer()
    preference: Preference = Field(Preference(), description="How `method: dpo` learns.")
    reward: Reward = Field(Reward(), description="How `method: grpo` learns.")
    epochs: int | None = Field(None, ge=1)
    steps: int | None = Field(None, ge=1, description="Optimizer steps; either this or epochs.")
    batch: int = Field(4, ge=1, description="Examples per forward pass and device.")
    accumulate: int = Field(1, ge=1, description="Forward passes per optimizer step.")
    max_length: int = Field(2048, ge=1, description="Tokens of prompt and target; see too_long.")
    max_new_tokens: int = Field(512, ge=1, description="What sampling will allow, and targets may have; see too_long.")
    too_long: Literal["stop", "drop"] = Field(
        "stop", description="What longer examples do: stop the run before step one, or be left out, counted and listed."
    )
    shape: Shape | None = Field(
        None, description="Whose shape --preflight counts on where the base is not at hand; one of those that ship."
    )
    gradient_checkpointing: bool = False
    vision_cache: str | None = Field(
        None,
        description="A folder where features of a frozen vision tower are kept between epochs and runs; --preflight "
        "says how large they are.",
    )
    workers: int = Field(0, ge=0, description="Processes that prepare batches beside the one that trains.")
    save_every: int = Field(50, ge=1, description="Optimizer steps between checkpoints, and between evaluations.")
    log_every: int = Field(10, ge=1, description="Optimizer steps between logged losses.")
    report_to: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        ("tensorboard",), description="Who is shown the losses; wandb sends them to its makers' servers."
    )
    limit: int | None = Field(None, gt=0, description="Only the first so many examples, in the order of the study store.")
    seed: int = Field(3407, ge=0)

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give either epochs or steps")
        if self.run is not None and self.studies:
            raise ValueError("give either run or studies")
        if self.studies and self.traces != Traces():
            raise ValueError("traces says which rows of a run are trained on, and study stores have none")
        if self.splits is not None and self.validation:
            raise ValueError("give either splits or validation")
        if self.patience is not None and self.splits is None and not self.validation:
            raise ValueError("patience needs a validation loss: give splits or validation")
        return self

    @model_validator(mode="after")
    def _method(self) -> Self:
        if self.vision_cache is not None and "vision" in self.lora.parts:
            raise ValueError("vision_cache keeps what a frozen vision part sees, and lora.parts names vision")
        if self.vision_cache is not None and (self.backend == "unsloth" or self.method == "grpo"):
            raise ValueError("vision_cache is for methods sft and dpo with backend hf or auto")
        if self.method != "sft" and self.backend == "unsloth":
            raise ValueError("unsloth is wired for method sft; say hf or auto")
        if self.method == "dpo" and (self.studies or self.traces.source != "accepted" or self.traces.balance):
            raise ValueError("method dpo learns from what a run accepted and rejected: give run, and no other traces")
        if self.method != "grpo":
            return self
        if self.splits is None and not self.validation:
            raise ValueError(
                "method grpo needs studies that the rules do not reward, to see that what it learns holds there: give "
                "splits or validation"
            )
        if self.patience is not None:
            raise ValueError("method grpo has no validation loss that patience could wait for")
        if self.batch * self.accumulate % self.reward.answers:
            raise ValueError("batch times accumulate must be a multiple of reward.answers")
        return self


class Arm(Noun):
    """One arm of an ablation."""

    recipe: str | None = Field(None, description="A distil recipe of its own; the ablation's `student` if not given.")
    changes: dict[str, Any] = Field(default_factory=dict, description="Keys of that recipe with other values.")


class AblateRecipe(Noun):
    """`tenstep ablate RECIPE`: students that differ in one thing, trained equally and compared on the same studies."""

    kind: Literal["ablate"]
    name: Name
    run: str | None = Field(None, description="A curation run; --run overrides it.")
    unseen: str | None = Field(None, description="A study store that no arm is trained on; --unseen overrides it.")
    student: str = Field(description="The distil recipe that all arms share.")
    arms: dict[Name, Arm] = Field(
        default_factory=lambda: {name: Arm() for name in ("unfiltered", "rejected", "curated", "report-only")},
        min_length=2,
        description="By name. unfiltered, rejected, curated and report-only need no changes, nor do these names with "
        "-balanced behind them; every arm is compared with the first.",
    )
    n: int | None = Field(None, ge=1, description="Rows of every arm; as many as the smallest has if not given.")
    steps: int | None = Field(None, ge=1, description="Optimizer steps of every arm; the student's if not given.")
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1, description="Every arm is trained once with each.")
    limit: int | None = Field(None, gt=0, description="Only the first so many unseen studies.")
    resamples: int = Field(2000, ge=100, description="Draws of patients for the intervals.")


class Served(Noun):
    """A student that a server answers for."""

    url: str = Field(description="Of OpenAI's chat completions, with /v1; the first of several.")
    model: str = Field(min_length=1, description="Its name there.")


class SampleRecipe(Noun):
    """`tenstep sample`: what decides a student's answers, and nothing else."""

    kind: Literal["sample"] = "sample"
    name: Name
    model: str = Field(description="Folder of the adapter, the merged student or the base; or a base on the hub.")
    model_sha256: Sha256 = Field(description="Of its weights; for an adapter, of the base's as well.")
    weights: Literal["adapter", "merged", "base"] = Field("adapter", description="What `model` is.")
    revision: str | None = Field(None, description="Commit of a base on the hub.")
    quantize: Literal["nf4", "none"] | None = Field(None, description="Of a base; a student has its own.")
    prompt: Name | None = Field(None, description="A prompt in distill/prompts; none: the one it was trained with.")
    prompt_sha256: Sha256
    temperatures: tuple[float, ...] = Field((0.0,), min_length=1, description="0 is greedy.")
    n: int = Field(1, ge=1, description="Answers per study and temperature.")
    max_new_tokens: int = Field(512, ge=1)
    repetition_penalty: float = Field(1.0, ge=1, le=10, description="Of tokens that the answer holds already; 1: none.")
    served: Served | None = Field(None, description="Where a server answers; none: the weights are loaded here.")
    limit: int | None = Field(None, gt=0, description="Only the first so many studies.")
    seed: int = Field(0, ge=0)
