"""The probe: is a trace read off the image, or off the report its author was shown? Asked by changing one of the two.

    again          nothing changes but the draw: how far steps move by chance
    other_report   the same image with another patient's report
    other_image    the same report with another patient's image
    blank_image    the same report with an even grey image

The same teacher and prompt answer once more for each, without repairs, in a run folder of their own, RUN/probe/run,
with its own journal, budget and policy decision. What is compared is the first attempt of the run. If steps do not move
when the image is exchanged, but do with the report, they explain the report and not the image. Pairs are wrong on
purpose: the folder is marked as not for training. It knows runs and traces; it judges nothing.
"""

import hashlib
import io
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from ..data.run import RunFolder
from ..data.statistics import bootstrap, by_patient
from ..data.store.studies import StudyStore
from ..schemas.candidate import Candidate
from ..schemas.curate_recipe import CurateRecipe, Goal, Repair, Several
from ..schemas.errors import RecipeError, RunError
from ..schemas.recipe import Budget
from ..schemas.study import ImageRef, Study
from ..schemas.trace import Trace
from ..validators.findings import claims
from .auditing.measures import words
from .batch_run import BatchRun
from .engine import Engine
from .pages.review import located
from .prompt import Prompts
from .requests.polite import run_politely
from .requests.tally import Tally
from .teacher import Teacher, load

Arm = Literal["again", "other_report", "other_image", "blank_image"]
ARMS: tuple[Arm, ...] = ("again", "other_report", "other_image", "blank_image")
_ROUNDS = 2_000
_GREY = 128


class MeanInterval(NamedTuple):
    """A mean over studies, with its 95 % bootstrap interval over patients; bounds None for fewer than two patients."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Moved:
    """How far one study's steps moved in one arm, each from 0 (nothing) to 1 (everything)."""

    study_id: str
    patient: str
    arm: Arm
    words: float  # 1 minus the Dice index of a step's words, mean over the steps
    claims: float  # 1 minus the Jaccard index of (finding, status, side) over all steps


@dataclass
class Probe:
    """The result of a probe."""

    teacher: str
    sees_images: bool
    chosen: int
    moved: list[Moved]
    tally: Tally

    def arms(self) -> dict[Arm, dict[str, Any]]:
        """For each arm: studies, how far words and claims moved, and how much farther than by chance."""
        found: dict[Arm, dict[str, Any]] = {}
        again = {one.study_id: one for one in self.moved if one.arm == "again"}
        for arm in ARMS:
            mine = [one for one in self.moved if one.arm == arm]
            if not mine:
                continue
            found[arm] = {"studies": len(mine)}
            for name in ("words", "claims"):
                found[arm][name] = _mean([(one.patient, getattr(one, name)) for one in mine])._asdict()
                if arm != "again":
                    pairs = [
                        (one.patient, getattr(one, name) - getattr(again[one.study_id], name))
                        for one in mine
                        if one.study_id in again
                    ]
                    found[arm][f"{name}_beyond_chance"] = _mean(pairs)._asdict() if pairs else None
        return found

    def as_dict(self) -> dict[str, Any]:
        """probe.json."""
        return {
            "teacher": self.teacher,
            "sees_images": self.sees_images,
            "studies": self.chosen,
            "arms": self.arms(),
            "asked": self.tally.asked,
            "recalled": self.tally.recalled,
            "no_answer": self.tally.unknown + self.tally.failed + self.tally.refused,
            "spend_usd": self.tally.spend_usd,
            "ended": self.tally.ended,
            "reading": self.reading(),
        }

    def reading(self) -> list[str]:
        """What the numbers say, in sentences."""
        arms = self.arms()
        said = []
        if not self.sees_images:
            said.append("The teacher sees no image: whatever its steps say comes from the report.")
        changes: tuple[tuple[Arm, str], ...] = (
            ("other_report", "the report"),
            ("other_image", "the image"),
            ("blank_image", "the image"),
        )
        for arm, what in changes:
            beyond = (arms.get(arm) or {}).get("claims_beyond_chance")
            if beyond is None or beyond["low"] is None:
                continue
            changed = "is replaced by grey" if arm == "blank_image" else "is another patient's"
            if beyond["low"] > 0:
                said.append(f"What the steps claim moves when {what} {changed}: by {beyond['mean']:.0%} beyond chance.")
            else:
                said.append(f"It is not shown that what the steps claim moves when {what} {changed}.")
        return said


