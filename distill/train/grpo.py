"""Answers rewarded by the rules, through TRL's GRPOTrainer: several to a study, the better ones made likelier.

The reward is validators/reward.py: form, agreement with the reference, coverage and acceptance, each from 0 to 1,
weighted. An answer that does not end within max_new_tokens gets nothing.

TRL 1.16 asks a model again with the image inputs that it knows by name; Llama 3.2 Vision's (aspect_ratio_ids,
aspect_ratio_mask, cross_attention_mask) are not among them. So it is shown no images here: questions are made as they
are when sampling, and every call of the model is given the image inputs of its rows. A family whose inputs cannot be
put together row by row is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...schemas.distill_recipe import DistillRecipe
from ...schemas.errors import TrainingError
from ...validators import reward
from ..chat import prompt_text
from ..generate import ends_of, text_of
from ..pixels import open_image
from .collator import TrainingRow

Fields = Mapping[str, Any]  # one row's inputs other than the tokens, of shape (1 or more, ...)
_IDS = ("input_ids", "attention_mask")
# inputs that have a value a token, and what an answer's tokens get: nothing of an image, or all that the prompt saw
_ZEROS = ("token_type_ids", "mm_token_type_ids")
_LAST = ("cross_attention_mask",)


def rewarded(recipe: DistillRecipe, arguments: dict[str, Any], given: dict[str, Any]) -> Any:
    """A GRPOTrainer.

    Args:
        recipe: its reward, and how long answers may be.
        arguments: for its config, in addition to its own.
        given: for the trainer: model, tables, processor, adapters.

    Raises:
        TrainingError: the family's image inputs cannot be handed on.
    """
    from trl import GRPOConfig

    wanted = recipe.reward
    image = getattr(given["model"].config, "image_token_id", None)
    config = GRPOConfig(
        **arguments,
        num_generations=wanted.answers,
        steps_per_generation=recipe.accumulate,  # every step answers anew, so that a resumed run does too
        max_completion_length=recipe.max_new_tokens,
        temperature=wanted.temperature,
        beta=wanted.beta,
        reward_weights=list(wanted.weights),
        # an answer with an image's token would want a second image; TRL 1.16 sees to it, 1.14 does not
        generation_kwargs={} if image is None else {"suppress_tokens": [image]},
    )
    processor = given["processing_class"]
    asked_of(processor, given["train_dataset"][0]["prompt"], open_image(given["train_dataset"][0]["film"]))
    return _trainer_class()(args=config, reward_funcs=_rewards(processor, ends_of(given["model"])), **given)


def questions(rows: Sequence[TrainingRow]) -> list[dict[str, Any]]:
    """Rows as the trainer's table holds them: a column named `image` would be opened by TRL."""
    kept = ("study", "prompt", "reference_report", "views", "has_prior")
    return [{name: row[name] for name in kept} | {"film": row["image"]} for row in rows]  # type: ignore[literal-required]  # they are the names above


def asked_of(processor: Any, prompt: str, image: Any) -> tuple[list[int], Fields]:
    """A question's tokens, and what else the model is given of it.

    Raises:
        TrainingError: an input has a value a token, and it is not known what an answer's tokens would get.
    """
    text = prompt_text(processor, prompt)
    inputs = processor(images=[[image]], text=[text], add_special_tokens=False, return_tensors="pt")
    ids = inputs["input_ids"][0].tolist()
    fields = {name: value for name, value in inputs.items() if name not in _IDS}
    unknown = [
        name
        for name, value in fields.items()
        if not hasattr(value, "shape")
        or (name not in (*_ZEROS, *_LAST) and value.dim() > 1 and tuple(value.shape[:2]) == (1, len(ids)))
    ]
    if unknown:
        raise TrainingError(
            f"method grpo cannot be given {', '.join(unknown)} of {type(processor).__name__}; train this family with "
            "method dpo",
            field="method",
        )
    return ids, fields


