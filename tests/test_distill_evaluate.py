"""`tenstep evaluate`: runs and files, parts, figures that name themselves, and students that can be compared or not."""

import csv
import gzip
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from distill_parts import accepted_run, ingested, steps
from tenstep.__main__ import main
from tenstep.data.demo.folders import write_folders
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.distill.evaluate.evaluation import EvaluateOptions, evaluate
from tenstep.distill.evaluate.inputs import (
    ABNORMAL,
    FINDINGS,
    IMPRESSION,
    NORMAL,
    REPORT,
    WHOLE,
    read,
    section,
    with_parts,
)
from tenstep.schemas.errors import InputError
from tenstep.schemas.evaluation import Evaluation
from tenstep.schemas.layout import write
from tenstep.schemas.sample_recipe import SampleRecipe
from tenstep.validators.gate import judge
from tenstep.validators.reading import read_candidate

for needed in ("nltk", "sacrebleu", "rouge_score"):
    pytest.importorskip(needed)

STUDIES = 6


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StudyStore:
    folder = tmp_path_factory.mktemp("evaluate")
    return ingested(folder / "studies", write_folders(folder / "films", STUDIES, size=64, defects=False))


def sampled(
    store: StudyStore, out: Path, texts: list[str], *, temperatures: tuple[float, ...] = (0.0,), n: int = 1
) -> Path:
    """A sampling run whose student gave these answers: those of each temperature and index, study after study."""
    recipe = SampleRecipe(
        name=out.name, model="student", model_sha256="0" * 64, prompt_sha256="1" * 64, temperatures=temperatures, n=n
    )
    with RunFolder.open(out, kind="sample", recipe=recipe, studies=store) as run:
        answers = iter(texts)
        for at in range(len(temperatures) * n):
            for study, text in zip(store, answers, strict=False):
                candidate = read_candidate(text, study.id, author="student").model_copy(
                    update={"sample": at, "key": f"{hash((at, study.id)) % 16**8:064x}", "model": "base+adapter"}
                )
                run.record(candidate, judge(study, candidate), raw=b"")
        run.finish()
    return out


def answer(store: StudyStore, *, report: str | None = None) -> list[str]:
    """Ten steps and the reference, or another report."""
    return [
        write([line.partition(". ")[2] for line in steps(s).splitlines()], s.report if report is None else report)
        for s in store
    ]