def probe(
    path: Path,
    *,
    studies: int = 20,
    teacher: str | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    on_study: Callable[[Tally], None] = lambda tally: None,
) -> Probe:
    """Probe a run's teacher.

    Args:
        path: the run folder; it is only read. Answers go to RUN/probe/run, and are not asked again.
        studies: how many to take, drawn by the seed; each is asked in every arm.
        teacher: its name in the run's recipe; the first if not given.
        budget: for the probe; none but the number of questions if not given.
        seed: of the draw.
        on_study: called for every answer.

    Raises:
        RunError: there is nothing to probe, or RUN/probe holds another probe.
        RecipeError: the recipe has no such teacher.
        PolicyError: its data may not go there any more.
    """
    with RunFolder.read(path) as run:
        if run.manifest.kind != "curate":
            raise RunError("was not written by a teacher; only a run of `tenstep curate` can be probed", file=path)
        recipe = CurateRecipe.model_validate(run.manifest.recipe)
        spec = _spec(recipe, teacher)
        author = load(spec)
        chosen = _choose(run, author, studies, seed)
        store = _store(path / "probe", run, chosen, _arms(author, recipe, chosen), seed)
    asked = recipe.model_copy(
        update={
            "name": f"{recipe.name}-probe",
            "teachers": (spec,),
            "several": Several(),
            "repair": Repair(attempts=0),
            "goal": Goal(),
            "limit": None,
            "budget": budget or Budget(calls=len(store)),
            "studies": store.place,
        }
    )
    with RunFolder.open(path / "probe" / "run", kind="curate", recipe=asked, studies=store) as book:
        worker = BatchRun if getattr(author, "batch", False) else Engine
        engine = worker(book, asked, [author], on_study=on_study)
        _not_for_training(book)
        tally = run_politely(engine.work(), engine.stop)
        _not_for_training(book)  # a source that is read in passes decides anew for each
        answers = {candidate.study_id: candidate.trace for candidate, _ in book.judged()}
        book.finish(spend_usd=tally.spend_usd, studies=len(store))
    moved = [found for one in chosen for found in _moved(one, answers)]
    return Probe(author.name, author.sees_images, len(chosen), moved, tally)


def _not_for_training(book: RunFolder) -> None:
    policy = book.manifest.policy
    if policy is not None:
        reason = "it is a probe: images and reports were exchanged on purpose"
        book.decide(policy.model_copy(update={"training": False, "reason": reason}))


class _Chosen(NamedTuple):
    """A study to probe: its first attempt, and another patient's study to exchange with."""

    study: Study
    trace: Trace
    donor: Study


def _spec(recipe: CurateRecipe, name: str | None) -> Any:
    for spec in recipe.teachers:
        if name is None or (spec.name or spec.kind) == name:
            return spec
    known = ", ".join(spec.name or spec.kind for spec in recipe.teachers)
    raise RecipeError(f"the run has no teacher '{name}'; it has: {known}", field="teacher")


def _choose(run: RunFolder, teacher: Teacher, wanted: int, seed: int) -> list[_Chosen]:
    first: dict[str, Candidate] = {}
    for candidate, _ in run.judged():
        if candidate.teacher == teacher.name and candidate.attempt == 1 and candidate.sample == 0 and candidate.trace:
            first.setdefault(candidate.study_id, candidate)
    names = sorted(first)
    chance = random.Random(seed)  # noqa: S311 a draw, no secret
    chance.shuffle(names)
    chosen: list[_Chosen] = []
    for name in names:
        if len(chosen) == wanted:
            break
        study = located(run.studies, run.studies.get(name))
        donor = _donor(run, study, names, chance)
        trace = first[name].trace
        if donor is not None and trace is not None:
            chosen.append(_Chosen(study, trace, donor))
    if not chosen:
        raise RunError("holds no two studies of different patients with readable traces of this teacher", file=run.path)
    return chosen


def _donor(run: RunFolder, study: Study, names: Sequence[str], chance: random.Random) -> Study | None:
    """Another patient's study with another report, and with images if this one has any."""
    for name in chance.sample(names, min(len(names), 50)):
        other = run.studies.get(name)
        differs = other.patient_id != study.patient_id and other.report != study.report
        if differs and bool(other.images) == bool(study.images):
            return located(run.studies, other)
    return None


