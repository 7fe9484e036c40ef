"""The model card (README.md): written from the run card and evaluations, with the terms that training data hand down.

With it goes the run card, without training texts and without paths of this machine.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...schemas.evaluation import Evaluation
from ..markdown import facts
from ..train.run_card import FILE, RunCard
from . import evaluated
from .merge_card import MergedCard
from .terms import model_terms

README = "README.md"
DISCLAIMER = (
    "For research and education. Not a medical device, and no medical advice: do not use it for diagnosis or treatment."
)
INHERITED = "## Terms inherited from the training data"
UNKNOWN = "unknown"


def write(
    folder: Path,
    card: RunCard,
    *,
    merged: MergedCard | None,
    sources: Sequence[str],
    licence: str | None,
    evaluations: Sequence[Evaluation] = (),
) -> None:
    """Write the model card and the run card that may leave into a folder of weights."""
    text = render(card, merged=merged, sources=sources, licence=licence, evaluations=evaluations)
    (folder / README).write_text(text, encoding="utf-8")
    (folder / FILE).write_text(json.dumps(public(card), indent=2) + "\n", encoding="utf-8")


def render(
    card: RunCard,
    *,
    merged: MergedCard | None,
    sources: Sequence[str],
    licence: str | None,
    evaluations: Sequence[Evaluation] = (),
) -> str:
    """The card's text.

    Args:
        card: of the training run.
        merged: of the weights, if they were merged; none for an adapter.
        sources: where the training data come from; empty if that is not known.
        licence: an SPDX or hub identifier; none is written as unknown, and publishing refuses that.
        evaluations: of these weights.
    """
    fields = public(card)
    recipe, preflight = fields["recipe"], fields["preflight"]
    restricted = card.preflight.restricted or (merged is not None and merged.restricted)
    lines = [
        "---",
        f"license: {licence or UNKNOWN}",
        "library_name: " + ("transformers" if merged else "peft"),
        f"base_model: {fields['base']}",
        "pipeline_tag: image-text-to-text",
        "tags: [radiology, chest-x-ray, chain-of-thought, tenstep]",
        "---",
        "",
        f"# {recipe['name']}",
        "",
        f"{DISCLAIMER}",
        "",
        "Written by tenstep from the records of training and evaluation; nothing here was typed by hand.",
        "",
        INHERITED,
        "",
        *model_terms(sources, restricted=restricted),
        "## What it is",
        "",
        *facts(_identity(card, merged)),
        "## How it was trained",
        "",
        *facts(
            {
                "examples": f"{preflight['examples']} ({preflight['validation']} for validation)",
                "patients": f"{preflight['patients']} ({preflight['patients_validation']} for validation)",
                "trainable weights": _counts(preflight["trainable"], preflight["weights"]),
                "steps": card.steps,
                "final loss": f"{card.losses[-1].loss:.4f}" if card.losses else "not logged",
                "lowest validation loss": f"{min(e.loss for e in card.evaluations):.4f}"
                if card.evaluations
                else "none",
                "seconds": card.seconds,
                "peak memory": f"{card.peak_memory_mb or 0:.0f} MB",
                "hardware": card.hardware,
                "backend": card.backend,
                "finished": card.finished or "not finished",
                "libraries": ", ".join(f"{name} {version}" for name, version in card.libraries.items()),
                "tenstep": f"{card.code_version} (source {card.code_sha256[:12]})",
            }
        ),
        *evaluated.section(evaluations),
        "## Recipe",
        "",
        "```json",
        json.dumps(recipe, indent=2),
        "```",
    ]
    return "\n".join(lines) + "\n"


def public(card: RunCard) -> dict[str, Any]:
    """The run card without training texts, and with names in place of this machine's paths."""
    fields = card.model_dump(mode="json")
    fields["preflight"]["shown"] = []
    bare: dict[str, Any] = _bare(fields)
    return bare


def _bare(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _bare(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_bare(one) for one in value]
    return named(value) if isinstance(value, str) and "\n" not in value else value


def named(text: str) -> str:
    """A path of this machine by its last part; other texts as they are."""
    return Path(text).name if Path(text).is_absolute() else text


def _identity(card: RunCard, merged: MergedCard | None) -> dict[str, object]:
    fields: dict[str, object] = {
        "base": named(card.base),
        "base, SHA-256": card.base_sha256,
        "adapter, SHA-256": card.adapter_sha256 or "none",
        "data, SHA-256": card.data_sha256,
        "prompt, SHA-256": card.prompt_sha256,
        "recipe, SHA-256": card.recipe_sha256,
    }
    if merged is not None:
        fields |= {
            "weights": f"{merged.precision}, merged, SHA-256 {merged.weights_sha256}",
            "compared with base and adapter": f"{merged.equal} of {merged.rows} greedy answers are the same"
            if merged.top1 is None
            else f"the same likeliest token at {merged.top1:.1%}, divergence {merged.kl:.4f} nats a token",
        }
    return fields


def _counts(trainable: Mapping[str, int], weights: int) -> str:
    parts = ", ".join(f"{part} {count:,}" for part, count in sorted(trainable.items()))
    return f"{sum(trainable.values()):,} of {weights:,} ({parts})"
