"""A tiny untrained student: exact resume, refusals before step one, answers that depend on no batch."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from distill_parts import accepted_run, changed, filmed, ingested, kill_at_step_5, recipe_on
from distill_student import PHANTOMS, base, films, run, store
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.distill import adapter
from tenstep.distill.generate import Completion, Request, generate
from tenstep.distill.libraries import quiet
from tenstep.distill.load import Loaded
from tenstep.distill.sample import plan, sample
from tenstep.distill.train import checkpoints
from tenstep.distill.train.run_card import RunCard
from tenstep.distill.train.train import distill
from tenstep.schemas.candidate import Candidate
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import ImageError, InputError, RunError, RunLockedError, TenstepError, TrainingError
from tenstep.schemas.learning import Lora
from tenstep.schemas.sample_recipe import SampleRecipe
from tenstep.schemas.verdict import Verdict

__all__ = ["base", "films", "run", "store"]  # fixtures


@pytest.fixture(scope="module")
def recipe(base: Path) -> DistillRecipe:
    return recipe_on(
        base,
        steps=6,
        batch=2,
        accumulate=2,
        save_every=2,
        log_every=1,
        max_new_tokens=300,
        lora=Lora(r=4, dropout=0.1, parts=("vision", "language"), whole=("lm_head",)),
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, recipe: DistillRecipe, run: Path) -> Path:
    out = tmp_path_factory.mktemp("trained") / "student"
    distill(recipe, run, out)
    return out


@pytest.fixture(scope="module")
def student(trained: Path) -> Loaded:
    folder = adapter.find(trained)
    with quiet():
        return adapter.load_student(folder, adapter.describe(folder)[0])


def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(
    tmp_path: Path, recipe: DistillRecipe, run: Path, trained: Path
) -> None:
    out = tmp_path / "killed"
    kill_at_step_5(recipe, run, out)
    assert not (out / "adapter").exists()
    assert RunCard.read(out).finished is None
    assert checkpoints.last(out / "checkpoints") == out / "checkpoints" / "checkpoint-4"
    (out / "checkpoints" / "checkpoint-4" / "optimizer.pt").write_bytes(b"half")  # cut off in the middle of a write

    card, whole = distill(recipe, run, out, resume=True), RunCard.read(trained)
    assert [session.from_step for session in card.sessions] == [0, 2]
    assert card.adapter_sha256 == whole.adapter_sha256
    assert card.losses == whole.losses
    assert checkpoints.last(out / "checkpoints") == out / "checkpoints" / "checkpoint-6"


def test_what_is_finished_is_left_as_it_is(recipe: DistillRecipe, run: Path, trained: Path) -> None:
    before = (trained / "run_card.json").read_bytes()
    told: list[str] = []
    card = distill(recipe, run, trained, resume=True, on_progress=lambda what, *_: told.append(what))
    assert (trained / "run_card.json").read_bytes() == before
    assert card.finished and not told
    with pytest.raises(RunError, match="go on with --resume, or choose another --out"):
        distill(recipe, run, trained)


def test_a_run_that_was_killed_while_saving_saves_again(recipe: DistillRecipe, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    card = distill(changed(recipe, steps=2), run, out)
    (out / "adapter").rename(out / "adapter.part")
    card.model_copy(update={"finished": None, "adapter_sha256": None}).write(out)
    again = distill(changed(recipe, steps=2), run, out, resume=True)
    assert again.adapter_sha256 == card.adapter_sha256
    assert again.losses == card.losses
    assert not (out / "adapter.part").exists()


def test_another_run_is_not_gone_on_with(recipe: DistillRecipe, run: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot go on: recipe changed since"):
        distill(changed(recipe, seed=1), run, trained, resume=True)
    assert "seed: 1\n" not in (trained / "recipe.yaml").read_text()
    (tmp_path / "diary.txt").write_text("dear diary")
    with pytest.raises(RunError, match="holds no training run"):
        distill(recipe, run, tmp_path, resume=True)
    assert [file.name for file in tmp_path.iterdir()] == ["diary.txt"]


def test_a_second_process_is_told_of_the_first(recipe: DistillRecipe, run: Path, tmp_path: Path) -> None:
    def on_progress(what: str, step: int, steps: int) -> None:
        with pytest.raises(RunLockedError, match="another process is training here"):
            distill(changed(recipe, steps=1), run, tmp_path / "out", resume=True)

    distill(changed(recipe, steps=1), run, tmp_path / "out", on_progress=on_progress)


def test_the_card_says_what_was_done(recipe: DistillRecipe, trained: Path) -> None:
    card = RunCard.read(trained)
    assert card.recipe["lora"]["r"] == 4
    assert card.preflight.examples == PHANTOMS
    assert set(card.preflight.trainable) == {"vision", "language", "head"}
    assert [loss.step for loss in card.losses] == [1, 2, 3, 4, 5, 6]
    assert card.losses[-1].loss < card.losses[0].loss
    assert card.libraries["trl"] and card.hardware.startswith(("CPU", "NVIDIA"))
    assert card.finished and card.seconds > 0 and card.peak_memory_mb
    assert card.preflight.shown[0].startswith("1. ")
    assert (trained / "recipe.yaml").is_file()


def test_text_only_studies_are_refused_before_anything_is_built(
    recipe: DistillRecipe, films: Path, tmp_path: Path
) -> None:
    run = accepted_run(ingested(tmp_path / "blind", films, text_only=True), tmp_path / "run")
    with pytest.raises(TrainingError, match=r"8 of 8 studies have no image \(the first is 'folders/demo-00000'\)"):
        distill(recipe, run, tmp_path / "out")


def test_prompt_and_report_form_must_agree(recipe: DistillRecipe, films: Path, tmp_path: Path) -> None:
    run = accepted_run(ingested(tmp_path / "verbatim", films, "verbatim"), tmp_path / "run")
    with pytest.raises(TrainingError, match="asks for a four-header report, but 8 studies have another form"):
        distill(recipe, run, tmp_path / "out")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_length": 200}, "8 examples have more than the 200 tokens of max_length"),
        ({"max_new_tokens": 50}, "8 targets have more than the 50 tokens of max_new_tokens"),
        ({"prompt": "haiku"}, "there is no prompt 'haiku'"),
        ({"base": "/no/where"}, "there is no such checkpoint folder"),
        ({"lora": {"top_layers": 99}}, "there are 3 language layers"),
    ],
)
def test_what_cannot_be_trained_stops_before_step_one(
    recipe: DistillRecipe, run: Path, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    told: list[str] = []
    with pytest.raises(TenstepError, match=message):
        distill(changed(recipe, **fields), run, tmp_path / "out", on_progress=lambda what, *_: told.append(what))
    assert not told
    assert not (tmp_path / "out" / "checkpoints").exists()


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A run, and the image of its last study."""
    run = accepted_run(filmed(tmp_path, 3), tmp_path / "run")
    yield run, tmp_path / "films" / "demo-00002" / "image.png"