def _arms(teacher: Teacher, recipe: CurateRecipe, chosen: Sequence[_Chosen]) -> tuple[Arm, ...]:
    """The arms in which the question differs at all."""
    sees = teacher.sees_images and any(one.study.images for one in chosen)
    shown = not Prompts(recipe.prompt).needs_images  # else the reference is not part of the question
    wanted: Mapping[Arm, bool] = {"again": True, "other_report": shown, "other_image": sees, "blank_image": sees}
    return tuple(arm for arm in ARMS if wanted[arm])


def _store(folder: Path, run: RunFolder, chosen: Sequence[_Chosen], arms: Sequence[Arm], seed: int) -> StudyStore:
    """The exchanged studies as a store; the one that is there, if it is the same."""
    wanted = [f"{one.study.id}#{arm}" for one in chosen for arm in arms]
    root = folder / "studies"
    if (root / "store.json").is_file():
        store = StudyStore.open(root)
        if sorted(study.id for study in store) != sorted(wanted):
            raise RunError(
                "holds a probe of other studies; remove it, or ask for the same number and seed", file=folder
            )
        return store
    folder.mkdir(mode=0o700 if run.studies.data_class == "restricted" else 0o777, exist_ok=True)
    with StudyStore.create(root, "probe") as writer:
        for one in chosen:
            for arm in arms:
                writer.add(_exchanged(one, arm, folder))
    return StudyStore.open(root)


def _exchanged(one: _Chosen, arm: Arm, folder: Path) -> Study:
    study, donor = one.study, one.donor
    changed: dict[str, Any] = {"id": f"{study.id}#{arm}", "split": None}
    match arm:
        case "again":
            pass
        case "other_report":
            # the reference goes with all that was made from it; views belong to the image
            names = ("report", "report_form", "sections", "labels", "has_prior")
            changed |= {name: getattr(donor, name) for name in names}
        case "other_image":
            changed |= {"images": donor.images, "views": donor.views}
        case "blank_image":
            changed["images"] = tuple(_blank(ref, folder) for ref in study.images)
    return study.model_copy(update=changed)


def _blank(ref: ImageRef, folder: Path) -> ImageRef:
    """An even grey image of the same size."""
    stream = io.BytesIO()
    Image.new("L", (ref.width, ref.height), _GREY).save(stream, "PNG", optimize=True)
    data = stream.getvalue()
    path = (folder / f"grey-{ref.width}x{ref.height}.png").resolve()
    path.write_bytes(data)
    return ref.model_copy(update={"path": str(path), "sha256": hashlib.sha256(data).hexdigest()})


def _moved(one: _Chosen, answers: Mapping[str, Trace | None]) -> Iterable[Moved]:
    for arm in ARMS:
        trace = answers.get(f"{one.study.id}#{arm}")
        if trace is not None:
            moved = (_words_moved(one.trace, trace), _claims_moved(one.trace, trace))
            yield Moved(one.study.id, one.study.patient_id, arm, *moved)


def _words_moved(one: Trace, other: Trace) -> float:
    """Step by step; a step that the other lacks has moved altogether."""
    count = max(len(one.steps), len(other.steps))
    both = zip(one.texts, other.texts, strict=False)
    alike = sum(_dice(set(words(first)), set(words(second))) for first, second in both)
    return 1 - alike / count if count else 0.0


def _dice(one: set[str], other: set[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other)) if one or other else 1.0


def _claims_moved(one: Trace, other: Trace) -> float:
    first, second = (
        {(claim.finding, claim.status, claim.side) for text in trace.texts for claim in claims(text)}
        for trace in (one, other)
    )
    return 1 - len(first & second) / len(first | second) if first | second else 0.0


def _mean(values: Sequence[tuple[str, float]], seed: int = 0) -> MeanInterval:
    """The mean, and the percentiles of means over patients drawn with replacement."""
    sums = by_patient(np.array([[value, 1.0] for _, value in values]), [patient for patient, _ in values])
    bounds = bootstrap(sums, lambda drawn: drawn[:, 0] / drawn[:, 1], rounds=_ROUNDS, seed=seed)
    return MeanInterval(float(sums[:, 0].sum() / sums[:, 1].sum()), *(bounds or (None, None)))
