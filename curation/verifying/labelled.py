"""Labelled traces, by which a verifier is measured: good ones, and bad ones with what is wrong with them.

    labelled.jsonl     ours: reports and traces that were made up, 100 good and 100 bad over all families
    a file             the same form, one object a line: id, report, steps, good; and family, view, has_prior
    a run folder       the traces that a reader has decided on, with what they decided

What is not declared public counts as restricted, and goes where restricted data may go.
"""

import hashlib
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from ...data.formats.packed import open_file
from ...data.run import RunFolder
from ...schemas.base import Noun
from ...schemas.errors import InputError, first_fault
from ...schemas.study import DataClass, Study
from ...validators.findings import compares_with_prior, sentences

_PACKAGE = __package__ or ""
OURS = "tenstep"


class LabelledTrace(Noun, extra="ignore"):
    """One trace and whether it is good."""

    id: str = Field(min_length=1)
    report: str = Field(min_length=1, description="The reference.")
    steps: tuple[str, ...] = Field(min_length=1)
    good: bool
    family: str | None = Field(None, description="What is wrong with a bad one.")
    view: str = ""
    has_prior: bool | None = Field(
        None,
        description="Whether the writer had an earlier image; if not given, whether the reference compares with one.",
    )
    data_class: DataClass = "restricted"

    @property
    def study(self) -> Study:
        """What the trace is about."""
        compares = any(compares_with_prior(self.report[start:end]) for start, end in sentences(self.report))
        return Study(
            id=f"labelled/{self.id}",
            patient_id=self.id,
            source="labelled",
            data_class=self.data_class,
            views=(self.view,) if self.view else (),
            report=self.report,
            report_form="verbatim",
            has_prior=compares if self.has_prior is None else self.has_prior,
        )


class LabelledSet(NamedTuple):
    """All of them, and how they are named in a calibration."""

    name: str
    sha256: str
    traces: tuple[LabelledTrace, ...]


def labelled_set(path: str | None = None) -> LabelledSet:
    """Read a set; ours if no path is given.

    Raises:
        InputError: it cannot be read, or holds no good or no bad trace.
    """
    if path is None:
        content = resources.files(_PACKAGE).joinpath("labelled.jsonl").read_text("utf-8")
        rows = [row.model_copy(update={"data_class": "public"}) for row in _rows(content, None)]
    elif (Path(path) / "manifest.json").is_file():
        rows = list(_decided(Path(path)))
        content = "\n".join(row.model_dump_json() for row in rows)
    else:
        content = _content(Path(path))
        rows = list(_rows(content, Path(path)))
    if len({row.good for row in rows}) < 2:
        raise InputError("holds no good or no bad trace; a calibration takes both", file=path, field="good")
    return LabelledSet(path or OURS, hashlib.sha256(content.encode()).hexdigest(), tuple(rows))


def _content(path: Path) -> str:
    try:
        with open_file(path) as stream:
            return stream.read().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the labelled traces cannot be read ({error})", file=path) from None


def _rows(content: str, path: Path | None) -> Iterator[LabelledTrace]:
    seen: dict[str, int] = {}
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = LabelledTrace.model_validate(json.loads(line))
        except ValidationError as error:
            message, field = first_fault(error)
            raise InputError(message, file=path, row=number, field=field) from None
        except (ValueError, RecursionError):
            raise InputError("is not one JSON object; write one trace a line", file=path, row=number) from None
        if row.id in seen:
            raise InputError(
                f"'{row.id}' stands in row {seen[row.id]} already; keep one of them", file=path, row=number, field="id"
            )
        seen[row.id] = number
        yield row


def _decided(path: Path) -> Iterator[LabelledTrace]:
    """What readers of a run decided, candidate by candidate."""
    with RunFolder.read(path) as run:
        for candidate, verdict in run.judged():
            settled = verdict.resolution
            if candidate.trace is None or settled is None or settled.by != "reader":
                continue
            study = run.studies.get(candidate.study_id)
            yield LabelledTrace(
                id=candidate.key,
                report=study.report,
                steps=candidate.trace.texts,
                good=settled.outcome == "accept",
                family=None if settled.outcome == "accept" else "reader",
                view=", ".join(study.views),
                has_prior=study.has_prior,
                data_class=study.data_class,
            )