def together(rows: Sequence[Fields], asked: int, answered: int) -> dict[str, Any]:
    """The inputs of several rows in one, those a token as long as questions (padded on the left) and answers are.

    Raises:
        TrainingError: they have other shapes for other images.
    """
    import torch

    batch: dict[str, Any] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name in (*_ZEROS, *_LAST):
            values = [_stretched(value, asked, answered, repeat=name in _LAST) for value in values]
        try:
            batch[name] = torch.cat(values)
        except RuntimeError as error:
            raise TrainingError(
                f"method grpo cannot put {name} of several images together ({error}); ingest images of one size with "
                "--longest-side, or train with method dpo",
                field="method",
            ) from None
    return batch


def _stretched(value: Any, asked: int, answered: int, *, repeat: bool) -> Any:
    import torch

    before = torch.zeros_like(value[:, :1]).expand(-1, asked - value.shape[1], *value.shape[2:])
    last = value[:, -1:] if repeat else torch.zeros_like(value[:, -1:])
    return torch.cat([before, value, last.expand(-1, answered, *value.shape[2:])], dim=1)


def _rewards(processor: Any, ends: frozenset[int]) -> list[Callable[..., list[float]]]:
    """The parts, as functions that TRL calls; they read answers as sampling does."""

    def of(part: Callable[..., list[float]]) -> Callable[..., list[float]]:
        def rewards(completion_ids: Sequence[list[int]], **columns: Any) -> list[float]:
            texts = [text_of(processor.tokenizer, ids) for ids in completion_ids]
            columns.pop("completions", None)
            found = part(texts, **columns)
            return [value if ids[-1] in ends else 0.0 for value, ids in zip(found, completion_ids, strict=True)]

        rewards.__name__ = part.__name__
        return rewards

    return [of(reward.structure), of(reward.grounding), of(reward.coverage), of(reward.accepted)]


class _Seeing:
    """A model that is given the image inputs of its rows with every call, the rows in the batch's order."""

    def __init__(self, model: Any, rows: Sequence[Fields], asked: int) -> None:
        self._model = model
        self._rows = rows
        self._asked = asked
        self._at = 0

    def __call__(self, input_ids: Any, **inputs: Any) -> Any:
        rows = self._rows[self._at : self._at + len(input_ids)]
        self._at += len(input_ids)
        fields = together(rows, self._asked, input_ids.shape[1] - self._asked)
        placed = {name: value.to(input_ids.device) for name, value in fields.items()}
        return self._model(input_ids=input_ids, **inputs, **placed)


def _trainer_class() -> Any:
    from trl import GRPOTrainer

    class Rewarded(GRPOTrainer):  # type: ignore[misc]  # trl is not typed
        """Methods of TRL's, so that rows carry their image inputs to the loss, and a run can be resumed."""

        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            self._films: list[str] = []
            self._rows: Sequence[Fields] = ()

        def _get_train_sampler(self, *dataset: Any) -> Any:
            sampler = super()._get_train_sampler(*dataset)
            # TRL draws the order of each epoch from where the last one left its generator, which a resumed run forgot
            sampler.set_epoch = lambda epoch: sampler.generator.manual_seed(self.args.seed + epoch)
            return sampler

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            self._films = [one["film"] for one in inputs]
            output = super()._generate_and_score_completions(inputs)
            return output | {"fields": list(self._rows)}  # shuffled and split with the rest

        def _tokenize_prompts(self, prompts: Any) -> Any:
            opened = {film: open_image(film) for film in set(self._films)}
            known = {
                (prompt, film): asked_of(self.processing_class, prompt, opened[film])
                for prompt, film in set(zip(prompts, self._films, strict=True))
            }
            found = [known[one] for one in zip(prompts, self._films, strict=True)]
            dtype = self.accelerator.unwrap_model(self.model).dtype
            self._rows = [
                {name: value.to(dtype) if value.is_floating_point() else value for name, value in fields.items()}
                for _, fields in found
            ]
            ids = [ids for ids, _ in found]
            return ids, None, together(self._rows, max(map(len, ids)), 0)

        def _compute_loss(self, model: Any, inputs: Any) -> Any:
            self._rows = inputs["fields"]
            return super()._compute_loss(model, inputs)

        def _get_per_token_logps_and_entropies(
            self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, *others: Any, **more: Any
        ) -> Any:
            seeing = _Seeing(model, self._rows, input_ids.shape[1] - logits_to_keep)
            return super()._get_per_token_logps_and_entropies(
                seeing, input_ids, attention_mask, logits_to_keep, *others, **more
            )

    return Rewarded
