"""Readings as files: for `tenstep agreement`, for spreadsheets, for Argilla and Label Studio.

    csv            a row a reading; opens in a spreadsheet
    ratings        JSON lines of one reader, as `tenstep agreement` reads them
    argilla        records as Argilla 2 exports and imports them (JSON array: fields, metadata, responses)
    label-studio   tasks as Label Studio exports and imports them (JSON array: data, annotations)
    labelled       JSON lines for `tenstep calibrate`: traces that readers have decided on, good or bad

All of them quote reports or speak of patients, so they are their owner's files. returned.py reads the first, the third
and the fourth again.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ...data.judged import Judged
from ...data.readings import final
from ...data.run import RunFolder
from ...schemas.reading import Reading
from ...schemas.study import Study
from .index import TraceIndex

_CSV = (
    "key",
    "study_id",
    "reader",
    "kind",
    "decision",
    "codes",
    "comment",
    "reference",
    "wrong_steps",
    "seconds",
    "at",
)
LABEL_STUDIO = """\
<View>
  <Text name="text" value="$text"/>
  <Choices name="decision" toName="text">
    <Choice value="accept"/><Choice value="reject"/><Choice value="unsure"/>
  </Choices>
  <TextArea name="comment" toName="text"/>
</View>
"""


class ReadingRow(NamedTuple):
    """A reading with what it is about."""

    reading: Reading
    study: Study
    judged: Judged

    @property
    def text(self) -> str:
        """Steps and reference, for a tool that shows one text."""
        trace = self.judged.candidate.trace
        steps = "\n".join(f"{n}. {text}" for n, text in enumerate(trace.texts, 1)) if trace else ""
        return f"{steps}\n\n{self.study.report}"


def wrong_steps(reading: Reading) -> list[int]:
    """Steps that the reader marked wrong."""
    return [step.step for step in reading.steps if step.mark == "wrong"]


def rows_of(run: RunFolder, readings: Iterable[Reading]) -> Iterator[ReadingRow]:
    """The readings with their studies and candidates."""
    index = TraceIndex(run)
    try:
        for reading in readings:
            judged = index.judged(reading.key)
            if judged is not None:
                yield ReadingRow(reading, run.studies.get(reading.study_id), judged)
    finally:
        index.close()


def as_csv(rows: Iterable[ReadingRow]) -> Iterator[str]:
    """A header, then a row a reading; several codes or steps are separated by spaces."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_CSV)
    for row in rows:
        fields = row.reading.model_dump(mode="json")
        fields |= {"codes": " ".join(row.reading.codes), "wrong_steps": " ".join(map(str, wrong_steps(row.reading)))}
        writer.writerow([_cell(fields[name]) for name in _CSV])
    yield stream.getvalue()


def _cell(value: object) -> object:
    """A spreadsheet would run a cell that begins like a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if _is_formula(text) and not isinstance(value, int | float) else text


def without_escape(cell: str) -> str:
    """The text of a cell of `as_csv`."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell


def _is_formula(text: str) -> bool:
    """Also behind apostrophes, so that a text which had one comes back with it."""
    return text.lstrip("'").startswith(("=", "+", "-", "@", "\t", "\r"))


def as_ratings(rows: Iterable[ReadingRow]) -> Iterator[str]:
    """What one reader answered; `tenstep agreement a.jsonl b.jsonl` compares two such files."""
    for row in _first_hand(rows):
        found: dict[str, object] = {"id": row.reading.key, "patient_id": row.study.patient_id}
        found |= {"rater": row.reading.reader, "decision": row.reading.decision}
        yield json.dumps(found | dict.fromkeys(row.reading.codes, True)) + "\n"


def as_argilla(rows: Iterable[ReadingRow]) -> Iterator[str]:
    """Records with the text, and a response for each reader; adjudications have no place there."""
    yield _json_array(
        {
            "id": key,
            "status": "completed",
            "fields": {"text": mine[0].text},
            "metadata": {"study_id": mine[0].study.id},
            "suggestions": {},
            "responses": {
                "decision": [{"value": row.reading.decision, "user_id": row.reading.reader} for row in mine],
                "comment": [
                    {"value": r.reading.comment, "user_id": r.reading.reader} for r in mine if r.reading.comment
                ],
            },
            "vectors": {},
        }
        for key, mine in _by_key(_first_hand(rows))
    )


def as_label_studio(rows: Iterable[ReadingRow]) -> Iterator[str]:
    """Tasks with the text, and an annotation for each reader; adjudications have no place there."""

    def annotation(reading: Reading) -> dict[str, Any]:
        common = {"to_name": "text"}
        result = [
            common | {"from_name": "decision", "type": "choices", "value": {"choices": [reading.decision]}},
            common | {"from_name": "comment", "type": "textarea", "value": {"text": [reading.comment]}},
        ]
        return {"completed_by": {"email": reading.reader}, "lead_time": reading.seconds, "result": result}

    yield _json_array(
        {
            "data": {"key": key, "study_id": mine[0].study.id, "text": mine[0].text},
            "annotations": [annotation(row.reading) for row in mine],
        }
        for key, mine in _by_key(_first_hand(rows))
    )


def as_labelled(rows: Iterable[ReadingRow]) -> Iterator[str]:
    """Traces that readers have settled, as a labelled set; the family is the first code they named."""
    for key, mine in _by_key(rows):
        found = final([row.reading for row in mine])
        trace = mine[0].judged.candidate.trace
        if found.decision is None or trace is None:
            continue
        bad = found.decision == "reject"
        wrong = [step for row in mine for step in wrong_steps(row.reading)]
        codes = [code for row in mine for code in row.reading.codes]
        line = {
            "id": key,
            "view": ", ".join(mine[0].study.views),
            "report": mine[0].study.report,
            "steps": list(trace.texts),
            "good": not bad,
            "family": (codes[0] if codes else "unnamed") if bad else None,
            "wrong_step": wrong[0] if bad and wrong else None,
            "note": " ".join(row.reading.comment for row in mine if row.reading.comment) or None,
        }
        yield json.dumps(line, ensure_ascii=False) + "\n"


FORMS: dict[str, Callable[[Iterable[ReadingRow]], Iterator[str]]] = {
    "csv": as_csv,
    "ratings": as_ratings,
    "argilla": as_argilla,
    "label-studio": as_label_studio,
    "labelled": as_labelled,
}
FIRST_HAND = ("ratings", "argilla", "label-studio")  # what readers said themselves, without adjudications


def _first_hand(rows: Iterable[ReadingRow]) -> Iterator[ReadingRow]:
    """Without adjudications, which a reader makes next to his own reading."""
    return (row for row in rows if row.reading.kind == "reading")


def _by_key(rows: Iterable[ReadingRow]) -> Iterator[tuple[str, list[ReadingRow]]]:
    found: dict[str, list[ReadingRow]] = defaultdict(list)
    for row in rows:
        found[row.reading.key].append(row)
    yield from found.items()


def _json_array(values: Iterable[dict[str, Any]]) -> str:
    return "[" + ",\n".join(json.dumps(value, ensure_ascii=False) for value in values) + "]\n"
