"""The recipe of `tenstep distill`; how a student learns is in learning.py."""

from typing import Literal, Self

from pydantic import Field, model_validator

from .base import Name, Noun
from .learning import Lora, Optimizer, PreferenceOptimization, Reward, Traces

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

    kind: Literal["distill"] = Field(description="Which kind of recipe this is.")
    name: Name = Field(description="The recipe's name: letters, digits, '.', '_' and '-'.")
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
        None,
        description="Of `tenstep split`: train is learned, validate gives validation losses, test is kept out.",
    )
    validation: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of patients that gives the validation loss and is not learned, where `splits` says none.",
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
    preference: PreferenceOptimization = Field(PreferenceOptimization(), description="How `method: dpo` learns.")
    reward: Reward = Field(Reward(), description="How `method: grpo` learns.")
    epochs: int | None = Field(None, ge=1, description="Passes over the examples; either this or steps.")
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
    gradient_checkpointing: bool = Field(
        False, description="Compute activations again in the backward pass: less memory, about a third slower."
    )
    vision_cache: str | None = Field(
        None,
        description="A folder where features of a frozen vision tower are kept between epochs and runs; --preflight "
        "says how large they are.",
    )
    workers: int = Field(0, ge=0, description="Processes that prepare batches for the one that trains.")
    save_every: int = Field(50, ge=1, description="Optimizer steps between checkpoints, and between evaluations.")
    log_every: int = Field(10, ge=1, description="Optimizer steps between logged losses.")
    report_to: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        ("tensorboard",), description="Who is shown the losses; wandb sends them to its makers' servers."
    )
    limit: int | None = Field(
        None, gt=0, description="Only the first so many examples, in the order of the study store."
    )
    seed: int = Field(3407, ge=0, description="Of everything that is drawn by chance.")

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
