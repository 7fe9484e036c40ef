"""Answers of a student, many at once: padded on the left, greedy or at a temperature, each from its own seed.

Randomness belongs to the answer, not to the batch: whatever else is asked along, and after a restart, the same seed
gives the same answer (to within rounding of the logits). Sampling from softmax(logits / T) is done as the argmax of
logits / T + Gumbel noise, with a generator for every row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from .chat import prompt_text
from .load import Loaded


@dataclass(frozen=True)
class Request:
    """One question.

    Args:
        image: RGB.
        prompt: the instruction.
        seed: of this answer; without effect when greedy.
    """

    image: Image.Image
    prompt: str
    seed: int


@dataclass(frozen=True)
class Answer:
    """One answer.

    Args:
        text: without special tokens, and without the space that some templates put behind the role.
        tokens: the new tokens' ids, up to and with the end.
        asked: tokens of the question.
        complete: whether the student ended it; else it was cut at the limit.
    """

    text: str
    tokens: tuple[int, ...]
    asked: int
    complete: bool


def generate(loaded: Loaded, requests: Sequence[Request], *, max_new_tokens: int, temperature: float) -> list[Answer]:
    """Ask a batch.

    Args:
        loaded: a student in evaluation mode.
        requests: at least one.
        max_new_tokens: where an answer is cut.
        temperature: 0 is greedy.
    """
    import torch
    from transformers import LogitsProcessorList

    model, processor = loaded.model, loaded.processor
    batch = processor(
        images=[[request.image] for request in requests],
        text=[prompt_text(processor, request.prompt) for request in requests],
        padding=True,
        padding_side="left",
        add_special_tokens=False,
        return_tensors="pt",
    ).to(model.device)
    batch = {name: value.to(model.dtype) if value.is_floating_point() else value for name, value in batch.items()}
    noise = [_Gumbel([request.seed for request in requests], temperature)] if temperature else []
    with torch.inference_mode():
        out = model.generate(
            **batch, max_new_tokens=max_new_tokens, do_sample=False, logits_processor=LogitsProcessorList(noise)
        )
    asked = batch["attention_mask"].sum(dim=1).tolist()
    new = out[:, batch["input_ids"].shape[1] :].tolist()
    ends = ends_of(model)
    return [_answer(processor.tokenizer, tokens, ends, length) for tokens, length in zip(new, asked, strict=True)]


class _Gumbel:
    """Adds each row's own noise to its logits, of shape (rows, vocabulary); see the module."""

    def __init__(self, seeds: Sequence[int], temperature: float) -> None:
        self._seeds = seeds
        self._temperature = temperature
        self._generators: list[Any] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        if not self._generators:
            self._generators = [torch.Generator(scores.device).manual_seed(seed) for seed in self._seeds]
        scores = scores.float()
        noise = [
            torch.empty_like(row).exponential_(generator=generator).log_()
            for row, generator in zip(scores, self._generators, strict=True)
        ]
        return scores / self._temperature - torch.stack(noise)


def text_of(tokenizer: Any, tokens: Sequence[int]) -> str:
    """An answer's tokens as text, without special ones, and without the space that some templates put first."""
    text = str(tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    return text.removeprefix(" ")


def ends_of(model: Any) -> frozenset[int]:
    """The tokens that end an answer."""
    ends = model.generation_config.eos_token_id
    return frozenset(ends if isinstance(ends, list) else [ends])


def _answer(tokenizer: Any, tokens: list[int], ends: frozenset[int], asked: int) -> Answer:
    end = next((at for at, token in enumerate(tokens) if token in ends), None)
    kept = tokens if end is None else tokens[: end + 1]
    return Answer(text=text_of(tokenizer, kept), tokens=tuple(kept), asked=asked, complete=end is not None)
