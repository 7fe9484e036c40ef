"""R2Gen's annotation.json, for IU X-ray and for MIMIC-CXR: `{train|val|test: [{id, report, image_path, split}]}`.

    PATH        the JSON, gzipped or not
    --images    the folder of the images; `images` next to the JSON if not given
    id          r2gen/<id>; objects with one study_id (the MIMIC-CXR form has one for each image) are one study, which
                bears the id of the first
    patient_id  as the sources mimic-cxr and open-i have it, so that the same patient is recognised in both: of
                subject_id (MIMIC-CXR form), or the examination of an IU id (CXR2384_IM-0942); else the study's id
    images      all of image_path, views unknown: the file does not say which is frontal
    split       train, val or test, as published

The reports there are lower-cased and cleaned, and have no sections: they are not the source's own words, which a
warning of the whole file would repeat for every study, so it is here. The form is verbatim by default. Objects of
one study that name several splits are in none, with a warning; those whose reports differ are refused.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, StrictStr, ValidationError

from ...schemas.errors import InputError, first_fault
from ..formats.json_array import ArrayItem, split_objects
from ..ids import Native, OptionalNative, plain_id
from ..intake.assemble import Draft, assemble, rejected
from ..intake.images import ImageFile
from ..intake.names import find_file
from ..intake.reports import Refusal
from ..intake.together import together
from ..source import Row, RowsRead, Shard, SourceOptions

_NAME = "r2gen"
_TEXTS, _STUDIES = 1000, 100


class _Item(BaseModel):
    """What is read of an object."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Native
    report: StrictStr
    image_path: tuple[StrictStr, ...]
    split: StrictStr | None = None
    subject_id: OptionalNative = None
    study_id: OptionalNative = None


def shards(path: Path, options: SourceOptions) -> Iterator[Shard]:
    """Objects, some hundreds at a time.

    Raises:
        InputError: there is no such file, or it is no annotation.json.
    """
    if not path.is_file():
        raise InputError("there is no such file; name the annotation.json", file=path)
    root = options.images or path.parent / "images"
    if not options.text_only and not root.is_dir():
        raise InputError("there is no such folder of images; name it with --images", file=root)
    held: list[tuple[ArrayItem, ...]] = []
    length = 0
    for items in together(lambda: map(_study_of, split_objects(path)), split_objects(path), _study_of):
        held.append(tuple(items))
        length += len(items)
        if length >= (_TEXTS if options.text_only else _STUDIES):
            yield path.name, root, tuple(held)
            held, length = [], 0
    if held:
        yield path.name, root, tuple(held)


def read_shard(shard: Shard, options: SourceOptions) -> Iterator[Row]:
    """The studies of one part."""
    file, root, groups = shard
    rows = 0
    for group in groups:
        rows += len(group)
        images: list[_AnnotatedImage] = []
        for item in group:
            where = f"{file} {item.key}[{item.number}]" if item.key else file
            image = _image(item, where)
            if isinstance(image, Refusal):
                yield rejected(_NAME, where, image)
            else:
                images.append(image)
        if not images:
            continue
        draft = _draft(images, root, options)
        if isinstance(draft, Refusal):
            yield rejected(_NAME, images[0].where, draft)
        else:
            yield from assemble(draft, options, options.form or "verbatim")
    yield RowsRead(rows)


class _AnnotatedImage(NamedTuple):
    where: str
    split: str
    item: _Item


def _study_of(item: ArrayItem) -> str:
    """What objects of one study share; empty for an object that is a study of its own."""
    fields = item.found
    if isinstance(fields, Refusal) or fields.get("study_id") is None:
        return ""
    return "/".join(plain_id(str(fields.get(name))) for name in ("subject_id", "study_id"))


def _image(item: ArrayItem, where: str) -> _AnnotatedImage | Refusal:
    if isinstance(item.found, Refusal):
        return item.found
    try:
        found = _Item.model_validate(item.found)
    except ValidationError as error:
        message, key = first_fault(error)
        field = (key or "").partition(".")[0]
        return Refusal({"id": "no_id", "report": "no_report"}.get(field, "bad_field"), f"field '{field}': {message}")
    return _AnnotatedImage(f"{where} ({found.id[:60]})", found.split or item.key, found)


def _draft(images: Sequence[_AnnotatedImage], root: Path, options: SourceOptions) -> Draft | Refusal:
    first = images[0].item
    for where, _, other in images[1:]:
        if other.report != first.report:
            return Refusal("conflicting_rows", f"{images[0].where} and {where} are one study and differ in 'report'")
    splits = sorted({image.split for image in images})
    examination, _, image = first.id.partition("_")
    patient = f"open-i/{examination}" if image and examination.startswith("CXR") else f"{_NAME}/{first.id}"
    names = dict.fromkeys(name for image in images for name in image.item.image_path)
    return Draft(
        source=_NAME,
        native_id=first.id,
        where=images[0].where,
        text=first.report,
        data_class=options.data_class,
        root=root,
        images=tuple(ImageFile(find_file(root, name)) for name in names),
        patient_id=patient if first.subject_id is None else f"mimic-cxr/p{first.subject_id}",
        split=splits[0] if len(splits) == 1 else None,
        steps=False,
        fields=[name for name in ("subject_id", "study_id") if getattr(first, name) is not None],
        warnings=() if len(splits) == 1 else (("two_splits", f"it is in {' and '.join(splits)}; it is in none"),),
    )
