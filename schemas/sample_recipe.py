"""The recipe of `tenstep sample`, made from its options."""

from typing import Literal

from pydantic import Field

from .base import Name, Noun, Sha256


class Served(Noun):
    """A student that a server answers for."""

    url: str = Field(description="Of OpenAI's chat completions, with /v1; the first of several.")
    model: str = Field(min_length=1, description="Its name there.")


class SampleRecipe(Noun):
    """`tenstep sample`: what decides a student's answers, and nothing else."""

    kind: Literal["sample"] = Field("sample", description="Which kind of recipe this is.")
    name: Name = Field(description="Name of the run.")
    model: str = Field(description="Folder of the adapter, the merged student or the base; or a base on the hub.")
    model_sha256: Sha256 = Field(description="Of its weights; for an adapter, of the base's as well.")
    weights: Literal["adapter", "merged", "base"] = Field("adapter", description="What `model` is.")
    revision: str | None = Field(None, description="Commit of a base on the hub.")
    quantize: Literal["nf4", "none"] | None = Field(None, description="Of a base; a student has its own.")
    prompt: Name | None = Field(None, description="A prompt in distill/prompts; none: the one it was trained with.")
    prompt_sha256: Sha256 = Field(description="Of the prompt file.")
    temperatures: tuple[float, ...] = Field((0.0,), min_length=1, description="0 is greedy.")
    n: int = Field(1, ge=1, description="Answers per study and temperature.")
    max_new_tokens: int = Field(512, ge=1, description="Tokens of an answer, at most.")
    repetition_penalty: float = Field(1.0, ge=1, le=10, description="Of tokens that the answer holds already; 1: none.")
    served: Served | None = Field(None, description="Where a server answers; none: the weights are loaded here.")
    limit: int | None = Field(None, gt=0, description="Only the first so many studies.")
    seed: int = Field(0, ge=0, description="Of everything that is drawn by chance.")
