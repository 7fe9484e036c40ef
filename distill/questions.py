"""The questions of a sampling run: which answers it wants, about which images, and under which keys.

An answer's key covers everything that decides it: weights, prompt, image, sampling parameters, index. What has been
sampled under its key is not sampled again, so a sampling run that was stopped goes on where it was. An image is looked
at when its study's turn comes.
"""

import hashlib
import json
import time
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ..data.run import RunFolder
from ..data.run_files import MANIFEST
from ..data.store.studies import StudyStore
from ..schemas.errors import ImageError, InputError
from ..schemas.run import Event, State
from ..schemas.sample_recipe import SampleRecipe
from ..schemas.study import Study
from .pixels import check, choose

_NEWER = {"repetition_penalty": 1.0}  # not in the keys of earlier versions, and left out of ours at these values


class StudentQuestion(NamedTuple):
    """One answer that is wanted."""

    key: str
    study: Study
    image: Path
    number: int  # index among the study's answers: those of the first temperature, then of the next
    temperature: float

    @property
    def seed(self) -> int:
        """Of its randomness."""
        return int(self.key[:15], 16)


def questions(run: RunFolder, recipe: SampleRecipe, done: Collection[str]) -> Iterator[StudentQuestion]:
    """The answers that are still wanted, study by study.

    A study that cannot be shown is journalled as failed, with the reason.

    Args:
        run: open for writing.
        recipe: its recipe.
        done: keys that have their answers.
    """
    for study in islice(run.studies, recipe.limit):
        image = choose(study)
        wanted = [
            (_key(recipe, study, "none" if image is None else image.sha256, temperature, number), number, temperature)
            for temperature, number in _numbers(recipe)
        ]
        wanted = [one for one in wanted if one[0] not in done]
        if not wanted:
            continue
        try:
            if image is None:
                raise ImageError(f"study '{study.id}': it has no image, and a student reads images")
            path = check(run.studies, study, image)
        except ImageError as error:
            for key, _, _ in wanted:
                run.journal.append(_failed(key, study, str(error))).result()
            continue
        for key, number, temperature in wanted:
            yield StudentQuestion(key, study, path, number, temperature)


def check_same_studies(out: Path, store: StudyStore) -> None:
    """Refuse a store other than the one that a run's answers are about, before anything of the run is changed.

    Raises:
        InputError: it is another one.
    """
    if not (out / MANIFEST).is_file():
        return
    with RunFolder.read(out, studies=store.root) as run:
        if run.manifest.kind != "sample":
            return  # opening it says so
        recipe = SampleRecipe.model_validate(run.manifest.recipe, strict=False)
        for event in run.journal.latest(State.JUDGED):
            try:
                study = store.get(event.study_id)
            except InputError:
                study = None
            if study is None or not _may_be(event.key, recipe, study):
                raise InputError(
                    f"not the store of this run, which has answers about '{event.study_id}' and its image; give "
                    f"--studies {(out / run.manifest.studies).resolve()}, or choose another --out",
                    file=store.root,
                )


def _may_be(key: str, recipe: SampleRecipe, study: Study) -> bool:
    """Whether a key is of this study and its image; a server's keys are made elsewhere (curation/served.py)."""
    if recipe.served is not None:
        return True
    image = choose(study)
    return image is not None and any(
        _key(recipe, study, image.sha256, temperature, number) == key for temperature, number in _numbers(recipe)
    )


def _numbers(recipe: SampleRecipe) -> Iterator[tuple[float, int]]:
    for at, temperature in enumerate(recipe.temperatures):
        for index in range(recipe.n):
            yield temperature, at * recipe.n + index


def _key(recipe: SampleRecipe, study: Study, image: str, temperature: float, number: int) -> str:
    named = {"model_sha256", "prompt_sha256", "max_new_tokens", "seed", *_NEWER}
    parts = recipe.model_dump(include=named, mode="json")
    parts = {name: value for name, value in parts.items() if value != _NEWER.get(name, ...)}
    parts["temperature"] = temperature
    return hashlib.sha256(json.dumps([parts, study.id, image, number], sort_keys=True).encode()).hexdigest()


def _failed(key: str, study: Study, reason: str) -> Event:
    return Event(key=key, state=State.FAILED, study_id=study.id, at=time.time(), body={"reason": reason})
