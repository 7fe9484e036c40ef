"""JSON Lines: one study a line, UTF-8, gzipped or not.

    id                required; a string or a whole number
    report            the reference; or
    text              the reference, perhaps with steps before it (see below); or
    text and reference_report    as `tenstep audit` reads them: steps and report, and the reference alone
    images            a path or a list of paths, relative to --images DIR or else to the file's folder
    views             one for each image, or the inventory
    patient_id        a string or a whole number; the study's id if absent
    has_prior         true if a prior image or report was supplied to the writer
    labels            {finding: present | absent | uncertain}
    split             the source's own split

Steps before a report go to the store's traces.jsonl, which `tenstep audit` reads; the reference is the report
alone. A key that is not listed is a warning (`unknown_key`, once for each key and part of the file), not an error. A
line that cannot be used is a rejected row that names it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError

from ...schemas.base import Status
from ...schemas.errors import InputError, first_fault
from ...schemas.study import Study
from ..formats.json_lines import LONGEST, object_of, raw_lines
from ..ids import Native, OptionalNative
from ..intake.assemble import Draft, assemble, rejected
from ..intake.images import ImageFile
from ..intake.names import find_file
from ..intake.reports import UNKNOWN_VIEW, Refusal
from ..source import Row, Shard, SourceOptions, SourceWarning

_NAME = "jsonl"
_TEXTS, _STUDIES = 1000, 100  # lines of a part, without and with images
_MAX_PART = 2**23  # bytes


class _Line(BaseModel):
    """What is read of a line."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Native
    report: StrictStr | None = None
    text: StrictStr | None = None
    reference_report: StrictStr | None = None
    images: StrictStr | tuple[StrictStr, ...] = ()
    views: tuple[StrictStr, ...] = ()
    patient_id: OptionalNative = None
    has_prior: StrictBool = False
    labels: dict[str, Status] = Field(default_factory=dict)
    split: StrictStr | None = None


def shards(path: Path, options: SourceOptions) -> Iterator[Shard]:
    """Lines of the file, some at a time.

    Raises:
        InputError: the file is missing or empty.
    """
    if not path.is_file():
        raise InputError(
            "there is no such file; check the name"
            if not path.exists()
            else "this is not a file; name a file of JSON Lines",
            file=path,
        )
    if path.stat().st_size == 0:
        raise InputError("the file is empty; one JSON object a line is wanted", file=path)
    limit = _TEXTS if options.text_only else _STUDIES
    held: list[tuple[int, bytes | str | None]] = []
    size = 0
    for number, line in raw_lines(path):
        held.append((number, line))
        size += len(line or "")
        if len(held) == limit or size > _MAX_PART:
            yield path, tuple(held)
            held, size = [], 0
    if held:
        yield path, tuple(held)


def read_shard(shard: Shard, options: SourceOptions) -> Iterator[Row]:
    """The studies of one part."""
    path, lines = shard
    seen: set[str] = set()
    for number, data in lines:
        where = f"{path.name} row {number}"
        fields = _fields(data)
        draft = fields if isinstance(fields, Refusal) else _draft(fields, where, path, options)
        if isinstance(draft, Refusal):
            yield rejected(_NAME, where, draft)
            continue
        assert isinstance(fields, dict)  # or there were no draft
        for row in assemble(draft, options, options.form or "verbatim"):
            yield row
            if isinstance(row, Study):
                yield from _unknown_keys(fields, row.id, where, seen)


def _fields(data: bytes | str | None) -> dict[str, Any] | Refusal:
    if data is None:
        return Refusal("long_line", f"more than {LONGEST:,} bytes; is a line break missing?")
    found = object_of(data) if isinstance(data, bytes) else data
    if isinstance(found, str):
        return Refusal("bad_encoding" if found.startswith("not UTF-8") else "bad_json", found)
    if isinstance(data, bytes) and b"\\u" in data:
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except ValueError:
            return Refusal("bad_json", "half a surrogate pair is no text")
    return found


def _draft(fields: dict[str, Any], where: str, path: Path, options: SourceOptions) -> Draft | Refusal:
    try:
        line = _Line.model_validate(fields)
    except ValidationError as error:
        message, key = first_fault(error)
        field = (key or "").partition(".")[0]
        return Refusal("no_id" if field == "id" else "bad_field", f"field '{field}': {message}")
    body = line.text if line.report is None else line.report
    if body is None or (line.report is not None and (line.text is not None or line.reference_report is not None)):
        detail = "give 'report', or 'text', or 'text' with 'reference_report'"
        return Refusal("no_report" if body is None else "bad_field", detail)
    root = options.images or path.parent
    images = (line.images,) if isinstance(line.images, str) else line.images
    views = line.views if len(line.views) == len(images) else (UNKNOWN_VIEW,) * len(images)
    return Draft(
        source=_NAME,
        native_id=line.id,
        where=f"{where} ({line.id[:60]})",
        text=body,
        report=line.reference_report,
        data_class=options.data_class,
        root=root,
        images=tuple(ImageFile(find_file(root, image), view) for image, view in zip(images, views, strict=True)),
        views=tuple(dict.fromkeys(line.views)),
        patient_id=None if line.patient_id is None else f"{_NAME}/{line.patient_id}",
        split=line.split,
        labels=line.labels,
        has_prior=line.has_prior,
        fields=fields.keys(),
    )


def _unknown_keys(fields: dict[str, Any], study_id: str, where: str, seen: set[str]) -> Iterator[SourceWarning]:
    for key in fields.keys() - _Line.model_fields.keys() - seen:
        seen.add(key)
        yield SourceWarning(study_id=study_id, code="unknown_key", detail=f"{where}: '{key[:60]}' is not read")
