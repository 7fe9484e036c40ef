"""One image, one report: adapter or merged weights, three ways to ask, piece by piece, and without tenstep at all."""

import json
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distill_student import TOKENS, Trained, trained
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tenstep.__main__ import main
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.distill.infer import Pieces, fault_of, infer, prompt_for, read_image, split_answer
from tenstep.distill.infer_load import Ready, open_student
from tenstep.distill.libraries import quiet
from tenstep.distill.prompt import path_of, read
from tenstep.distill.publish.merge import merge
from tenstep.distill.sample import plan, sample
from tenstep.schemas.errors import ImageError, InputError, TrainingError
from tenstep.schemas.layout import write
from tenstep.schemas.sample_recipe import SampleRecipe

__all__ = ["trained"]  # a fixture

SCRIPT = Path(__file__).parent.parent / "scripts" / "infer_transformers.py"
STEPS = [f"Step {number} says something." for number in range(1, 11)]
REPORT = "Technique: Film.\nView: PA.\nFindings: Clear.\n\nImpression:\n1. Normal.\n2. Nothing else."


@pytest.fixture(scope="module")
def merged(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("merged") / "student"
    merge(trained.run, out, rows=1, agree=0)
    return out


@pytest.fixture(scope="module")
def ready(trained: Trained) -> Ready:
    with quiet():
        return open_student(trained.run)


@pytest.fixture
def film(trained: Trained) -> Path:
    return trained.films / "demo-00001" / "image.png"


def told(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    main(["infer", *map(str, words), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_inference_answers_as_sampling_does(ready: Ready, trained: Trained, film: Path, tmp_path: Path) -> None:
    recipe = plan(trained.run, name="s", temperatures=[0.0], n=1, max_new_tokens=40, limit=None, seed=0)
    store = StudyStore.open(trained.studies)
    answers: dict[str, str] = {}
    sample(recipe, store, tmp_path / "run", batch=3, on_judged=lambda c, _: answers.update({c.study_id: c.text}))
    with quiet():
        reading = infer(ready, read_image(film), "steps", max_new_tokens=40)
    assert reading.text == answers["folders/demo-00001"]
    assert (reading.tokens, reading.complete, reading.prompt) == (40, False, "ten-steps@1")


def test_base_stage_and_merged_student_are_sampled_and_recorded_as_what_they_are(
    trained: Trained, merged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"base": trained.run.parent / "base", "merged": merged, "adapter": trained.run}
    answers: dict[str, list[str]] = {}
    for weights, place in places.items():
        words = ["sample", place, "--studies", trained.studies, "--out", tmp_path / weights, "--max-new-tokens", 12]
        assert main([*map(str, words), "--limit", "2", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["weights"] == weights
        with RunFolder.read(tmp_path / weights) as run:
            recipe = SampleRecipe.model_validate(run.manifest.recipe, strict=False)
            judged = list(run.judged())
        assert (recipe.weights, recipe.quantize) == (weights, "none" if weights == "base" else None)
        answers[weights] = [one.candidate.text for one in judged]
        assert {one.candidate.prompt_id for one in judged} == {"ten-steps@1"}
    assert answers["base"] != answers["adapter"] and len(answers["merged"]) == 2
    base = plan(places["base"], name="b", temperatures=[0.0], n=1, max_new_tokens=None, limit=None, seed=0)
    four_bit = plan(
        places["base"],
        name="b",
        temperatures=[0.0],
        n=1,
        max_new_tokens=None,
        limit=None,
        seed=0,
        quantize="nf4",
        prompt="report-only",
    )
    assert base.model_sha256 != four_bit.model_sha256 and base.prompt == "ten-steps"
    assert (
        sample(
            four_bit.model_copy(update={"limit": 1, "max_new_tokens": 4}),
            StudyStore.open(trained.studies),
            tmp_path / "nf4",
            batch=1,
        ).counts["attempts"]
        == 1
    )
    for place, more in (
        (trained.run, ["--quantize", "nf4"]),
        (merged, ["--revision", "a" * 40]),
        ("org/no-such", ["--revision", "main"]),
    ):
        words = ["sample", place, "--studies", trained.studies, "--out", tmp_path / "none", *more]
        assert main(list(map(str, words))) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "none").exists()


def test_pieces_are_the_answer(ready: Ready, film: Path) -> None:
    pieces: list[str] = []
    with quiet():
        reading = infer(ready, read_image(film), "steps", max_new_tokens=60, on_text=pieces.append)
    assert len(pieces) > 3
    assert "".join(pieces) == reading.text


@given(st.lists(st.integers(1, 40), max_size=12), st.sampled_from(["plain", "tagged"]))
def test_hidden_steps_stay_hidden_however_the_answer_comes(cuts: list[int], layout: Any) -> None:
    text = write(STEPS, REPORT, layout)
    shown: list[str] = []
    pieces = Pieces(shown.append, hidden=True)
    start = 0
    for cut in [*cuts, len(text)]:
        pieces.put(text[start : start + cut])
        start += cut
    pieces.close()
    assert "".join(shown) == REPORT
    assert split_answer(text, steps=True) == (REPORT, tuple(STEPS))


def test_the_report_comes_line_by_line() -> None:
    shown: list[str] = []
    pieces = Pieces(shown.append, hidden=True)
    for letter in write(STEPS, REPORT):
        pieces.put(letter)
    assert shown[0] == "Technique: Film." and len(shown) >= 5


def test_each_way_of_asking_has_its_prompt() -> None:
    ten, alone = read(path_of("ten-steps")), read(path_of("report-only"))
    assert prompt_for(ten, "steps") == prompt_for(ten, "hidden") == ten
    assert prompt_for(ten, "report") == prompt_for(alone, "report") == alone
    asked = prompt_for(read(path_of("ten-steps-verbatim")), "report")
    assert asked == read(path_of("report-only-verbatim")) and fault_of("The lungs are clear.", asked) is None
    with pytest.raises(InputError, match="use --mode report"):
        prompt_for(alone, "hidden")


def test_merged_weights_are_asked_at_each_precision(
    merged: Path, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for precision in ("fp32", "bf16", "nf4"):
        found = told(
            capsys, film, "--model", merged, "--precision", precision, "--max-new-tokens", 8, "--mode", "steps"
        )
        assert (found["precision"], found["tokens"], found["complete"]) == (precision, 8, False)
        assert "the answer was cut off; raise --max-new-tokens" in found["warnings"]
        assert "no medical advice" in found["disclaimer"]
        assert found["text"]


def test_hidden_is_hidden_in_json_as_well(merged: Path, film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, film, "--model", merged, "--max-new-tokens", 8)
    assert found["mode"] == "hidden" and not {"steps", "text"} & set(found)


def test_an_adapter_fits_the_weights_it_was_trained_on_only(trained: Trained) -> None:
    with quiet(), pytest.raises(TrainingError, match="merge it, and ask the merged weights as fp32"):
        open_student(trained.run, "fp32")


def test_people_see_the_report_and_the_disclaimer(merged: Path, film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--stream"]):
        main(["infer", str(film), "--model", str(merged), *more, "--mode", "report"])
        shown = capsys.readouterr().out
        assert "Not a medical device, and no medical advice" in " ".join(shown.split())
        assert len(shown.splitlines()) > 2


def test_jpeg_dicom_and_sixteen_bits_are_read_as_at_ingest(film: Path, tmp_path: Path) -> None:
    pixels = np.asarray(Image.open(film).convert("L"))
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
    Image.fromarray(pixels.astype(np.uint16) * 200).save(tmp_path / "deep.png")
    (tmp_path / "a.dcm").write_bytes(dicom(255 - pixels))
    for name in ("a.jpg", "deep.png", "a.dcm"):
        found = read_image(tmp_path / name)
        assert found.image.mode == "RGB" and found.image.size == (64, 64)
        assert np.corrcoef(np.asarray(found.image.convert("L")).ravel(), pixels.ravel())[0, 1] > 0.95, name
    assert read_image(tmp_path / "a.dcm").view == "PA"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.dcm", "a.jpg", "deep.png"]


def dicom(pixels: Any) -> bytes:
    """A MONOCHROME1 radiograph."""
    import io

    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME1"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.ViewPosition, data.BodyPartExamined = "PA", "CHEST"
    data.PixelData = np.ascontiguousarray(pixels.astype(np.uint8)).tobytes()
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True)
    return stream.getvalue()


def test_what_is_no_image_or_no_student_is_one_line(
    merged: Path, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "half.png").write_bytes(film.read_bytes()[:200])
    with pytest.raises(ImageError, match="damaged or cut off"):
        read_image(tmp_path / "half.png")
    with pytest.raises(ImageError, match=r"there is no 'none\.png'"):
        read_image(tmp_path / "none.png")
    assert main(["infer", str(film), "--model", str(tmp_path)]) == 2
    assert main(["infer", str(film), "--model", str(merged), "--stream", "--json"]) == 2
    assert main(["infer", str(film), "--model", str(merged), "--max-new-tokens", "0"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_many_images_and_folders_are_read_in_one_go_and_a_bad_one_stops_none(
    merged: Path, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "films" / "deep"
    folder.mkdir(parents=True)
    shutil.copy(film, folder / "a.png")
    (folder / "half.PNG").write_bytes(film.read_bytes()[:200])
    (folder / "notes.txt").write_text("no image")
    found = told(capsys, tmp_path / "films", film, "--model", merged, "--max-new-tokens", 8, "--mode", "report")
    first, half, last = found["readings"]
    assert [Path(one["image"]).name for one in found["readings"]] == ["a.png", "half.PNG", "image.png"]
    assert first["report"] == last["report"] and half["report"] is None and "damaged" in half["error"]
    assert main(["infer", str(tmp_path / "films"), "--model", str(merged), "--max-new-tokens", "8"]) == 1
    assert "0 of 2 images have the report that was requested" in " ".join(capsys.readouterr().out.split())
    (tmp_path / "none").mkdir()
    assert main(["infer", str(tmp_path / "none"), "--model", str(merged)]) == 2
    assert main(["infer", str(film), str(film), "--model", str(merged), "--stream"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_report_must_be_the_one_that_was_requested() -> None:
    alone, ten, verbatim = (read(path_of(name)) for name in ("report-only", "ten-steps", "ten-steps-verbatim"))
    for prompt in (alone, ten):
        assert fault_of(REPORT, prompt) is None
        assert "nothing stands under Impression" in str(fault_of(REPORT.partition("Impression")[0], prompt))
        assert "nothing stands under View" in str(fault_of(REPORT.replace("PA.", ""), prompt))
        assert "holds more than" in str(fault_of(f"{REPORT}\n\nFindings: Again.", prompt))
        assert "holds more than" in str(fault_of(f"Here it is.\n{REPORT}", prompt))
    assert fault_of(write(STEPS, REPORT), alone) == "the answer is 10 steps, not a report alone"
    assert fault_of(write(STEPS, REPORT, "tagged"), alone) == "the answer is 10 steps, not a report alone"
    assert fault_of("The lungs are clear.", verbatim) is None


@pytest.mark.parametrize("gone", ["processor_config.json", "tokenizer*"])
def test_merged_weights_without_their_processor_are_one_line(
    gone: str, merged: Path, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(merged, bare)
    for name in (gone, "preprocessor_config.json"):
        for file in bare.glob(name):
            file.unlink()
    card = json.loads((bare / "merged.json").read_text())
    (bare / "merged.json").write_text(json.dumps(card | {"files": {}}))  # an earlier folder, which lists none
    assert main(["infer", str(film), "--model", str(bare)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "processor" in line


def test_an_adapter_whose_files_are_of_two_students_is_one_line(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "student"
    shutil.copytree(trained.run, folder)
    shutil.copytree(trained.run.parent / "base", tmp_path / "base")
    path, card = (folder / "adapter" / name for name in ("adapter_config.json", "student.json"))
    card.write_text(json.dumps(json.loads(card.read_text()) | {"files": {}}))  # an earlier folder, which lists none
    for kinds in (["q_proj"], ["linear_attn"]):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"target_modules": kinds}))
        with quiet(), pytest.raises(TrainingError, match="the adapter does not fit its base, a mllama"):
            open_student(folder)


def test_plain_transformers_give_the_same_answer(
    merged: Path, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a process that could not import tenstep if it tried."""
    (tmp_path / "tenstep.py").write_text("raise ImportError('not here')")
    for mode in ("steps", "report"):
        ours = told(capsys, film, "--model", merged, "--mode", mode, "--max-new-tokens", TOKENS)
        words = [film, "--model", merged, "--mode", mode, "--json", "--max-new-tokens", TOKENS]
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *map(str, words)],
            env={"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode in (0, 1), done.stderr
        theirs = json.loads(done.stdout)
        assert theirs["precision"] == ours["precision"] == "fp32"
        if mode == "report":
            assert theirs["report"] == ours["report"]
        assert theirs["complete"] == ours["complete"]
        assert "no medical advice" in theirs["disclaimer"]


def test_the_script_asks_in_the_same_words(tmp_path: Path) -> None:
    source = SCRIPT.read_text()
    assert "tenstep." not in source.replace("`tenstep merge`", "").replace("of tenstep is", "")
    scope: dict[str, Any] = {"__name__": "script", "__doc__": ""}
    exec(compile(source, str(SCRIPT), "exec"), scope)
    names = ("report-only", "report-only-verbatim", "ten-steps", "ten-steps-verbatim")
    for name, mode in product(names, ("report", "steps")):
        shutil.copy(path_of(name), tmp_path / "prompt.yaml")
        if mode == "report" or name.startswith("ten"):
            assert scope["prompt_of"](tmp_path, mode) == prompt_for(read(path_of(name)), mode).text
    for layout in ("plain", "tagged"):
        steps, report = scope["parsed"](write(STEPS, REPORT, layout))  # type: ignore[arg-type]  # a literal
        assert (steps, report) == (STEPS, REPORT)
    assert scope["parsed"]("no steps") == ([], "")
