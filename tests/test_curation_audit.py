"""The audit: what it counts, what it reads, and that a bad row costs that row alone."""

import json
import stat
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenstep.__main__ import main
from tenstep.curation.audit import audit
from tenstep.curation.auditing.compare import difference
from tenstep.curation.auditing.measures import measure
from tenstep.curation.auditing.sketch import ALIKE, Sketches, likeness, sketch
from tenstep.curation.auditing.templates import RepeatedSentences, sentence_key
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.layout import parse, write
from tenstep.schemas.study import Study
from tenstep.validators.rule import REFERENCE, STEPS, ten

ILL = """\
Technique: Single frontal radiograph of the chest.
View: PA
Findings: The heart is enlarged. There is a small left pleural effusion. No pneumothorax.
Impression: Cardiomegaly with a small left pleural effusion."""
SAYS = {
    3: "Cardiomediastinum: the heart is enlarged.",
    5: "Lungs: the lungs were compared from apex to base.",
    6: "Pleura: there is a small left pleural effusion.",
    10: "Synthesis: a large heart and a small left pleural effusion.",
}


def row(name: str, text: str | None = None, reference: str = REFERENCE, **more: object) -> dict[str, object]:
    return {"id": name, "text": ten() if text is None else text, "reference_report": reference, **more}


