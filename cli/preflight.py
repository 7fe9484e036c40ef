"""The preflight for people and for machines."""

from ..distill.train.lengths import Lengths
from ..distill.train.preflight import Preflight
from ..schemas.distill_recipe import DistillRecipe
from ..schemas.outcome import Outcome, Table

_SHOWN = 1500  # characters of an example
SEVERAL = (
    "{} studies have several images and the student is shown the first frontal one, while the report is about all; "
    "ingest with --one-image canvas to show all on one"
)


def outcome(recipe: DistillRecipe, found: Preflight) -> Outcome:
    """Tables, notes, and the same as JSON; private where it quotes restricted text."""
    rows = [
        ("shape", found.shape),
        ("trainable", f"{sum(found.trainable.values()):,} of {found.weights:,} weights"),
        *((f"  {part}", f"{count:,}") for part, count in sorted(found.trainable.items())),
        *_examples(found),
        *_lengths("conversation", found.conversation),
        *_lengths("target", found.target),
        *_memory(found),
        *((("vision features, MB on disk", f"{found.features_mb:,}"),) if found.features_mb is not None else ()),
    ]
    tables = [Table(title=f"preflight: {recipe.name}", columns=("", ""), rows=tuple(rows))]
    if found.shown:
        shown = tuple((str(at), text[:_SHOWN]) for at, text in enumerate(found.shown, 1))
        tables.append(Table(title="what is trained on (the unmasked tokens)", columns=("example", "text"), rows=shown))
    if found.unchecked:
        tables.append(
            Table(title="could not be checked", columns=("",), rows=tuple((text,) for text in found.unchecked))
        )
    return Outcome(
        payload=found.model_dump(mode="json"),
        tables=tuple(tables),
        notes=("nothing was trained",),
        private=found.restricted,
    )


def _examples(found: Preflight) -> list[tuple[str, str]]:
    if not found.examples:
        return []
    return [
        ("training", f"{found.examples} examples of {found.patients} patients"),
        *((("preference pairs", f"{sum(found.pairs.values())}: {by_code(found)}"),) if found.pairs else ()),
        ("validation", f"{found.validation} examples of {found.patients_validation} other patients"),
        *((("left out, too long", f"{len(found.dropped)}: {', '.join(found.dropped[:5])}"),) if found.dropped else ()),
        ("images", f"{found.images}, all there, as ingested, and decoded"),
        *((("one of several views", SEVERAL.format(found.one_of_several)),) if found.one_of_several else ()),
        ("test sets", f"no overlap with {', '.join(found.test_sets)}" if found.test_sets else "none is declared"),
    ]


def by_code(found: Preflight) -> str:
    """What the other texts of the pairs were rejected for."""
    return ", ".join(f"{code} {n}" for code, n in sorted(found.pairs.items(), key=lambda one: (-one[1], one[0])))


def _lengths(name: str, found: Lengths | None) -> list[tuple[str, str]]:
    if found is None:
        return []
    text = f"median {found.median}, p95 {found.p95}, p99 {found.p99}, longest {found.longest} of {found.allowed}"
    return [(f"{name}, tokens", text)]


def _memory(found: Preflight) -> list[tuple[str, str]]:
    need = found.memory
    if need is None:
        return []
    text = f"{need.weights_mb:,} weights + {need.learning_mb:,} learning + {need.activations_mb:,} activations"
    rows = [("memory, MB (estimated)", f"{need.total_mb:,} = {text}")]
    if need.card_mb is None:
        return rows
    fits = "fits" if need.total_mb < need.card_mb else "may not fit: lower batch, or turn gradient_checkpointing on"
    return [*rows, ("card", f"{need.card}, {need.card_mb:,} MB: {fits}")]
