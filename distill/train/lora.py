"""Which weights learn: a recipe's choice spelled out as full module names, and what really became trainable.

Adapters are named module by module, because libraries let one setting silently win over another (an explicit list
of targets over "no vision layers", say). Counting afterwards is a check on them, not on us alone.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ...schemas.errors import RecipeError, TrainingError
from ...schemas.learning import Lora
from ..student import Student, kind_of, layer_of

Counts = Mapping[str, int]
_WRAPPER = "base_model.model."


def targets(model: Any, student: Student, lora: Lora) -> list[str]:
    """The linear modules that get an adapter, by full name, in the model's order.

    Raises:
        RecipeError: the choice names no module, or more layers than there are.
    """
    chosen = [
        name
        for name, _ in _linears(model)
        if kind_of(name) in lora.modules and student.part_of(name) in lora.parts and layer_of(name) is not None
    ]
    if lora.top_layers is not None:
        language = [name for name in chosen if student.part_of(name) == "language"]
        depth = 1 + max((layer_of(name) or 0 for name in language), default=-1)
        if lora.top_layers > depth:
            raise RecipeError(f"there are {depth} language layers; choose no more", field="lora.top_layers")
        low = {name for name in language if (layer_of(name) or 0) < depth - lora.top_layers}
        chosen = [name for name in chosen if name not in low]
    if not chosen:
        raise RecipeError("names no module of this model; leave it out", field="lora.parts")
    for part in lora.parts:
        for kind in lora.modules:
            if not any(student.part_of(name) == part and kind_of(name) == kind for name in chosen):
                raise RecipeError(
                    f"no {kind} module of the {part} part would get an adapter, though the recipe names both; leave "
                    "one out, or see the family's file in distill/students",
                    field="lora",
                )
    return chosen


def expected(model: Any, student: Student, lora: Lora) -> Counts:
    """Weights that will learn, by part, computed from the recipe alone.

    A low-rank pair on a layer of shape (out, in) has r * (in + out) weights.

    Raises:
        RecipeError: `lora.whole` names what the model does not have.
    """
    counts: Counter[str] = Counter()
    linears = dict(_linears(model))
    for name in targets(model, student, lora):
        counts[student.part_of(name)] += lora.r * (linears[name].in_features + linears[name].out_features)
    modules = dict(model.named_modules())
    for name in lora.whole:
        if name not in modules:
            raise RecipeError(f"the model has no module '{name}'; leave it out", field="lora.whole")
        counts[student.part_of(name)] += sum(weight.numel() for weight in modules[name].parameters())
    return dict(counts)


def trainable(model: Any, student: Student) -> Counts:
    """Weights that do learn, by part, counted in the wrapped model."""
    counts: Counter[str] = Counter()
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            counts[student.part_of(name.removeprefix(_WRAPPER))] += weight.numel()
    return dict(counts)


def on_meta(model: Any, student: Student, lora: Lora) -> Counts:
    """What peft makes trainable in a model without weights; the model is changed."""
    from peft import get_peft_model

    return trainable(get_peft_model(model, config(model, student, lora), low_cpu_mem_usage=True), student)


def agree(wanted: Counts, found: Counts) -> None:
    """Raises:
    TrainingError: what is trainable is not what the recipe says.
    """
    if dict(wanted) != dict(found):
        differences = "; ".join(
            f"{part}: {found.get(part, 0):,} instead of {wanted.get(part, 0):,}"
            for part in sorted({*wanted, *found})
            if found.get(part, 0) != wanted.get(part, 0)
        )
        raise TrainingError(f"the trainable weights are not those of the recipe ({differences})", field="lora")


def config(model: Any, student: Student, lora: Lora) -> Any:
    """The same choice for peft."""
    from peft import LoraConfig

    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
        target_modules=targets(model, student, lora),
        modules_to_save=list(lora.whole) or None,
        task_type="CAUSAL_LM",
    )


def _linears(model: Any) -> list[tuple[str, Any]]:
    import torch

    return [(name, module) for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