def jsonl(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def summary(path: Path) -> dict[str, Any]:
    with audit(path) as found:
        return found.as_dict()


# what is measured


def test_each_step_is_measured_against_the_whole_reference() -> None:
    found = measure(parse(ten(SAYS, report=ILL)), ILL)
    assert [step.standings["supported"] for step in found.steps[2:7]] == [1, 0, 0, 1, 1]
    assert found.covered == {"cardiomegaly": True, "pleural_effusion": True}
    assert found.concluded == 3
    assert found.steps[2].words == 5


def test_what_the_reference_denies_is_contradicted_and_what_it_does_not_mention_is_silent() -> None:
    says = {**SAYS, 6: "Pleura: no pleural effusion.", 7: "Pneumothorax: there is a left pneumothorax."}
    found = measure(parse(ten(says, report=ILL)), ILL)
    assert found.steps[5].standings["contradicted"] == 1
    assert found.steps[6].standings["contradicted"] == 1
    assert found.steps[8].standings == {"supported": 0, "silent": 1, "contradicted": 0}  # no acute fracture


def test_a_normal_organ_counts_once_however_much_it_denies() -> None:
    found = measure(parse(ten({5: "The lungs are clear."})), REFERENCE)
    assert sum(found.steps[4].standings.values()) == 1


def test_a_finding_that_no_step_mentions_is_not_covered() -> None:
    quiet = {3: "The heart was looked at.", 10: "Synthesis: as described."}
    found = measure(parse(ten({**SAYS, **quiet}, report=ILL)), ILL)
    assert found.covered["cardiomegaly"] is False
    assert found.concluded == 6


def test_a_normal_impression_concludes_nothing_that_could_be_given_away() -> None:
    assert measure(parse(ten()), REFERENCE).concluded is None


def test_copying_is_counted_in_runs_of_four_words() -> None:
    copied = "There is a small left pleural effusion."
    found = measure(parse(ten({**SAYS, 6: copied, 7: "The apices were looked at."}, report=ILL)), ILL)
    assert (found.steps[5].copied, found.steps[5].runs) == (4, 4)
    assert found.steps[6].copied == 0


@given(st.text(max_size=300), st.text(max_size=300))
@settings(max_examples=60)
def test_anything_can_be_measured(step: str, report: str) -> None:
    trace = parse("\n".join(f"{n}. {' '.join(step.split())}" for n in range(1, 11)))
    found = measure(trace, report)
    assert len(found.steps) == len(trace.steps[:10])
    assert all(one.copied <= one.runs for one in found.steps)


# likeness


@given(st.lists(st.sampled_from("abcdefgh"), min_size=30, max_size=60), st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_sketches_estimate_the_share_of_common_runs(tokens: list[str], changes: int) -> None:
    other = list(tokens)
    for at in range(changes):
        other[at] = f"changed{at}"
    runs = [set(zip(*(words[i:] for i in range(4)), strict=False)) for words in (tokens, other)]
    true = len(runs[0] & runs[1]) / len(runs[0] | runs[1])
    assert abs(likeness(sketch(tokens), sketch(other)) - true) < 0.3  # 64 hashes: six standard deviations at most


def test_nearly_equal_texts_are_grouped_and_others_are_not() -> None:
    sketches = Sketches()
    for family in range(30):
        base = [f"word{family * 1000 + at}" for at in range(120)]
        for copy in range(family % 3 + 1):
            sketches.add(sketch([*base[: 120 - copy], *(f"end{copy}x{at}" for at in range(copy))]))
    groups = sketches.groups()
    assert Counter(len(group) for group in groups) == {3: 10, 2: 10}
    matrix = sketches.matrix
    assert all(likeness(matrix[group[0]], matrix[group[-1]]) >= ALIKE for group in groups)


def test_many_equal_texts_are_one_group_in_linear_time() -> None:
    sketches = Sketches()
    same = sketch(["the", "lungs", "are", "clear", "today"])
    for _ in range(20_000):
        sketches.add(same)
    assert [len(group) for group in sketches.groups()] == [20_000]


def test_frequent_sentences_are_counted_exactly_among_many_rare_ones() -> None:
    templates = RepeatedSentences(4)
    for number in range(3_000):
        rare = ["rare", "sentence", *map(chr, range(97, 97 + number % 25)), hex(number)]
        templates.add(sentence_key(rare), f"Rare {number}.")
        if number % 10 == 0:
            templates.add(sentence_key(["seen", "on", "film", str(number)]), f"Seen on film {number}.")
    place = templates.place
    assert (place.traces, place.frequent[0].traces) == (3_300, 300)
    assert place.frequent[0].text.startswith("Seen on film ")


# datasets


def test_numbers_of_a_dataset_add_up(tmp_path: Path) -> None:
    rows = [row(f"good-{n}") for n in range(3)]
    rows += [row(f"nine-{n}", ten().replace("10. ", "")) for n in range(2)]
    rows += [row("junk", '{"answer": "none"}')]
    found = summary(jsonl(tmp_path / "t.jsonl", *rows))
    assert (found["rows"], found["accepted"], found["read"]) == (6, 3, 5)
    assert found["codes"]["step_count"] == 2
    stopped = {stage["rule"]: stage["stopped"] for stage in found["funnel"]}
    assert stopped["structure"] == 2 and stopped["completion"] == 1
    assert found["funnel"][-1]["left"] == found["accepted"]
    assert found["steps"][0]["traces"] == 5
    assert found["near_duplicates"] == {
        "groups": 1, "traces": 5, "before_other_reports": 0,
        "largest": [{"traces": 5, "other_reports": False, "ids": ["good-0", "good-1", "good-2", "nine-0", "nine-1"]}],
    }  # fmt: skip


def test_the_same_trace_before_another_report_is_told(tmp_path: Path) -> None:
    other = REFERENCE.replace("The heart is normal in size.", "Heart: unremarkable in its contours and its dimensions.")
    other = other.replace("The lungs are clear.", "Aerated fields on either side, free of any airspace process at all.")
    found = summary(jsonl(tmp_path / "t.jsonl", row("a"), row("b", ten(report=other), other)))
    assert found["near_duplicates"]["before_other_reports"] == 2


def test_patients_studies_and_reports_in_two_splits_are_found(tmp_path: Path) -> None:
    rows = [
        row("a", ten(SAYS, report=ILL), ILL, split="train", patient_id="p1"),
        row("b", split="test", patient_id="p1"),
        row("c", ten(SAYS, report=ILL), ILL, split="test", patient_id="p2"),
        row("c", split="train", patient_id="p3"),
    ]
    splits = summary(jsonl(tmp_path / "t.jsonl", *rows))["splits"]
    assert splits["rows"] == {"train": 2, "test": 2}
    assert splits["patients_in_two"] == {"count": 1, "examples": ["p1"]}
    assert splits["studies_in_two"] == {"count": 1, "examples": ["c"]}
    assert splits["reports_in_two"]["count"] == 2  # the ill ones and the normal ones


def test_files_of_a_folder_name_the_split(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", row("a", patient_id=7))
    jsonl(tmp_path / "test.jsonl", row("b", patient_id=7))
    (tmp_path / "dataset_infos.json").write_text("{}")
    found = summary(tmp_path)
    assert found["splits"]["rows"] == {"test": 1, "train": 1}
    assert found["splits"]["patients_in_two"]["count"] == 1


# every layout

CHAT = [{"role": "user", "content": [{"type": "image"}]}, {"role": "assistant", "content": ten()}]
FORMS = {
    "text": {"id": "x", "text": ten()},
    "messages": {"messages": CHAT},
    "parts": {"messages": [{"role": "assistant", "content": [{"type": "text", "text": ten()}]}]},
    "sharegpt": {"conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": ten()}]},
    "completion": {"prompt": "?", "completion": ten()},
    "completion chat": {"prompt": CHAT[:1], "completion": CHAT[1:]},
    "tagged": {"id": "x", "text": write(STEPS, REFERENCE, "tagged")},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_row_is_read(tmp_path: Path, form: str) -> None:
    found = summary(jsonl(tmp_path / "t.jsonl", FORMS[form] | {"reference_report": REFERENCE}))
    assert (found["rows"], found["accepted"], found["unreadable"]) == (1, 1, [])


def test_our_own_accepted_examples_are_read(tmp_path: Path) -> None:
    study = Study(
        id="t/a", patient_id="p", source="t", data_class="public", report=REFERENCE, report_form="four-header"
    )
    provenance = {
        "key": "0" * 64, "author": "student", "teacher": "t", "model": "m", "attempt": 1, "prompt_id": "p",
        "prompt_sha256": "0" * 64, "saw_image": True,
    }  # fmt: skip
    example = {"study": study.model_dump(mode="json"), "trace": parse(ten()).model_dump(), "provenance": provenance}
    found = summary(jsonl(tmp_path / "accepted.jsonl", example, {"study": {}, "trace": {}}))
    assert (found["rows"], found["accepted"], found["items"][0]["id"]) == (1, 1, "t/a")
    assert found["unreadable"][0]["field"].startswith("study")


def test_folders_are_read_escaped_or_not(tmp_path: Path) -> None:
    tagged = write(STEPS, REFERENCE, "tagged")
    escaped = tagged.replace("<<", "<\\<").replace("_", "\\_").replace("<\\<END\\_REPORT", "    <\\<END\\_REPORT")
    for name, text in (("1", tagged), ("2", escaped)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.txt").write_text(text, encoding="utf-8")
    (tmp_path / "3").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    found = summary(tmp_path)
    assert [item["id"] for item in found["items"]] == ["1", "2"]
    assert found["items"][0]["accepted"]
    assert (found["layouts"], found["escaped"], found["without_reference"]) == ({"tagged": 2}, 1, 2)
    assert [(bad["row"], bad["file"]) for bad in found["unreadable"]] == [(3, "3"), (4, "notes.txt")]


def test_a_json_array_is_read_object_by_object(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps([row("a"), 7, row("b")], indent=2))
    found = summary(path)
    assert (found["rows"], [bad["row"] for bad in found["unreadable"]]) == (2, [2])
    path.write_text(json.dumps([row("a"), row("b")])[:-40])
    found = summary(path)
    assert (found["rows"], [bad["row"] for bad in found["unreadable"]]) == (1, [2])


def test_parquet_and_saved_datasets_are_read_without_their_images(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra that reads Parquet is not installed")
    rows = [row("a") | {"image": {"bytes": b"\x00not an image", "path": None}}, row("b", "no steps")]
    table = datasets.Dataset.from_list(rows)
    table.to_parquet(str(tmp_path / "test-00000-of-00001.parquet"))
    found = summary(tmp_path / "test-00000-of-00001.parquet")
    assert (found["rows"], found["accepted"], found["splits"]["rows"]) == (2, 1, {"test": 2})
    datasets.DatasetDict(train=table, validation=table).save_to_disk(str(tmp_path / "saved"))
    found = summary(tmp_path / "saved")
    assert (found["rows"], found["splits"]["rows"]) == (4, {"train": 2, "validation": 2})
    table.save_to_disk(str(tmp_path / "one"))
    assert summary(tmp_path / "one")["rows"] == 2
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 not really")
    assert main(["audit", str(tmp_path / "torn.parquet")]) == 2


WITHOUT = """
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "datasets":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from tenstep.__main__ import main
sys.exit(main(["audit", sys.argv[1]]))
"""


def test_what_reads_a_saved_dataset_is_named_where_it_is_absent(tmp_path: Path) -> None:
    (tmp_path / "dataset_dict.json").write_text("{}")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "state.json").write_text("{}")
    done = subprocess.run([sys.executable, "-c", WITHOUT, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "pip install" in done.stderr and "[hf]" in done.stderr and done.stderr.count("\n") == 1


def test_the_traces_of_a_study_store_come_with_their_patients(tmp_path: Path) -> None:
    source = jsonl(
        tmp_path / "in.jsonl",
        {"id": "a", "text": ten(), "patient_id": "p", "split": "train"},
        {"id": "b", "text": ten()},
    )
    assert main(["ingest", "jsonl", str(source), "--text-only", "--out", str(tmp_path / "studies")]) == 0
    assert len(StudyStore.open(tmp_path / "studies")) == 2
    found = summary(tmp_path / "studies")
    assert (found["rows"], found["accepted"], found["splits"]["patients"]) == (2, 2, 1)


# bad input


def test_bad_rows_are_named_and_the_rest_is_audited(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    good = json.dumps(row("good")).encode()
    half = [{"id": "\ud800"}, {"id": "r", "reference_report": "\ud800"}, {"id": "v", "views": ["\ud800"]}]
    bad = [
        (b"\xff\xfe\x00", None),
        (b'{"id": "no text"}', "text"),
        (b"[1, 2]", None),
        (b"{torn", None),
        *((json.dumps({"text": ten()} | fields).encode(), list(fields)[-1]) for fields in half),
        (json.dumps(row("labels", labels={"edema": "maybe"})).encode(), "labels.edema"),
        (b'{"id": "two", "messages": [], "completion": "x"}', "completion"),
        (b'{"id": "none", "messages": [{"role": "user", "content": "x"}]}', "messages"),
        (b'{"id": "deep", "text": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", None),
        (b'{"id": "long", "text": "' + b"x" * 10_000_001 + b'"}', None),
    ]
    path.write_bytes(b"\n".join([good, *(line for line, _ in bad), good]) + b"\n")
    found = summary(path)
    assert (found["rows"], found["accepted"]) == (2, 2)
    assert [one["row"] for one in found["unreadable"]] == list(range(2, 2 + len(bad)))
    for one, (line, field) in zip(found["unreadable"], bad, strict=True):
        assert one["field"] == field or b"deep" in line, one  # a decoder may or may not have a limit there
    assert main(["audit", str(path)]) == 2


def test_a_row_in_another_form_is_audited_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = jsonl(tmp_path / "t.jsonl", row("a"), {"messages": CHAT}, row("c"))
    assert main(["audit", str(path)]) == 2
    told = " ".join(capsys.readouterr().out.split())
    assert "row 2 is odd, and was audited" in told
    found = summary(path)
    assert (found["rows"], [odd["row"] for odd in found["odd"]], found["unreadable"]) == (3, [2], [])


def test_mixed_layouts_of_traces_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = jsonl(tmp_path / "t.jsonl", row("a"), row("b", write(STEPS, REFERENCE, "tagged")))
    assert main(["audit", str(path)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "several layouts (plain 1, tagged 1)" in told and "In tagged: b" in told


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_a_file_without_rows_is_an_error(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.jsonl").write_bytes(content)
    assert main(["audit", str(tmp_path / "t.jsonl")]) == 2
    assert "holds no rows" in capsys.readouterr().err
    assert main(["audit", str(tmp_path / "nowhere")]) == 2
    (tmp_path / "empty").mkdir()
    assert main(["audit", str(tmp_path / "empty")]) == 2
    assert "nothing to audit" in capsys.readouterr().err


# several datasets, and files


def test_the_difference_of_two_shares_has_newcombes_interval() -> None:
    """Newcombe 1998, table II: 56/70 against 48/80 gives 0.0524 to 0.3339."""
    found = difference(48, 80, 56, 70)
    assert found.share == pytest.approx(0.2)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


def test_two_datasets_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = jsonl(tmp_path / "one.jsonl", row("a", patient_id="p"), row("b"))
    two = jsonl(tmp_path / "two.jsonl", row("a", patient_id="p"), row("c", ten().replace("10. ", "")))
    assert main(["audit", str(one), str(two), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [d["accepted"] for d in found["datasets"].values()] == [2, 1]
    other = found["comparison"]["others"][str(two)]
    assert other["acceptance_difference"]["share"] == -0.5
    assert other["code_rows"]["step_count"] == [0, 1]
    assert other["in_both"] == {"ids": 1, "patients": 1, "like_traces": 1, "like_reports": 1}
    assert main(["audit", str(one), str(two)]) == 0
    assert "50.0%" in capsys.readouterr().out


def test_a_page_is_written_where_it_is_asked_for_and_for_its_owner_only(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "t.jsonl", row("a"))
    assert main(["audit", str(path), "--html", str(tmp_path / "audit.html")]) == 0
    assert stat.S_IMODE((tmp_path / "audit.html").stat().st_mode) == 0o600
    assert main(["audit", str(path), "--html", str(tmp_path / "no" / "audit.html")]) == 2


def test_a_run_gets_its_page_and_its_json(tmp_path: Path) -> None:
    jsonl(tmp_path / "in.jsonl", *({"id": name, "report": REFERENCE} for name in "abc"))
    (tmp_path / "recipe.yaml").write_text("kind: curate\nname: t\nteachers:\n  - kind: checklist\n")
    main(["ingest", "jsonl", str(tmp_path / "in.jsonl"), "--text-only", "--out", str(tmp_path / "studies")])
    run = tmp_path / "run"
    main(["curate", str(tmp_path / "recipe.yaml"), "--studies", str(tmp_path / "studies"), "--out", str(run)])
    assert main(["audit", str(run)]) == 0
    found = json.loads((run / "audit.json").read_text())
    assert (found["rows"], len(found["items"])) == (3, 3)
    assert found == summary(run)
    assert "<svg" in (run / "audit.html").read_text()
    assert stat.S_IMODE((run / "audit.json").stat().st_mode) == 0o600  # jsonl is restricted unless said otherwise


def test_outcomes_are_tabulated_by_split_view_layout_and_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row(f"a{n}", split="train", views=["PA"]) for n in range(3)]
    rows += [row("b", ten(SAYS, report=ILL), ILL, split="test"), row("c", "Nothing.", split="test", views=["PA"])]
    path = jsonl(tmp_path / "t.jsonl", *rows)
    by = summary(path)["by"]
    assert by["split"]["train"] == {"rows": 3, "accept": 3, "doubt": 0, "reject": 0, "share": 1.0}
    assert by["split"]["test"]["rows"] == 2 and by["split"]["test"]["reject"] == 1
    assert list(by["view"]) == ["PA", "not said"] and by["finding"]["cardiomegaly"]["rows"] == 1
    assert set(by["layout"]) == {"plain", "prose"}
    assert main(["audit", str(path)]) == 0
    assert "by split" in capsys.readouterr().out


def test_two_datasets_are_compared_code_by_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = jsonl(tmp_path / "one.jsonl", row("a"), row("b", ten().replace("10. ", "")))
    two = jsonl(tmp_path / "two.jsonl", row("a"), row("b"), row("c", ten({5: ""})), row("d"))
    assert main(["audit", str(one), str(two)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "rows with step_count │ 50.0% │ 0.0%" in told and "rows with step_empty │ 0.0% │ 25.0%" in told
