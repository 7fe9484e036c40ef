"""What tests of the verifier start from: the labelled set, and answers of our own writing, replayed through `file`."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tenstep.curation.verifying.question import VerifierPrompt

Answer = dict[str, Any]


def clean(question: Mapping[str, Any]) -> Answer:
    """Everything is as the report says: each step quoted whole, with the report's first sentence as evidence."""
    data = study_of(question)
    said = {"label": "supported", "evidence": data["reference_report"].split("\n")[0].strip(), "attribute": ""}
    return {key: [{"quote": text, **said}] for key, text in data["steps"].items()} | {"missing": []}


def wrong(step: int, label: str = "unsupported", **fields: str) -> Callable[[Mapping[str, Any]], Answer]:
    """The same, but for one step."""

    def answer(question: Mapping[str, Any]) -> Answer:
        found = clean(question)
        found[f"step_{step:02}"][0] |= {"label": label, "evidence": "", **fields}
        return found

    return answer


def in_turn(*answers: Callable[[Mapping[str, Any]], Answer]) -> Callable[[Mapping[str, Any]], Answer]:
    """One after the other."""
    waiting = iter(answers)
    return lambda question: next(waiting)(question)  # noqa: PLW0108  the next one each time


def study_of(question: Mapping[str, Any]) -> dict[str, Any]:
    """The object that a question holds."""
    found: dict[str, Any]
    found, _ = json.JSONDecoder().raw_decode(question["prompt"])
    return found


def questions(folder: Path) -> list[dict[str, Any]]:
    """What waits for an answer."""
    file = folder / "questions.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]


def answer_all(folder: Path, answer: Callable[[Mapping[str, Any]], Any] = clean, model: str | None = "reader-1") -> int:
    """Answer every question that waits, beside the answers that are there; how many there were."""
    asked = questions(folder)
    with (folder / "answers.jsonl").open("a", encoding="utf-8") as file:
        for question in asked:
            said = answer(question)
            text = said if isinstance(said, str) else json.dumps(said)
            file.write(json.dumps({"id": question["id"], "text": text, "model": model}) + "\n")
    return len(asked)


def calibration(folder: Path, **changed: Any) -> str:
    """A calibration of the model and prompt that these tests use."""
    rate = {"n": 100, "right": 99, "share": 0.99, "low": 0.9455, "high": 0.9982}
    found = {
        "model": "reader-1",
        "prompt_id": VerifierPrompt().id,
        "prompt_sha256": VerifierPrompt().sha256,
        "labelled": "tenstep",
    }
    found |= {"labelled_sha256": "0" * 64, "good": rate, "bad": rate, "families": {}, "unreadable": 0}
    path = folder / "calibration.json"
    path.write_text(json.dumps(found | {"code_version": "1"} | changed))
    return str(path)
