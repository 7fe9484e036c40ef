"""Answers of a student, many at once: padded on the left, greedy or at a temperature, each from its own seed.

Randomness belongs to the answer, not to the batch: whatever else is asked along, and after a restart, the same seed
gives the same answer (to within rounding of the logits). Sampling from softmax(logits / T) is done as the argmax of
logits / T + Gumbel noise, with a generator for every row.

Several answers to one question share one encoding of its image and prompt: the prompt is read once, and the keys and
values that it leaves are copied for each answer, which then goes its own way. The tokens are those of separate answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from .chat import prompt_text
from .load import Loaded

# Of what a processor returns, what concerns tokens that are still to come; the rest belongs to the prompt and image.
_GROWING = ("input_ids", "attention_mask", "cross_attention_mask")
_SETTINGS = {"do_sample": False, "repetition_penalty": 1.0}  # whatever the checkpoint's generation_config.json says


@dataclass(frozen=True)
class Request:
    """One question.

    Args:
        image: RGB; answers to the very same image object and prompt share their encoding.
        prompt: the instruction.
        seed: of this answer; without effect when greedy.
        temperature: 0 is greedy.
    """

    image: Image.Image
    prompt: str
    seed: int = 0
    temperature: float = 0.0


@dataclass(frozen=True)
class Completion:
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


def generate(
    loaded: Loaded, requests: Sequence[Request], *, max_new_tokens: int, repetition_penalty: float = 1.0
) -> list[Completion]:
    """Ask a batch.

    Args:
        loaded: a student in evaluation mode.
        requests: at least one.
        max_new_tokens: where an answer is cut.
        repetition_penalty: divides what speaks for tokens that the answer holds already (Keskar et al. 2019, CTRL); the
            question's tokens do not count, since some of them, an image's mark say, can be no answer.
    """
    import torch

    different = {(id(request.image), request.prompt): request for request in requests}
    places = {key: at for at, key in enumerate(different)}
    rows = [places[id(request.image), request.prompt] for request in requests]
    batch = _encoded(loaded, list(different.values()))
    length = batch["input_ids"].shape[1]
    processors = _processors(requests, length, repetition_penalty)
    with torch.inference_mode():
        if len(different) == len(requests):
            out = loaded.model.generate(
                **batch, max_new_tokens=max_new_tokens, logits_processor=processors, **_SETTINGS
            )
        else:
            out = _from_one_encoding(loaded.model, batch, rows, processors, max_new_tokens)
    asked = batch["attention_mask"].sum(dim=1)[rows].tolist()
    ends = ends_of(loaded.model)
    new = out[:, length:].tolist()
    return [_answer(loaded.processor.tokenizer, tokens, ends, n) for tokens, n in zip(new, asked, strict=True)]


def _encoded(loaded: Loaded, requests: Sequence[Request]) -> dict[str, Any]:
    """The processor's tensors for these questions, on the model's device."""
    processor = loaded.processor
    batch = processor(
        images=[[request.image] for request in requests],
        text=[prompt_text(processor, request.prompt) for request in requests],
        padding=True,
        padding_side="left",
        add_special_tokens=False,
        return_tensors="pt",
    )
    return loaded.placed(batch)


def _from_one_encoding(model: Any, batch: dict[str, Any], rows: Sequence[int], processors: Any, limit: int) -> Any:
    """Several answers to each question, from one reading of it.

    Args:
        model: the student.
        batch: the different questions.
        rows: for each answer, its question.
        processors: of logits, with a row for each answer.
        limit: new tokens.

    Returns:
        token ids of shape (answers, tokens), with the questions'.
    """
    import torch

    first = model.generate(**batch, max_new_tokens=1, return_dict_in_generate=True, output_logits=True, **_SETTINGS)
    index = torch.tensor(rows, device=model.device)
    given = {name: batch[name][index] for name in _GROWING if name in batch}
    token = processors(given["input_ids"], first.logits[0][index]).argmax(dim=-1, keepdim=True)
    given["input_ids"] = torch.cat([given["input_ids"], token], dim=1)
    if limit == 1:
        return given["input_ids"]
    given["attention_mask"] = torch.cat([given["attention_mask"], torch.ones_like(token)], dim=1)
    if "cross_attention_mask" in given:  # a new token sees of the image what the last one sees
        mask = given["cross_attention_mask"]
        given["cross_attention_mask"] = torch.cat([mask, mask[:, -1:]], dim=1)
    first.past_key_values.batch_select_indices(index)
    for module in model.modules():
        if getattr(module, "rope_deltas", None) is not None:  # where Qwen's text goes on behind an image
            module.rope_deltas = module.rope_deltas[index]
    return model.generate(
        **given,
        past_key_values=first.past_key_values,
        max_new_tokens=limit - 1,
        logits_processor=processors,
        **_SETTINGS,
    )


def _processors(requests: Sequence[Request], length: int, repetition_penalty: float) -> Any:
    """What is done to the logits of each token: first the penalty, then temperature and noise."""
    from transformers import LogitsProcessorList, RepetitionPenaltyLogitsProcessor

    found: list[Any] = []
    if repetition_penalty != 1:
        found.append(RepetitionPenaltyLogitsProcessor(float(repetition_penalty), prompt_ignore_length=length))
    if any(request.temperature for request in requests):
        found.append(_Gumbel([(request.seed, request.temperature) for request in requests]))
    return LogitsProcessorList(found)


class _Gumbel:
    """Adds each row's own noise to its logits, of shape (rows, vocabulary); see the module."""

    def __init__(self, rows: Sequence[tuple[int, float]]) -> None:
        self._rows = rows  # seed and temperature
        self._generators: list[Any] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        if not self._generators:
            self._generators = [torch.Generator(scores.device).manual_seed(seed) for seed, _ in self._rows]
        scores = scores.float()
        return torch.stack(
            [
                row / temperature - torch.empty_like(row).exponential_(generator=generator).log_()
                if temperature
                else row
                for row, generator, (_, temperature) in zip(scores, self._generators, self._rows, strict=True)
            ]
        )


def text_of(tokenizer: Any, tokens: Sequence[int]) -> str:
    """An answer's tokens as text, without special ones, and without the space that some templates put first."""
    text = str(tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    return text.removeprefix(" ")


def ends_of(model: Any) -> frozenset[int]:
    """The tokens that end an answer."""
    ends = model.generation_config.eos_token_id
    return frozenset(ends if isinstance(ends, list) else [ends])


def _answer(tokenizer: Any, tokens: list[int], ends: frozenset[int], asked: int) -> Completion:
    end = next((at for at, token in enumerate(tokens) if token in ends), None)
    kept = tokens if end is None else tokens[: end + 1]
    return Completion(text=text_of(tokenizer, kept), tokens=tuple(kept), asked=asked, complete=end is not None)