def test_an_image_that_is_gone_changed_or_damaged_is_found_before_step_one(
    recipe: DistillRecipe, fragile: tuple[Path, Path], tmp_path: Path
) -> None:
    run, image = fragile
    image.write_bytes(image.read_bytes() + b"\0")
    with pytest.raises(ImageError, match=r"study 'folders/demo-00002': the image changed since it was ingested"):
        distill(recipe, run, tmp_path / "out")
    image.unlink()
    with pytest.raises(ImageError, match=r"study 'folders/demo-00002': the image cannot be opened"):
        distill(recipe, run, tmp_path / "out")


def ask(
    student: Loaded, requests: list[Request], temperature: float = 0.0, max_new_tokens: int = 40
) -> list[Completion]:
    with quiet():
        requests = [replace(request, temperature=temperature) for request in requests]
        return generate(student, requests, max_new_tokens=max_new_tokens)


def test_a_batch_answers_as_each_would_alone(student: Loaded, store: StudyStore) -> None:
    from PIL import Image

    prompts = ["Report.", "Report this radiograph, step by step, and be brief.", "Go."]
    images = [Image.open(store.path_of(study.images[0])).convert("RGB") for study in store][:3]
    for temperature in (0.0, 1.0):
        requests = [Request(image, text, seed) for seed, (image, text) in enumerate(zip(images, prompts, strict=True))]
        together = ask(student, requests, temperature)
        assert together == [ask(student, [request], temperature)[0] for request in requests]
        assert len({answer.asked for answer in together}) == 3  # so there was padding


