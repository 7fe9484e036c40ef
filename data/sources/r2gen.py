"""R2Gen's annotation.json, for IU X-ray and for MIMIC-CXR: `{train|val|test: [{id, report, image_path, split}]}`.

    PATH        the JSON
    --images    the folder of the images; `images` beside the JSON if not given
    id          r2gen/<id>
    patient_id  as the sources mimic-cxr and open-i have it, so that the same patient is recognised in both: of
                subject_id (MIMIC-CXR form), or the examination of an IU id (CXR2384_IM-0942); else the study's id
    images      all of image_path, views unknown: the file does not say which is frontal
    split       train, val or test, as published

The reports there are lower-cased and cleaned, and have no sections: they are not the source's own words, which a
warning of the whole file would repeat for every study, so it is said here. The form is verbatim unless told.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from ...schemas.errors import InputError
from ..formats.json_array import split_objects
from ..intake.assemble import Draft, assemble, rejected
from ..intake.images import ImageFile
from ..intake.reports import Refusal
from ..source import Options, Row, Shard

_NAME = "r2gen"
_TEXTS, _STUDIES = 1000, 100
_Native = StrictStr | Annotated[StrictInt, Field(ge=0)]


class _Item(BaseModel):
    """What is read of an object."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: _Native
    report: StrictStr
    image_path: tuple[StrictStr, ...]
    split: StrictStr | None = None
    subject_id: _Native | None = None


def shards(path: Path, options: Options) -> Iterator[Shard]:
    """Objects, some hundreds at a time.

    Raises:
        InputError: there is no such file, or it is no annotation.json.
    """
    if not path.is_file():
        raise InputError("there is no such file; name the annotation.json", file=path)
    root = options.images or path.parent / "images"
    if not options.text_only and not root.is_dir():
        raise InputError("there is no such folder of images; name it with --images", file=root)
    held: list[tuple[str, str, dict[str, Any] | Refusal]] = []
    for split, number, item in split_objects(path):
        held.append((f"{path.name} {split}[{number}]" if split else path.name, split, item))
        if len(held) == (_TEXTS if options.text_only else _STUDIES):
            yield root, tuple(held)
            held.clear()
    if held:
        yield root, tuple(held)


def read_shard(shard: Shard, options: Options) -> Iterator[Row]:
    """The studies of one part."""
    root, items = shard
    for where, split, item in items:
        draft = item if isinstance(item, Refusal) else _draft(item, where, split, root, options)
        if isinstance(draft, Refusal):
            yield rejected(_NAME, where, draft)
        else:
            yield from assemble(draft, options, options.form or "verbatim")


def read(path: Path, options: Options) -> Iterator[Row]:
    """All studies, one after the other."""
    return chain.from_iterable(read_shard(shard, options) for shard in shards(path, options))


def _draft(fields: dict[str, Any], where: str, split: str, root: Path, options: Options) -> Draft | Refusal:
    try:
        item = _Item.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = str(first["loc"][0])
        return Refusal({"id": "no_id", "report": "no_report"}.get(field, "bad_field"), f"'{field}': {first['msg']}")
    if any("\udc80" <= c <= "\udcff" for c in item.report):
        return Refusal("bad_encoding", "not UTF-8; save the file as UTF-8")
    native = str(item.id)
    examination, _, image = native.partition("_")
    patient = f"open-i/{examination}" if image and examination.startswith("CXR") else f"{_NAME}/{native}"
    return Draft(
        source=_NAME,
        native_id=native,
        where=f"{where} ({native[:60]})",
        text=item.report,
        data_class=options.data_class,
        root=root,
        images=tuple(ImageFile(root / name) for name in item.image_path),
        patient_id=patient if item.subject_id is None else f"mimic-cxr/p{item.subject_id}",
        split=item.split or split,
        steps=False,
    )
