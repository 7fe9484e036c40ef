"""An ablation, run: every arm is trained and sampled once with each seed, then all are compared.

    base/                         the tiny base, where the student's recipe says `base: tiny`; shared by all arms
    arms/<arm>/seed-<n>/student   a training run of its own
    arms/<arm>/seed-<n>/samples   its answers to the unseen studies, greedy
    ablation.json .md .html       the comparison

Every part can be resumed, so the same command after a kill goes on with what is missing. Arms share base, steps, number
of rows and seeds; they are compared on the same unseen studies, none of whose patients any arm may train on.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import Field

from ...data.files import must_be_new, readable_by
from ...data.store.studies import StudyStore
from ...schemas.ablate_recipe import AblateRecipe
from ...schemas.base import Record
from ...schemas.distill_recipe import DistillRecipe
from ...schemas.errors import InputError, RunError
from ...schemas.version import __version__
from .. import prompt as prompts
from ..evaluate.labels import LABELS
from ..libraries import quiet
from ..sample import plan, sample
from ..train.drawing import labels_of
from ..train.examples import TrainingExamples, load_examples, pool
from ..train.preflight import TINY
from ..train.tiny_base import tiny_base
from ..train.train import distill
from .arms import arms_of
from .comparison import FigureRow, rows_of
from .outcomes import Outcomes, outcomes

OnProgress = Callable[[str, int, int], object]
_BATCH = 16
NOTES = (
    "intervals and p are by patient; answers of several seeds about one patient are drawn together",
    "McNemar's p is of one seed alone; of many figures some p will be small by chance",
    "rejecting traces changes which studies are trained on: see the case mix; an arm with -balanced mends it",
)


class Ablation(Record):
    """The result."""

    name: str
    arms: tuple[str, ...] = Field(description="In the recipe's order; each is compared with the first.")
    seeds: tuple[int, ...]
    n: int = Field(description="Rows that each arm trained on.")
    steps: int = Field(description="Optimizer steps of each arm.")
    studies: int = Field(description="Unseen studies, the same for every arm.")
    patients: int
    rows: tuple[FigureRow, ...]
    case_mix: dict[str, dict[str, float]] = Field(
        description="By label: its share among all studies of the run (`all`), and among each arm's rows."
    )
    repeated: dict[str, int] = Field(description="By arm: rows that stand more than once, beyond the first time.")
    notes: tuple[str, ...] = NOTES
    code_version: str = __version__


def ablate(
    recipe: AblateRecipe,
    run: Path,
    unseen: Path,
    out: Path,
    *,
    on_progress: OnProgress = lambda _what, _done, _all: None,
) -> Ablation:
    """Train, sample and compare all arms.

    Args:
        recipe: which arms, how many rows, steps and seeds.
        run: a curation run.
        unseen: a study store.
        out: the folder; one that holds the same ablation is continued.
        on_progress: called with what is being done, how many parts of it are done, and how many there are.

    Raises:
        RecipeError: the arms cannot be compared.
        RunError: `out` holds another ablation, or something else.
        TrainingError, InputError, PolicyError: as distill and sample.
    """
    arms = arms_of(recipe, run)
    store = StudyStore.open(unseen)
    if not len(store):
        raise InputError("there are no studies here to compare the arms on; name a store with some", file=unseen)
    examples = {name: _examples(arm, run, unseen) for name, arm in arms.items()}
    restricted = store.data_class == "restricted" or any(found.restricted for found in examples.values())
    with quiet(), readable_by(owner_only=restricted):
        _claim(recipe, run, unseen, out)
        base = _base(list(arms.values()), examples, out, on_progress)
        found: dict[str, list[Outcomes]] = {name: [] for name in arms}
        parts = [(name, seed) for seed in recipe.seeds for name in arms]
        steps = 0
        for done, (name, seed) in enumerate(parts):
            on_progress(f"{name}, seed {seed}", done, len(parts))
            folder = out / "arms" / name / f"seed-{seed}"
            ours = arms[name].model_copy(
                update={"name": name, "seed": seed, "base": base, "test_sets": (*arms[name].test_sets, str(unseen))}
            )
            steps = distill(ours, run, folder / "student", resume=True).steps
            asked = plan(
                folder / "student",
                name=name,
                temperatures=[0.0],
                n=1,
                max_new_tokens=None,
                limit=recipe.limit,
                seed=seed,
            )
            sample(asked, store, folder / "samples", batch=_BATCH)
            found[name].append(outcomes(folder / "samples", steps=ours.traces.source != "reports"))
        on_progress("compare", len(parts), len(parts))
        first = next(iter(found.values()))[0]
        if any(one.studies != first.studies for runs in found.values() for one in runs):
            raise RunError("the arms did not answer the same studies; the journals of their samples say why", file=out)
        return Ablation(
            name=recipe.name,
            arms=tuple(arms),
            seeds=recipe.seeds,
            n=next(iter(arms.values())).traces.n or 0,
            steps=steps,
            studies=len(first.studies),
            patients=len(set(first.patients)),
            rows=rows_of(found, resamples=recipe.resamples),
            case_mix=_case_mix(run, examples),
            repeated={name: len(one.all) - len({row.key for row in one.all}) for name, one in examples.items()},
        )


def _examples(arm: DistillRecipe, run: Path, unseen: Path) -> TrainingExamples:
    prompt = prompts.read(prompts.path_of(arm.prompt))
    return load_examples(arm.model_copy(update={"test_sets": (*arm.test_sets, str(unseen))}), run, prompt)


def _claim(recipe: AblateRecipe, run: Path, unseen: Path, out: Path) -> None:
    """Start in an empty folder, or continue the same ablation."""
    resolved = recipe.model_dump(mode="json") | {"run": str(run.resolve()), "unseen": str(unseen.resolve())}
    text = yaml.safe_dump(resolved, sort_keys=False)
    held = out / "recipe.yaml"
    if held.is_file() and held.read_text("utf-8") != text:
        raise RunError("holds another ablation; choose another --out", file=out)
    if not held.is_file():
        must_be_new(out, "is not empty and holds no ablation; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    held.write_text(text, encoding="utf-8")


def _base(
    arms: Sequence[DistillRecipe], examples: Mapping[str, TrainingExamples], out: Path, on_progress: OnProgress
) -> str:
    """The base of all arms: the tiny one learns the sentences of every arm."""
    arm = arms[0]
    if arm.base != TINY:
        return arm.base
    on_progress("base", 0, 1)
    sentences = {text for found in examples.values() for row in found.all for text in row.sentences}
    for name in sorted({"ten-steps", "report-only", *(one.prompt for one in arms)}):
        sentences |= set(prompts.read(prompts.path_of(name)).text.splitlines())
    return str(tiny_base((out / "base").resolve(), sorted(sentences), seed=arm.seed))


def _case_mix(run: Path, examples: Mapping[str, TrainingExamples]) -> dict[str, dict[str, float]]:
    """By label, the share of rows whose reference has it; labels that no row has are left out."""
    sides = {"all": [row.study for row in pool(run, "first")]}
    sides |= {name: [row.study for row in found.all] for name, found in examples.items()}
    labels = {side: [labels_of(study) for study in studies] for side, studies in sides.items()}
    mix = {
        label: {side: round(sum(row[at] for row in rows) / len(rows), 4) for side, rows in labels.items()}
        for at, label in enumerate(LABELS)
    }
    return {label: shares for label, shares in mix.items() if any(shares.values())}