def test_the_seed_decides_at_a_temperature_and_not_without(student: Loaded, store: StudyStore) -> None:
    from PIL import Image

    image = Image.open(store.path_of(next(iter(store)).images[0])).convert("RGB")
    hot = ask(student, [Request(image, "Report.", seed) for seed in (1, 1, 2)], 1.0)
    cold = ask(student, [Request(image, "Report.", seed) for seed in (1, 2)])
    assert hot[0] == hot[1] != hot[2]
    assert cold[0] == cold[1]


def test_answers_to_one_question_share_its_encoding_and_are_those_that_each_would_get(
    student: Loaded, store: StudyStore
) -> None:
    from PIL import Image

    one, other = (Image.open(store.path_of(study.images[0])).convert("RGB") for study in list(store)[:2])
    hot = [Request(one, "Report.", seed, temperature) for seed, temperature in ((1, 0.0), (2, 0.7), (3, 0.7))]
    requests = [*hot, Request(other, "Report this radiograph, and be brief.", 4, 1.3), Request(one, "Go.")]
    seen: list[int] = []
    tower = student.model.get_submodule("base_model.model.model.vision_model")
    hook = tower.register_forward_hook(lambda _tower, _given, out: seen.append(len(out[0])))
    try:
        with quiet():
            together = generate(student, requests, max_new_tokens=40)
            assert sum(seen) == 3  # one image with two prompts, and another
            alone = [generate(student, [request], max_new_tokens=40)[0] for request in requests]
            assert generate(student, requests, max_new_tokens=1) == [
                generate(student, [request], max_new_tokens=1)[0] for request in requests
            ]
    finally:
        hook.remove()
    assert together == alone
    assert len({answer.text for answer in together[:3]}) == 3


def test_a_repetition_penalty_is_of_what_the_answer_holds_and_not_of_the_question(
    student: Loaded, store: StudyStore
) -> None:
    from PIL import Image

    image = Image.open(store.path_of(next(iter(store)).images[0])).convert("RGB")
    requests = [Request(image, "Report.", seed) for seed in (0, 1)]
    with quiet():
        plain = generate(student, requests[:1], max_new_tokens=40)
        (penalised,) = generate(student, requests[:1], max_new_tokens=40, repetition_penalty=9.0)
        both = generate(student, requests, max_new_tokens=40, repetition_penalty=9.0)
    assert penalised.tokens[0] == plain[0].tokens[0]
    assert len(set(penalised.tokens)) > len(set(plain[0].tokens))
    assert both == [penalised, penalised]


def test_an_answer_that_was_cut_says_so(student: Loaded, store: StudyStore) -> None:
    from PIL import Image

    image = Image.open(store.path_of(next(iter(store)).images[0])).convert("RGB")
    (answer,) = ask(student, [Request(image, "Report.", 0)], max_new_tokens=2)
    assert not answer.complete and len(answer.tokens) == 2


def asked(trained: Path, **fields: Any) -> SampleRecipe:
    told = {"temperatures": [0.7], "n": 2, "max_new_tokens": 30, "limit": None, "seed": 0} | fields
    return plan(trained, name="samples", **told)


