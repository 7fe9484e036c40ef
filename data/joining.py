"""Join: an export of restricted studies, which left as ids, steps and hashes, made whole by the studies' owner.

Every report and image is checked against its hash.
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from ..schemas.errors import InputError, why
from ..schemas.export import ExportManifest, ExportRecord
from ..schemas.study import Study
from .exporting import RECORDS, ExportOptions, Found, read_manifest, write_whole
from .files import must_be_new
from .formats.json_lines import json_lines
from .store.studies import StudyStore

_DEFAULTS = ExportOptions()


def join(path: Path, studies: Sequence[Path], out: Path, options: ExportOptions = _DEFAULTS) -> ExportManifest:
    """Make the whole export of one that holds records only, with the studies of their owner.

    Args:
        path: the folder that `export` wrote.
        studies: the study stores that hold them.
        out: a new folder.
        options: as for `export`.

    Raises:
        RunError: `out` is taken.
        InputError: a study is missing, or its report or an image is another one than was exported.
    """
    manifest = read_manifest(path)
    if manifest.complete:
        raise InputError("is whole, so there is nothing to join; use it as it is", file=path)
    must_be_new(out)
    stores = [StudyStore.open(one) for one in studies]
    found: list[Found] = []
    for line in json_lines(path / RECORDS):
        try:
            record = ExportRecord.model_validate(line.found, strict=False)
        except ValidationError as error:
            raise InputError(line.problem or why(error), file=path / RECORDS, row=line.row) from None
        found.append((record, *_owned(record, stores)))
    forms = sorted({study.report_form for _, study, _ in found})
    if len(forms) > 1:  # what earlier versions exported
        raise InputError(f"holds reports of several forms ({', '.join(forms)}); have it exported anew", file=path)
    return write_whole(out, manifest, found, options)


def _owned(record: ExportRecord, stores: Sequence[StudyStore]) -> tuple[Study, StudyStore]:
    for store in stores:
        try:
            study = store.get(record.study_id)
        except InputError:
            continue
        if study.report_sha256 != record.report_sha256:
            raise InputError(
                f"study '{record.study_id}' has another report than was exported; ingest it in the same form",
                file=store.root,
            )
        if {image.sha256 for image in record.images} - {image.sha256 for image in study.images}:
            raise InputError(
                f"study '{record.study_id}' has other images than were exported; name a store with the same images",
                file=store.root,
            )
        return study, store
    raise InputError(f"no store holds study '{record.study_id}'; name the one that does with --studies")
