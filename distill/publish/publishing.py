"""Publishing, up to the last step: what would leave is put together, looked through, and listed. Nothing is sent.

A folder may leave only with a licence, without secrets, without training text, and with the terms that
its training data hand down. If the data are restricted and not at hand, their text cannot be looked for, so it may not.
"""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ...data.files import readable_by
from ...data.store.studies import StudyStore
from ...schemas.errors import InputError, RunError
from .. import adapter, written
from ..load import sha256_of
from ..train.run_card import FILE, RunCard
from . import evaluated, merge_card, model_card
from .checks import Problem, secrets, unexpected_files, verbatim_report_text
from .merge import check_same, stores_of
from .merge_card import MergedCard

_LICENCE = re.compile(r"(?m)^license:[ \t]*(\S+)[ \t]*$")
_OWN = ("run.lock",)


class PackagedFile(NamedTuple):
    """A file that would leave."""

    name: str
    size: int  # bytes
    sha256: str


class Package(NamedTuple):
    """What would leave, and why it may not; without problems it may."""

    files: tuple[PackagedFile, ...]
    problems: tuple[Problem, ...]
    restricted: bool
    searched: int  # reports whose text was looked for


def publish(
    model: Path,
    *,
    licence: str | None = None,
    studies: Path | None = None,
    evaluations: Sequence[Path] = (),
    out: Path | None = None,
) -> Package:
    """Put together and look through what would leave; a dry run unless `out` is given, and offline always.

    Args:
        model: what tenstep distill or tenstep merge wrote.
        licence: of the weights, for the model card; the card's own if not given.
        studies: the study store that was trained on, if it is no longer where the run card says.
        evaluations: what tenstep evaluate wrote of these weights; it goes into the model card.
        out: a new folder for what may leave; nothing is written if it may not.

    Raises:
        InputError: no student lies there, files of it are missing or changed, or an evaluation is of another model.
        TrainingError: the weights are others than its run card and its own card say.
        RunError: `out` is taken.
    """
    if out is not None and out.exists():
        raise RunError("is there already; choose another --out", file=out)
    with TemporaryDirectory() as scratch:
        staged = Path(scratch) / "model"
        card, restricted = _stage(model, staged, licence, evaluations)
        stores = [StudyStore.open(studies)] if studies is not None else _stores(model, card)
        problems = [*unexpected_files(staged), *secrets(staged), *_card(staged, card, restricted=restricted)]
        if restricted and not any(store.data_class == "restricted" for store in stores):
            problems.append(
                Problem("", "unsearched", "trained on restricted data that are not at hand; name them with --studies")
            )
        problems += verbatim_report_text(staged, _reports(stores))
        listed = tuple(
            PackagedFile(str(file.relative_to(staged)), file.stat().st_size, sha256_of(file))
            for file in sorted(staged.rglob("*"))
            if file.is_file() and not file.is_symlink()
        )
        if out is not None and not problems:
            with readable_by(owner_only=restricted):
                shutil.copytree(staged, out)
    return Package(listed, tuple(problems), restricted, sum(len(store) for store in stores))


def _stage(model: Path, staged: Path, licence: str | None, evaluations: Sequence[Path]) -> tuple[RunCard, bool]:
    """Copy what would leave; large weights are linked, so that 20 GB are not written to look at them.

    Returns:
        the run card, and whether the weights, or those they began from, were trained on restricted data.
    """
    merged = (model / merge_card.FILE).is_file()
    source = model if merged else adapter.find(model)
    card = RunCard.read(model if merged else source.parent)
    shutil.copytree(
        source, staged, symlinks=True, copy_function=_link, ignore=lambda _folder, names: set(names) & set(_OWN)
    )
    merged_card = MergedCard.read(source) if merged else None
    found = evaluated.read(evaluations, evaluated.identities(card, merged_card))
    if merged_card is not None:
        chosen = licence or _licence(source)
        model_card.write(
            _fresh(staged),
            card,
            merged=merged_card,
            sources=merged_card.sources,
            licence=chosen,
            evaluations=found,
        )
        return card, card.preflight.restricted or merged_card.restricted
    student, _ = adapter.describe(source)
    adapter.check_weights(source, student)
    if card.finished is not None:
        check_same(card, student, source)
    _nameless(staged / "adapter_config.json", "base_model_name_or_path")
    now = written.hashes(staged)  # one of them has just been changed
    files = {name: now[name] for name in student.files}
    _nameless(staged / adapter.CARD, "base", "base_path", files=files)
    base = merge_card.of_base(adapter.base_of(source, student))
    if base is not None and base.restricted:  # a run card of an earlier version does not say so
        card = card.model_copy(update={"preflight": card.preflight.model_copy(update={"restricted": True})})
    sources = {store.head.source for store in _stores(model, card)} | set(base.sources if base is not None else ())
    model_card.write(
        _fresh(staged), card, merged=None, sources=tuple(sorted(sources)), licence=licence, evaluations=found
    )
    return card, card.preflight.restricted


def _link(source: str, target: str) -> None:
    """Weights as links to the same file, others as copies, which may be changed."""
    if source.endswith((".safetensors", ".gguf")):
        try:
            Path(target).hardlink_to(source)
            return
        except OSError:  # another file system
            pass
    shutil.copyfile(source, target)


def _fresh(staged: Path) -> Path:
    """Without card and run card, which are written anew from the run's record."""
    for name in (model_card.README, FILE):
        (staged / name).unlink(missing_ok=True)
    return staged


def _licence(folder: Path) -> str | None:
    try:
        found = _LICENCE.search((folder / model_card.README).read_text("utf-8"))
    except OSError:
        return None
    return None if found is None or found[1] == model_card.UNKNOWN else found[1]


def _nameless(file: Path, *fields: str, **others: object) -> None:
    """Paths of this machine by their last part, and other fields as they are given."""
    try:
        record = json.loads(file.read_text("utf-8"))
    except ValueError:
        raise InputError("damaged; restore it from a copy", file=file.name) from None
    for field in fields:
        path = str(record.get(field) or "")
        record[field] = Path(path).name if path.startswith((".", "/", "~")) else path
    file.write_text(json.dumps(record | others, indent=2) + "\n", encoding="utf-8")


def _card(staged: Path, card: RunCard, *, restricted: bool) -> Iterator[Problem]:
    if _licence(staged) is None:
        yield Problem(model_card.README, "no_licence", "no licence; say which with --license, and mind the base's")
    if restricted and model_card.INHERITED not in (staged / model_card.README).read_text("utf-8"):
        yield Problem(model_card.README, "no_terms", "the terms of the restricted training data are not in it")
    if card.finished is None:
        yield Problem(FILE, "unfinished", "the training run did not finish")


def _stores(model: Path, card: RunCard) -> list[StudyStore]:
    """The stores trained on; the run card of merged weights names no paths."""
    return [] if (model / merge_card.FILE).is_file() else stores_of(card)


def _reports(stores: list[StudyStore]) -> Iterator[tuple[str, str]]:
    return ((study.id, study.report) for store in stores for study in store)
