"""The published schemas are the models', and a document from elsewhere is refused with its row and field."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tenstep.schemas.base import Noun
from tenstep.schemas.errors import InputError
from tenstep.schemas.example import Example, Provenance
from tenstep.schemas.publish import DIALECT, NOUNS, PUBLISHED, as_text, check, name_of, read, schema_of, write_all
from tenstep.schemas.study import ImageRef, Study
from tenstep.schemas.trace import Step, Trace
from tenstep.schemas.verdict import Finding, Verdict

SHA = "0" * 64
STUDY = Study(
    id="made/1",
    patient_id="made/1",
    source="made",
    data_class="public",
    images=(ImageRef(path="a.png", sha256=SHA, width=2, height=3),),
    report="Findings: Clear.",
    report_form="verbatim",
    labels={"effusion": "absent"},
)
TRACE = Trace(steps=tuple(Step(number=number, text="Clear.") for number in range(1, 11)), report="Clear.")
EXAMPLE = Example(
    study=STUDY,
    trace=TRACE,
    provenance=Provenance(
        key=SHA, author="teacher", teacher="t", model="m", attempt=1, prompt_id="p@1", prompt_sha256=SHA, saw_image=True
    ),
)
VERDICT = Verdict(findings=(Finding(rule="structure", code="step_count", severity="error", span=(0, 1), message="9"),))


@pytest.mark.parametrize("noun", NOUNS, ids=name_of)
def test_the_published_schema_is_the_models(noun: type[Noun]) -> None:
    published = PUBLISHED / f"{name_of(noun)}.schema.json"
    assert published.read_text(encoding="utf-8") == as_text(noun), "run: python -m tenstep.schemas.publish"


def test_nothing_else_is_published(tmp_path: Path) -> None:
    written = {path.name for path in write_all(tmp_path / "new")}
    assert written == {path.name for path in PUBLISHED.iterdir()}


@pytest.mark.parametrize("noun", NOUNS, ids=name_of)
def test_every_schema_is_valid_names_itself_and_refers_to_nothing_outside(noun: type[Noun]) -> None:
    schema = schema_of(noun)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == DIALECT
    assert schema["$id"] == f"urn:tenstep:schema:1:{name_of(noun)}"
    assert all(reference.startswith("#/") for reference in references(schema))


def references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


@pytest.mark.parametrize("record", [STUDY, TRACE, EXAMPLE, VERDICT], ids=lambda record: name_of(type(record)))
def test_what_we_write_fits_its_schema_and_is_read_again(record: Noun) -> None:
    assert read(type(record), json.loads(record.model_dump_json())) == record


def changed(path: str, value: object) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(STUDY.model_dump_json())
    *parents, last = path.split("/")
    place: Any = document
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "field", "said"),
    [
        ("images/0/width", 0, "images[0].width", "minimum"),
        ("images/0/sha256", "x", "images[0].sha256", "does not match"),
        ("labels/effusion", "maybe", "labels.effusion", "'maybe'"),
        ("split", 3, "split", "string or null"),
        ("data_class", "secret", "data_class", "'restricted'"),
        ("schema_version", 2, "schema_version", "1"),
        ("surprise", 1, None, "'surprise'"),
        ("report", " \n", "report", "empty"),
    ],
)
def test_a_wrong_value_is_refused_with_file_row_and_field(
    path: str, value: object, field: str | None, said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(Study, changed(path, value), file="studies.jsonl", row=7)
    assert (caught.value.file, caught.value.row, caught.value.field) == ("studies.jsonl", 7, field)


def test_a_missing_field_and_a_document_that_is_no_object_are_refused() -> None:
    with pytest.raises(InputError, match="'report' is a required property"):
        read(Study, {key: value for key, value in changed("id", "a").items() if key != "report"})
    with pytest.raises(InputError, match="object"):
        read(Study, [])


def test_an_example_of_nine_steps_has_the_shape_but_is_refused() -> None:
    document = json.loads(EXAMPLE.model_dump_json())
    del document["trace"]["steps"][3]
    check(document, schema_of(Example))
    with pytest.raises(InputError, match="steps 1 to 10"):
        read(Example, document)


def test_a_long_value_is_not_quoted_whole() -> None:
    with pytest.raises(InputError) as caught:
        read(Study, changed("report_form", "x" * 10_000))
    assert len(str(caught.value)) < 500


def test_a_remote_reference_is_never_fetched() -> None:
    asked: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/trace.schema.json"
            with pytest.raises(InputError, match="references are not fetched"):
                check({}, {"$schema": DIALECT, "$ref": address})
        finally:
            server.shutdown()
            thread.join()
    assert asked == []
