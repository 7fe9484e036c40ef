"""The nouns as JSON Schema (2020-12), for those who read or write our files without us, and the check against them.

`python -m tenstep.schemas.publish` writes `published/<noun>.schema.json`; a test fails while they differ from the
models. A schema states shapes, not laws across fields (an example has ten steps): `read` asks the model for those.

No reference in a schema is ever fetched: jsonschema looks remote ones up by default, so it gets an empty registry.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from .ablate_recipe import AblateRecipe
from .base import Noun
from .candidate import Candidate
from .curate_recipe import CurateRecipe
from .distill_recipe import DistillRecipe
from .errors import InputError, first_fault
from .example import Example
from .export import ExportManifest, ExportRecord
from .policy import Attestation, StorageAttestation
from .reading import Reading
from .run import Manifest
from .sample_recipe import SampleRecipe
from .selection import Selection
from .study import RejectedRow, Study
from .trace import Trace
from .verdict import Verdict

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError as SchemaError

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED = Path(__file__).parent / "published"

NOUNS: tuple[type[Noun], ...] = (
    Study,
    RejectedRow,
    Trace,
    Candidate,
    Verdict,
    Example,
    Manifest,
    CurateRecipe,
    DistillRecipe,
    SampleRecipe,
    AblateRecipe,
    Attestation,
    StorageAttestation,
    Reading,
    Selection,
    ExportManifest,
    ExportRecord,
)

_SHOWN = 200  # characters of a message; jsonschema puts whole values into it, and a value may be a report
AnyNoun = TypeVar("AnyNoun", bound=Noun)


def name_of(noun: type[Noun]) -> str:
    """`CurateRecipe` to `curate_recipe`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", noun.__name__).lower()


@cache
def schema_of(noun: type[Noun]) -> dict[str, Any]:
    """The noun's schema, for documents that may leave defaults out."""
    return {"$schema": DIALECT, "$id": f"urn:tenstep:schema:1:{name_of(noun)}", **noun.model_json_schema()}


def check(
    document: object, schema: Mapping[str, Any], *, file: str | Path | None = None, row: int | None = None
) -> None:
    """Check one document from elsewhere.

    Args:
        document: as `json.loads` gives it.
        schema: from `schema_of`, or any other 2020-12 schema.
        file: where the document stands, for the message.
        row: its line there, from 1.

    Raises:
        InputError: the document does not fit, with the field that is wrong; or the schema refers to another one.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        error = best_match(Draft202012Validator(schema, registry=Registry()).iter_errors(document))
    except Unresolvable as missing:
        raise InputError(f"the schema refers to {missing.ref!r}, and references are not fetched", file=file) from None
    if error is not None:
        raise InputError(_message(error), file=file, row=row, field=_path(error.absolute_path))


def read(noun: type[AnyNoun], document: object, *, file: str | Path | None = None, row: int | None = None) -> AnyNoun:
    """Check one document from elsewhere, in shape and in law, and make the noun of it.

    Raises:
        InputError: it does not fit, with the field that is wrong.
    """
    check(document, schema_of(noun), file=file, row=row)
    try:
        return noun.model_validate(document)
    except ValidationError as broken:
        first = broken.errors(include_url=False, include_context=False)[0]
        raise InputError(_short(first_fault(broken)[0]), file=file, row=row, field=_path(first["loc"])) from None


def as_text(noun: type[Noun]) -> str:
    """The noun's schema as its file holds it."""
    return json.dumps(schema_of(noun), indent=2, ensure_ascii=False) + "\n"


def write_all(folder: Path = PUBLISHED) -> list[Path]:
    """Write every schema, one file a noun; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name_of(noun)}.schema.json" for noun in NOUNS]
    for noun, path in zip(NOUNS, paths, strict=True):
        path.write_text(as_text(noun), encoding="utf-8", newline="\n")
    return paths


def _message(error: "SchemaError") -> str:
    if error.validator == "anyOf" and isinstance(error.validator_value, list):
        types = [str(form.get("type", "another form")) for form in error.validator_value]
        return f"{_short(repr(error.instance))} is not of type {' or '.join(types)}"
    return _short(error.message)


def _path(parts: Iterable[str | int]) -> str | None:
    """`images[0].sha256`; none for the whole document."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return path.removeprefix(".") or None


def _short(message: str) -> str:
    return message if len(message) <= _SHOWN else f"{message[: _SHOWN // 2]} ... {message[-_SHOWN // 2 :]}"


if __name__ == "__main__":
    sys.stdout.writelines(f"{path}\n" for path in write_all())