@pytest.fixture(scope="module")
def good(store: StudyStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sampled(store, tmp_path_factory.mktemp("runs") / "good", answer(store))


@pytest.fixture(scope="module")
def poor(store: StudyStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = answer(store, report="Technique: Film.\nView: PA.\nFindings: A fracture.\nImpression: Fracture.")
    return sampled(store, tmp_path_factory.mktemp("runs") / "poor", ["no report at all", *texts[1:]])


def evaluated(words: list[str], out: Path) -> Evaluation:
    words = ["evaluate", *words, "--implementation", "python", "--resamples", "200", "--out", str(out)]
    assert main([*words, "--json", str(out.with_suffix(".json"))]) == 0
    return Evaluation.model_validate_json((out / "evaluation.json").read_bytes())


def test_whether_texts_are_public_is_what_their_store_says(good: Path, tmp_path: Path) -> None:
    films = write_folders(tmp_path / "films", 1, size=64, defects=False)
    own = ingested(tmp_path / "studies", films, data_class="restricted")
    assert read(good).public and not read(sampled(own, tmp_path / "run", answer(own))).public


def figure(found: Evaluation, part: str, metric: str) -> Any:
    (one,) = (f for f in found.figures if (f.part, f.metric) == (part, metric))
    return one


def test_the_report_and_the_whole_output_are_measured_apart(good: Path, tmp_path: Path) -> None:
    found = evaluated([str(good)], tmp_path / "out")
    assert (found.pairs, found.patients) == (STUDIES, STUDIES)
    for metric in ("BLEU-4", "ROUGE-L", "Finding-F1-14 micro"):
        assert figure(found, REPORT, metric).value == pytest.approx(1.0)
    assert figure(found, REPORT, "METEOR").value > 0.99
    assert figure(found, WHOLE, "BLEU-4").value < 0.9  # ten steps stand before the report
    labels = {f.label for f in found.figures if f.part == REPORT} - {None}
    assert "Pleural Effusion" in labels and "Edema" not in labels  # phantoms have none
    assert found.student.model == "base+adapter" and found.student.model_sha256 == "0" * 64
    assert not found.student.without_report


def test_another_student_is_compared_by_a_test(good: Path, poor: Path, tmp_path: Path) -> None:
    found = evaluated([str(good), "--against", str(poor)], tmp_path / "out")
    rouge = figure(found, REPORT, "ROUGE-L")
    (other,) = rouge.others
    assert other.difference == pytest.approx(rouge.value - other.value)
    assert other.difference > 0.5 and other.p < 0.1
    assert other.low < other.value < other.high
    assert [one.without_report for one in found.others] == [1]
    assert "poor: 1 of 6 without a readable report; they count as empty ones" in found.notes


def test_base_stage_1_and_stage_2_stand_in_one_table(
    store: StudyStore, good: Path, poor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = sampled(store, tmp_path / "good", answer(store))  # has the name of another run
    found = evaluated([str(good), "--against", str(poor), str(other)], tmp_path / "out")
    assert [one.name for one in found.others] == ["poor", f"{tmp_path.name}/good"]
    rouge = figure(found, REPORT, "ROUGE-L")
    assert [round(one.difference, 3) for one in rouge.others][1] == 0.0 and rouge.others[0].difference > 0.5
    table = (tmp_path / "out" / "metrics.md").read_text()
    ours = f"{good.parent.name}/good"
    heads = f"| part | metric | poor | {tmp_path.name}/good | {ours} | difference to poor | p | difference to"
    assert heads in table and f"of {found.sources[0]}." in table
    assert main(["evaluate", str(good), "--against", str(good), "--out", str(tmp_path / "x")]) == 2
    assert "named twice" in capsys.readouterr().err


def test_without_a_folder_the_figures_lie_in_the_run(store: StudyStore, tmp_path: Path) -> None:
    run = sampled(store, tmp_path / "run", answer(store))
    assert main(["evaluate", str(run), "--implementation", "python", "--resamples", "100"]) == 0
    assert Evaluation.model_validate_json((run / "evaluation" / "evaluation.json").read_bytes()).pairs == STUDIES
    row = lines(tmp_path / "a.jsonl", {"id": "1", "hypothesis": "h", "reference": "r"})
    assert main(["evaluate", str(row), "--implementation", "python"]) == 2


def test_an_invented_finding_is_seen_in_the_specificity(tmp_path: Path) -> None:
    row = {"reference": "The lungs are clear.", "id": "1", "hypothesis": "There is a large pleural effusion."}
    source = read(lines(tmp_path / "a.jsonl", row, row | {"id": "2", "hypothesis": "The lungs are clear."}))
    found = {
        f.metric: f.value for f in evaluate(source, EvaluateOptions(implementation="python", resamples=100)).figures
    }
    assert found["Finding-F1 Pleural Effusion specificity"] == 0.5
    assert "Finding-F1 Pleural Effusion sensitivity" not in found  # nobody has it
    assert not any("Edema" in metric for metric in found)  # nobody has it, and nobody says so


def test_a_file_with_a_mark_a_line_separator_or_gzipped_is_read(tmp_path: Path) -> None:
    rows = [{"id": "1\u2028", "hypothesis": "Clear.\u2028Normal heart.", "reference": "Clear."}]
    rows.append({"id": "2", "hypothesis": "Clear.", "reference": "Clear."})
    text = "\ufeff" + "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows)
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"
    plain.write_bytes(text.encode())
    packed.write_bytes(gzip.compress(text.encode()))
    for file in (plain, packed):
        pairs = read(file).parts[REPORT]
        assert [(pair.id, len(pair.hypothesis)) for pair in pairs] == [("1", 20), ("2", 6)]


def test_tables_and_plots_say_what_each_figure_is(good: Path, poor: Path, tmp_path: Path) -> None:
    found = evaluated([str(good), "--against", str(poor)], tmp_path / "out")
    out = tmp_path / "out"
    with (out / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * len(found.figures)
    assert [row["student"] for row in rows[:2]] == ["good", "poor"] and not rows[0]["p"] and rows[1]["p"]
    assert all(row["implementation"] and row["version"] and row["preprocessing"] for row in rows)
    assert float(rows[0]["value"]) == found.figures[0].value
    table = (out / "metrics.md").read_text()
    assert "| report | METEOR |" in table and "nltk 3." in table and "## By label" in table
    for name in ("metrics.svg", "labels.svg"):
        picture = ElementTree.parse(out / name).getroot()
        texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
        assert {"good", "poor"} <= set(texts)
        circles = list(picture.iter("{http://www.w3.org/2000/svg}circle"))
        assert len(circles) >= 2 + 2 * 4
    told = json.loads((tmp_path / "out.json").read_text())
    assert told["figures"][0]["metric"] == "Finding-F1-14 micro"


def test_a_run_of_several_temperatures_is_not_mixed(store: StudyStore, tmp_path: Path) -> None:
    texts = answer(store)
    run = sampled(store, tmp_path / "hot", [*texts, *["nothing"] * STUDIES], temperatures=(0.0, 0.7))
    with pytest.raises(InputError, match=r"choose one with --temperature: 0\.0, 0\.7"):
        read(run)
    assert (read(run, 0.0).without_report, read(run, 0.7).without_report) == (0, STUDIES)
    with pytest.raises(InputError, match=r"nothing was sampled at temperature 0\.5"):
        read(run, 0.5)


def test_studies_without_an_answer_are_counted(store: StudyStore, tmp_path: Path) -> None:
    source = read(sampled(store, tmp_path / "few", answer(store)[:4]), None, "exclude")
    assert (len(source.parts[REPORT]), source.not_answered) == (4, 2)


def test_a_teachers_run_is_no_students(store: StudyStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no student's answers"):
        read(accepted_run(store, tmp_path / "run"))


def test_students_of_other_studies_are_not_compared(good: Path, store: StudyStore, tmp_path: Path) -> None:
    few = sampled(store, tmp_path / "few", answer(store)[:4])
    words = ["evaluate", str(good), "--against", str(few), "--unanswered", "exclude", "--out", str(tmp_path / "out")]
    assert main([*words, "--json", str(tmp_path / "told.json")]) == 2
    message = json.loads((tmp_path / "told.json").read_text())["error"]["message"]
    assert "'folders/demo-00004#0' is in one only" in message


def lines(file: Path, *rows: object) -> Path:
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


def test_a_file_groups_its_rows_by_patient(tmp_path: Path) -> None:
    row = {"hypothesis": "The lungs are clear.", "reference": "Lungs are clear."}
    file = lines(tmp_path / "a.jsonl", row | {"id": "1", "patient_id": 7}, row | {"id": "2", "patient_id": 7})
    found = evaluated([str(file)], tmp_path / "out")
    assert (found.pairs, found.patients) == (2, 1)
    assert found.figures[0].low is None  # one patient says nothing of others
    assert {f.part for f in found.figures} == {REPORT}


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        ("{", None, "not JSON"),
        ({"id": "x", "hypothesis": 1, "reference": "r"}, "hypothesis", "missing, or not a text"),
        ({"id": "x", "hypothesis": "h", "reference": " "}, "reference", "nothing to compare with"),
        ({"id": "1", "hypothesis": "h", "reference": "r"}, "id", "'1' stands twice"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: object, field: str | None, message: str) -> None:
    file = lines(tmp_path / "a.jsonl", {"id": "1", "hypothesis": "h", "reference": "r"}, "", row)
    with pytest.raises(InputError, match=message) as caught:
        read(file)
    assert (caught.value.row, caught.value.field) == (3, field)


def test_what_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["none.jsonl"], [str(tmp_path)], [str(lines(tmp_path / "e.jsonl"))]):
        assert main(["evaluate", *words, "--out", str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
    row = {"id": "1", "hypothesis": "h", "reference": "r"}
    file = str(lines(tmp_path / "a.jsonl", row))
    for more in (["--chexbert", "c.pth"], ["--external", "x"], ["--resamples", "3"], ["--bertscore", str(tmp_path)]):
        assert main(["evaluate", file, "--implementation", "python", *more, "--out", str(tmp_path / "out")]) == 2


def test_reports_are_compared_by_section_and_by_what_their_reference_says(store: StudyStore, tmp_path: Path) -> None:
    run = sampled(store, tmp_path / "run", answer(store))
    found = with_parts(read(run), ("section", "stratum"))
    assert {FINDINGS, IMPRESSION, NORMAL, ABNORMAL} <= found.parts.keys() | {NORMAL}
    for pair in found.parts[IMPRESSION]:
        assert pair.hypothesis == pair.reference and "Impression" not in pair.reference
    strata = [pair.id for name in (NORMAL, ABNORMAL) for pair in found.parts.get(name, ())]
    assert sorted(strata) == sorted(pair.id for pair in found.parts[REPORT])


@pytest.mark.parametrize(
    ("text", "name", "wanted"),
    [
        ("View: PA.\nFindings: Clear.\nMore.\nImpression: Normal.", "findings", "Clear.\nMore."),
        ("Findings: Clear.\nImpression: Normal.", "impression", "Normal."),
        ("The lungs are clear.", "findings", ""),
    ],
)
def test_a_section_is_what_stands_under_its_header(text: str, name: str, wanted: str) -> None:
    assert section(text, name) == wanted


def test_studies_without_an_answer_count_as_empty_unless_they_are_left_out(store: StudyStore, tmp_path: Path) -> None:
    run = sampled(store, tmp_path / "run", answer(store)[:-2])
    counted, left_out = read(run), read(run, None, "exclude")
    assert len(counted.parts[REPORT]) == STUDIES and len(left_out.parts[REPORT]) == STUDIES - 2
    assert counted.not_answered == left_out.not_answered == 2
    assert sum(not pair.hypothesis for pair in counted.parts[REPORT]) == 2
    both = [evaluate(one, EvaluateOptions(implementation="python", resamples=100)) for one in (counted, left_out)]
    bleu = [next(figure.value for figure in one.figures if figure.metric == "BLEU-4") for one in both]
    assert bleu[0] < bleu[1]
    assert any("2 answers are missing, and count as empty ones" in note for note in both[0].notes)


def test_an_answer_of_several_that_is_missing_counts_as_an_empty_one(store: StudyStore, tmp_path: Path) -> None:
    run = sampled(store, tmp_path / "two", [*answer(store), *answer(store)[:-2]], n=2)
    counted, left_out = read(run), read(run, None, "exclude")
    assert (len(counted.parts[REPORT]), counted.not_answered) == (2 * STUDIES, 2)
    assert (len(left_out.parts[REPORT]), left_out.not_answered) == (2 * STUDIES - 2, 2)
    assert counted.without_report == 0  # what is missing is not counted as unreadable too


def test_a_difference_has_an_interval_and_a_finding_its_sensitivity(store: StudyStore, tmp_path: Path) -> None:
    good = read(sampled(store, tmp_path / "good", answer(store)))
    bad = read(sampled(store, tmp_path / "bad", answer(store, report="Findings: Clear.\nImpression: Normal.")))
    found = evaluate(good, EvaluateOptions(implementation="python", resamples=200), [bad])
    bleu = next(figure for figure in found.figures if figure.metric == "BLEU-4" and figure.part == REPORT)
    (other,) = bleu.others
    assert other.difference_low is not None and other.difference_high is not None
    assert 0 < other.difference_low <= other.difference <= other.difference_high
    names = {figure.metric: figure for figure in found.figures if figure.part == REPORT}
    heart = names["Finding-F1 Pleural Effusion sensitivity"]
    assert (heart.value, heart.others[0].value, heart.label) == (1.0, 0.0, "Pleural Effusion")
    assert names["Finding-F1 Pleural Effusion specificity"].value == 1.0


def test_a_folder_of_somebody_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("mine")
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"id": "a", "hypothesis": "Clear.", "reference": "Clear."}\n')
    assert main(["evaluate", str(pairs), "--out", str(tmp_path)]) == 2
    assert (tmp_path / "metrics.csv").read_text() == "mine"


@pytest.mark.parametrize(
    "words",
    [
        ["--bertscore-layer", "1"],
        ["--chexbert-tokenizer", "words"],
        ["--preprocessing", "clean", "--implementation", "python"],
        ["--temperature", "0.7"],
        ["--unanswered", "exclude"],
    ],
)
def test_an_option_that_would_be_ignored_is_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps({"id": "a", "hypothesis": "clear", "reference": "clear"}) + "\n")
    assert main(["evaluate", str(file), "--out", str(tmp_path / "out"), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words[0] in line and not (tmp_path / "out").exists()