def test_sampling_goes_on_where_it_was_and_gives_the_same_answers(
    trained: Path, store: StudyStore, tmp_path: Path
) -> None:
    class Stop(Exception):
        pass

    seen: list[Candidate] = []

    def stop(candidate: Candidate, _: Verdict) -> None:
        seen.append(candidate)
        if len(seen) == 5:
            raise Stop

    with pytest.raises(Stop):
        sample(asked(trained), store, tmp_path / "a", batch=3, on_judged=stop)
    manifest = sample(asked(trained), store, tmp_path / "a", batch=4)
    assert manifest.counts["sampled"] == PHANTOMS * 2 - 5
    assert manifest.counts["attempts"] == PHANTOMS * 2
    again = sample(asked(trained), store, tmp_path / "a", batch=4)
    assert again.counts["sampled"] == 0

    sample(asked(trained), store, tmp_path / "b", batch=16)
    texts = [
        {candidate.key: candidate.text for candidate, _ in RunFolder.read(tmp_path / name).judged()} for name in "ab"
    ]
    assert texts[0] == texts[1]


def test_a_sample_is_a_candidate_of_a_student(trained: Path, store: StudyStore, tmp_path: Path) -> None:
    sample(asked(trained, n=1, limit=2), store, tmp_path / "run", batch=2)
    with RunFolder.read(tmp_path / "run") as run:
        judged = list(run.judged())
        assert run.manifest.kind == "sample" and run.manifest.finished
    assert len((tmp_path / "run" / "samples.jsonl").read_text().splitlines()) == 2
    for candidate, verdict in judged:
        assert (candidate.author, candidate.teacher, candidate.prompt_id) == ("student", "probe", "ten-steps@1")
        assert candidate.saw_image and candidate.writes_report
        assert candidate.stop_reason == "length" and "cut_off" in verdict.codes
        assert candidate.usage.output_tokens == 30
        assert RunCard.read(trained).adapter_sha256[:12] in candidate.model  # type: ignore[index]  # it is finished


def test_whatever_decides_an_answer_changes_its_key(trained: Path, store: StudyStore, tmp_path: Path) -> None:
    keys: set[str] = set()
    for at, fields in enumerate(({}, {"seed": 1}, {"temperatures": [0.8]}, {"max_new_tokens": 29})):
        out = tmp_path / str(at)
        sample(asked(trained, limit=1, **fields), store, out, batch=2)
        with RunFolder.read(out) as run:
            keys |= {candidate.key for candidate, _ in run.judged()}
    assert len(keys) == 4 * 2


def test_a_study_that_cannot_be_shown_is_a_record_with_a_reason(
    trained: Path, fragile: tuple[Path, Path], tmp_path: Path
) -> None:
    _, image = fragile
    image.write_bytes(b"")
    store = StudyStore.open(tmp_path / "studies")
    manifest = sample(asked(trained, n=1), store, tmp_path / "samples", batch=8)
    assert (manifest.counts["attempts"], manifest.counts["failed"]) == (2, 1)
    with RunFolder.read(tmp_path / "samples") as run:
        (failed,) = (event for event in run.journal.events() if event.state == "failed")
    assert "study 'folders/demo-00002': the image changed" in failed.body["reason"]


def test_studies_without_any_image_are_refused(trained: Path, films: Path, tmp_path: Path) -> None:
    blind = ingested(tmp_path / "blind", films, text_only=True)
    with pytest.raises(InputError, match="no study here has an image"):
        sample(asked(trained), blind, tmp_path / "out", batch=8)


def test_weights_that_do_not_belong_together_are_not_sampled(
    recipe: DistillRecipe, run: Path, store: StudyStore, tmp_path: Path
) -> None:
    out = tmp_path / "student"
    distill(changed(recipe, steps=1), run, out)
    student = asked(out, n=1, limit=1)
    weights = out / "adapter" / adapter.WEIGHTS
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(TrainingError, match="not those that were trained here"):
        sample(student, store, tmp_path / "samples", batch=1)
    assert not (tmp_path / "samples").exists()  # so that the mended student can be sampled into it
    weights.write_bytes(good)
    card = (out / "adapter" / "student.json").read_text()
    (out / "adapter" / "student.json").write_text(card.replace(recipe.base, str(tmp_path / "gone")))
    with pytest.raises(TrainingError, match="the base is not there, or not the one"):
        sample(asked(out, n=1, limit=1), store, tmp_path / "more", batch=1)
    with pytest.raises(InputError, match="there is no trained student here"):
        asked(tmp_path)
