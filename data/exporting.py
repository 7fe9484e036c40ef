"""Export: accepted examples as a folder that a trainer reads, and back together with studies that did not leave.

    RUN or SELECTION -> records (ids, steps, hashes) -> rows (with report and images) -> an exporter -> export.json

    export.json      what was exported: runs, prompt, rows, hashes of all files; written last
    records.jsonl    of restricted studies, in place of rows: ids, steps and hashes
    images/          copies of the images, named by the SHA-256 of their bytes

Restricted studies stop at the records: `records.jsonl` may be shared where the data's terms allow derived text, and
the owner of the studies restores the rest with `join`, which checks every report and image against its hash.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from ..schemas.errors import InputError, first_fault
from ..schemas.example import Example
from ..schemas.export import ExportedRun, ExportManifest, ExportRecord, ImageHash, Pairs, Rejected, SplitName
from ..schemas.layout import write
from ..schemas.study import ReportForm, Study
from ..schemas.version import __version__
from ..schemas.views import best_frontal
from . import exporter
from .exporter import SPLITS, ExportImage, Folder, Rejection, Row
from .files import must_be_new, new_folder, readable_by, replace_text, replacing
from .ids import patient_key
from .preferences import rejected_of
from .run import RunFolder
from .selection import Sourced, examples_of, is_selection, read_selection, runs_of
from .splitting.splits import Split, SplitRecipe, read_splits
from .store.studies import StudyStore

MANIFEST, RECORDS = "export.json", "records.jsonl"
_NAMES: dict[Split, SplitName] = {"train": "train", "validate": "validation", "test": "test"}


class Instruction(NamedTuple):
    """The student's instruction."""

    id: str
    text: str
    report_form: ReportForm


@dataclass(frozen=True)
class ExportOptions:
    """How to export."""

    pair_codes: Collection[str] = field(default=())  # what a rejected text of a pair may have been rejected for
    pairs: int = 2  # of one study, at most
    one_image: bool = False  # the first frontal image of a study, for students that take one
    text_only: bool = False  # no images, even where there are some
    reviewed_only: bool = False  # only examples that readers have accepted
    include_restricted: bool = False


Found = tuple[ExportRecord, Study, StudyStore]


def export(
    path: Path,
    kind: str,
    out: Path,
    prompts: Callable[[ReportForm], Instruction],
    options: ExportOptions = ExportOptions(),
    *,
    splits: Path | None = None,
    studies: Path | None = None,
) -> ExportManifest:
    """Export a run or a selection.

    Args:
        path: a run folder or a selection.
        kind: of exporter.
        out: a new folder.
        prompts: gives the student's instruction for reports of a form.
        options: how.
        splits: splits.yaml; without it a source's own splits are kept, and all else is train.
        studies: the study store, if it moved.

    Raises:
        PolicyError: a run may not be used for training.
        RunError: `out` is taken.
        InputError: something cannot be read, a row cannot be exported so, or a patient is in two splits.
    """
    chosen = exporter.load(kind)
    must_be_new(out)
    sourced = list(examples_of(path, studies=studies, reviewed_only=options.reviewed_only))
    if not sourced:
        what = "example that a reader has accepted; decide with: tenstep review RUN --serve"
        raise InputError(f"holds no {what if options.reviewed_only else 'accepted example'}", file=path)
    rejected: dict[str, tuple[Rejected, ...]] = {}
    pairs = Pairs()
    if chosen.pairs != "none":
        rejected, pairs = rejected_of(sourced, options.pair_codes, most=options.pairs, studies=studies)
        if chosen.pairs == "only" and not rejected:
            why = ", ".join(f"{reason} {n}" for reason, n in pairs.dropped.items()) or "nothing was rejected"
            raise InputError(f"no preference pair can be made ({why})", file=path)
        if chosen.pairs == "only":
            sourced = [one for one in sourced if one.example.study.id in rejected]
    place, prompt = _placing(splits), prompts(sourced[0].example.study.report_form)
    found = [
        (_record(one.example, place(one.example.study), rejected), one.example.study, one.store) for one in sourced
    ]
    _check_form([study for _, study, _ in found], prompt)
    _check_splits([(record.split, study) for record, study, _ in found])
    manifest = ExportManifest(
        exporter=kind,
        complete=True,
        data_class="restricted" if any(study.data_class == "restricted" for _, study, _ in found) else "public",
        code_version=__version__,
        sources=tuple(sorted({study.source for _, study, _ in found})),
        runs=tuple(_runs(path, sourced)),
        selection=_selection(path),
        reviewed_only=options.reviewed_only,
        prompt_id=prompt.id,
        prompt_sha256=hashlib.sha256(prompt.text.encode()).hexdigest(),
        prompt=prompt.text,
        rows={split: n for split in SPLITS if (n := sum(record.split == split for record, _, _ in found))},
        patients=len({(study.source, patient_key(study.patient_id)) for _, study, _ in found}),
        pairs=pairs,
    )
    if manifest.data_class == "restricted" and not options.include_restricted:
        return _withheld(out, manifest, [record for record, _, _ in found])
    return write_whole(out, manifest, found, options)


