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
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from ..data.recipes import recipe_of_run
from ..data.run import RunFolder
from ..data.store.studies import StudyStore
from ..schemas.candidate import Candidate
from ..schemas.curate_recipe import CurateRecipe, Goal, Repair, Several
from ..schemas.errors import RecipeError, RunError
from ..schemas.recipe import Budget
from ..schemas.study import ImageRef, Study
from ..schemas.trace import Trace
from .batch_run import BatchRun
from .engine import Engine
from .pages.review import located
from .probe_result import ARMS, Arm, Moved, Probe, claims_moved, words_moved
from .prompt import Prompts
from .requests.polite import run_politely
from .requests.tally import Tally
from .teacher import Teacher, load

_GREY = 128


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
        recipe = recipe_of_run(run, CurateRecipe, "curate", "probed")
        spec = _spec(recipe, teacher)
        author = load(spec)
        chosen = _choose(run, author, studies, seed)
        store = _store(path / "probe", run, chosen, _arms(author, recipe, chosen))
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


class _Exchange(NamedTuple):
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


def _choose(run: RunFolder, teacher: Teacher, wanted: int, seed: int) -> list[_Exchange]:
    first: dict[str, Candidate] = {}
    for candidate, _ in run.judged():
        if candidate.teacher == teacher.name and candidate.attempt == 1 and candidate.sample == 0 and candidate.trace:
            first.setdefault(candidate.study_id, candidate)
    names = sorted(first)
    chance = random.Random(seed)  # noqa: S311 a draw, no secret
    chance.shuffle(names)
    chosen: list[_Exchange] = []
    for name in names:
        if len(chosen) == wanted:
            break
        study = located(run.studies, run.studies.get(name))
        donor = _donor(run, study, names, chance)
        trace = first[name].trace
        if donor is not None and trace is not None:
            chosen.append(_Exchange(study, trace, donor))
    if not chosen:
        raise RunError(
            "holds no two studies of different patients with readable traces of this teacher; curate more first",
            file=run.path,
        )
    return chosen


def _donor(run: RunFolder, study: Study, names: Sequence[str], chance: random.Random) -> Study | None:
    """Another patient's study with another report, and with images if this one has any."""
    for name in chance.sample(names, min(len(names), 50)):
        other = run.studies.get(name)
        differs = other.patient_id != study.patient_id and other.report != study.report
        if differs and bool(other.images) == bool(study.images):
            return located(run.studies, other)
    return None


def _arms(teacher: Teacher, recipe: CurateRecipe, chosen: Sequence[_Exchange]) -> tuple[Arm, ...]:
    """The arms in which the question differs at all."""
    sees = teacher.sees_images and any(one.study.images for one in chosen)
    shown = not Prompts(recipe.prompt).needs_images  # else the reference is not part of the question
    wanted: Mapping[Arm, bool] = {"again": True, "other_report": shown, "other_image": sees, "blank_image": sees}
    return tuple(arm for arm in ARMS if wanted[arm])


def _store(folder: Path, run: RunFolder, chosen: Sequence[_Exchange], arms: Sequence[Arm]) -> StudyStore:
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


def _exchanged(one: _Exchange, arm: Arm, folder: Path) -> Study:
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


def _moved(one: _Exchange, answers: Mapping[str, Trace | None]) -> Iterable[Moved]:
    for arm in ARMS:
        trace = answers.get(f"{one.study.id}#{arm}")
        if trace is not None:
            moved = (words_moved(one.trace, trace), claims_moved(one.trace, trace))
            yield Moved(one.study.id, one.study.patient_id, arm, *moved)