def read_manifest(path: Path) -> ExportManifest:
    """What an export says of itself.

    Raises:
        InputError: it is none, or did not finish.
    """
    try:
        return ExportManifest.model_validate_json((path / MANIFEST).read_bytes())
    except OSError:
        raise InputError(f"holds no {MANIFEST}; make a dataset with: tenstep export", file=path) from None
    except ValidationError as error:
        message, field = first_fault(error)
        raise InputError(message, file=path / MANIFEST, field=field) from None


def _placing(splits: Path | None) -> Callable[[Study], SplitName]:
    if splits is not None:
        recipe = read_splits(splits)
        return lambda study: _NAMES[recipe.of(study)]
    own = SplitRecipe.model_validate({"test": 0.0, "validate": 0.0})
    return lambda study: _NAMES[own.place(study, frozenset())]


def _check_form(studies: Sequence[Study], prompt: Instruction) -> None:
    if other := [study.id for study in studies if study.report_form != prompt.report_form]:
        raise InputError(
            f"the prompt {prompt.id} asks for a {prompt.report_form} report, but {len(other)} studies have another "
            f"form (the first is '{other[0]}'); choose another --prompt, or ingest with that form",
            field="prompt",
        )


def _check_splits(found: Iterable[tuple[SplitName, Study]]) -> None:
    places: dict[tuple[str, str], SplitName] = {}
    for split, study in found:
        if places.setdefault((study.source, patient_key(study.patient_id)), split) != split:
            raise InputError(
                f"the patient of study '{study.id}' is in two splits; split by patient with: tenstep split, and say "
                "--splits"
            )


def _record(example: Example, split: SplitName, rejected: dict[str, tuple[Rejected, ...]]) -> ExportRecord:
    study = example.study
    return ExportRecord(
        study_id=study.id,
        source=study.source,
        split=split,
        steps=example.trace.texts,
        layout=example.layout,
        report_sha256=study.report_sha256,
        images=tuple(ImageHash(sha256=image.sha256, view=image.view) for image in study.images),
        key=example.provenance.key,
        teacher=example.provenance.teacher,
        model=example.provenance.model,
        rejected=rejected.get(study.id, ()),
    )


def _runs(path: Path, sourced: Sequence[Sourced]) -> Iterator[ExportedRun]:
    counts = Counter(one.run.resolve() for one in sourced)
    for run in runs_of(path):
        with RunFolder.read(run) as opened:
            manifest = opened.manifest
        yield ExportedRun(
            name=manifest.name,
            recipe_sha256=manifest.recipe_sha256,
            code_version=manifest.code_version,
            accepted=counts[run.resolve()],
        )


def _selection(path: Path) -> dict[str, object] | None:
    if not is_selection(path):
        return None
    found = read_selection(path)
    return {"method": found.method, "parameters": found.parameters, "input_sha256": found.input_sha256}


def _row(found: Found, prompt: str, options: ExportOptions) -> Row:
    record, study, store = found
    images = () if options.text_only else study.images
    if options.one_image and images:
        images = (images[best_frontal([image.view for image in images])],)
    return Row(
        id=study.id,
        split=record.split,
        films=tuple(ExportImage(store.path_of(image), image.sha256, image.view) for image in images),
        prompt=prompt,
        target=write(record.steps, study.report, record.layout),
        steps=record.steps,
        report=study.report,
        teacher=record.teacher,
        model=record.model,
        rejected=tuple(Rejection(write(one.steps, study.report, record.layout), one.rules) for one in record.rejected),
    )


def write_whole(out: Path, manifest: ExportManifest, found: Sequence[Found], options: ExportOptions) -> ExportManifest:
    """Write rows with reports and images.

    Raises:
        InputError: a study has no image, or the exporter cannot take a row.
    """
    chosen = exporter.load(manifest.exporter)
    rows = [_row(one, manifest.prompt, options) for one in found]
    blind = [row.id for row in rows if not row.films]
    if blind and not options.text_only:
        raise InputError(
            f"{len(blind)} of {len(rows)} studies have no image (the first is '{blind[0]}'); export without any image "
            "with --text-only, or ingest with images"
        )
    if bad := [(row.id, problem) for row in rows if (problem := chosen.check(row))]:
        raise InputError(f"{len(bad)} rows cannot be exported as {chosen.kind} (study '{bad[0][0]}': {bad[0][1]})")
    with readable_by(owner_only=manifest.data_class == "restricted"), new_folder(out):
        folder = Folder(out)
        chosen.write(rows, folder)
        return _finished(out, manifest.model_copy(update={"complete": True, "images": folder.image_count}))


def _withheld(out: Path, manifest: ExportManifest, records: Iterable[ExportRecord]) -> ExportManifest:
    with readable_by(owner_only=True), new_folder(out):
        with replacing(out / RECORDS) as stream:
            for record in records:
                stream.write(record.model_dump_json() + "\n")
        return _finished(out, manifest.model_copy(update={"complete": False}))


def _finished(out: Path, manifest: ExportManifest) -> ExportManifest:
    files = {
        file.relative_to(out).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(out.rglob("*"))
        if file.is_file() and not _is_image(file)
    }
    manifest = manifest.model_copy(update={"files": files})
    replace_text(out / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
    return manifest


def _is_image(file: Path) -> bool:
    """Images are named by their hash already."""
    return file.suffix in (".png", ".jpg", ".jpeg")
