"""Merging: hashes from the run card on, answers compared before anything is called merged, and a card nobody wrote."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from distill_student import STUDIES, Trained, restricted, trained
from tenstep.__main__ import main
from tenstep.distill.generate import Completion, Request
from tenstep.distill.infer_load import open_merged, open_student
from tenstep.distill.libraries import quiet
from tenstep.distill.publish import model_card
from tenstep.distill.publish.likeness import likeness, predict
from tenstep.distill.publish.merge import compare, merge
from tenstep.distill.publish.merge_card import MergedCard, weights_sha256
from tenstep.distill.publish.merge_gguf import check, convert
from tenstep.distill.train.run_card import RunCard
from tenstep.schemas.errors import InputError, RunError, TrainingError
from tiny_students import write_converter

__all__ = ["restricted", "trained"]  # fixtures


@pytest.fixture(scope="module")
def merged(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("merged") / "fp16"
    merge(trained.run, out, rows=STUDIES, agree=0.8, licence="apache-2.0")
    return out


def copied(trained: Trained, tmp_path: Path) -> Path:
    """The training run, to be spoiled."""
    return Path(shutil.copytree(trained.run, tmp_path / "student"))


def edited(file: Path, **fields: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_merged_weights_answer_as_base_and_adapter_do(trained: Trained, merged: Path) -> None:
    card = MergedCard.read(merged)
    assert card.rows == STUDIES and card.equal >= 0.8 * STUDIES
    assert card.agreement >= card.equal / card.rows
    assert card.adapter_sha256 == RunCard.read(trained.run).adapter_sha256
    assert card.weights_sha256 == weights_sha256(merged)
    suffixes = {file.suffix for file in merged.iterdir()}
    assert suffixes == {".safetensors", ".json", ".jinja", ".yaml", ".md"}
    assert "quantization_config" not in json.loads((merged / "config.json").read_text())


def test_merged_weights_stand_alone(trained: Trained, merged: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    alone = Path(shutil.copytree(merged, tmp_path / "alone"))
    with quiet():
        ready = open_student(alone)
        assert ready.precision == "fp32"
        assert not any("lora" in name for name, _ in ready.loaded.model.named_parameters())
    assert {str(tensor.dtype) for tensor in load_file(alone / "model.safetensors").values()} == {"torch.float16"}


def test_four_bit_weights_are_written_and_loaded_as_such(trained: Trained, tmp_path: Path) -> None:
    import bitsandbytes

    card = merge(trained.run, tmp_path / "nf4", precision="nf4", rows=1, agree=0)
    assert card.precision == "nf4"
    with quiet():
        model = open_merged(tmp_path / "nf4").model
        layers = [part for part in model.modules() if isinstance(part, bitsandbytes.nn.Linear4bit)]
        assert len(layers) > 20 and all(layer.weight.quant_type == "nf4" for layer in layers)
        assert not isinstance(model.lm_head, bitsandbytes.nn.Linear4bit)
        with pytest.raises(InputError, match="4-bit weights, which cannot be had as fp32"):
            open_student(tmp_path / "nf4", "fp32")


def test_answers_that_differ_too_much_are_not_called_merged(trained: Trained, tmp_path: Path) -> None:
    """4 bits forget what an untrained base never knew."""
    with pytest.raises(
        TrainingError, match=r"not merged: shown the same answers, .* nats a token \(100% is wanted\).* with --agree"
    ) as caught:
        merge(trained.run, tmp_path / "out", precision="nf4", rows=2, agree=1.0)
    assert "'folders/demo-0000" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_was_merged_predicts_as_base_and_adapter_do(merged: Path) -> None:
    card = MergedCard.read(merged)
    assert card.top1 is not None and card.top1 >= 0.97
    assert card.kl is not None and 0 <= card.kl <= 0.02
    assert card.same_findings is not None and card.same_findings >= 0.8
    older = json.loads((merged / "merged.json").read_text())
    for name in ("top1", "kl", "same_findings"):
        del older[name]
    assert MergedCard.model_validate(older, strict=False).top1 is None


def test_likeness_is_exact_for_the_same_weights_and_sees_other_ones(trained: Trained) -> None:
    import torch
    from tenstep.data.store.studies import StudyStore
    from tenstep.distill.pixels import choose, open_image

    store = StudyStore.open(trained.studies)
    study = next(iter(store))
    image = choose(study)
    assert image is not None
    requests = [Request(open_image(store.path_of(image)), "Report.", 0)]
    answers = [Completion(study.report, (), 0, complete=True)]
    with quiet():
        loaded = open_student(trained.run).loaded
        first = predict(loaded, requests, answers)
        same = likeness(loaded, requests, answers, first)
        assert (same.top1, same.worst) == (1.0, 0) and same.kl == pytest.approx(0, abs=1e-5)
        with torch.no_grad():
            head = next(weight for name, weight in loaded.model.named_parameters() if "lm_head" in name)
            head += torch.randn_like(head) * head.std()
            for name, weight in loaded.model.named_parameters():
                if "lora_B" in name:
                    weight.zero_()
        other = likeness(loaded, requests, answers, first)
    assert other.top1 < 1 and other.kl > 0.01


def test_answers_are_compared_token_by_token() -> None:
    def answer(*tokens: int) -> Completion:
        return Completion("", tokens, 0, complete=True)

    found = compare([answer(1, 2, 3), answer(1, 2, 3, 4)], [answer(1, 2, 3), answer(1, 9, 3, 4)])
    assert found == (1, 2, (1 + 1 / 4) / 2, 1)
    assert compare([answer(1, 2)], [answer(1, 2, 3)]).equal == 0


@pytest.mark.parametrize("field", ["adapter_sha256", "base_sha256", "recipe_sha256"])
def test_an_adapter_of_another_run_is_refused(trained: Trained, tmp_path: Path, field: str) -> None:
    run = copied(trained, tmp_path)
    edited(run / "run_card.json", **{field: "0" * 64})
    with pytest.raises(TrainingError, match=f"not the one of this run: {field.removesuffix('_sha256')}"):
        merge(run, tmp_path / "out")


def test_an_adapter_that_changed_on_the_way_is_refused(trained: Trained, tmp_path: Path) -> None:
    run = copied(trained, tmp_path)
    weights = run / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x55")
    with pytest.raises(TrainingError, match="not those that were trained here"):
        merge(run, tmp_path / "out")


def test_what_cannot_be_merged_is_said_before_anything_is_loaded(trained: Trained, tmp_path: Path) -> None:
    run = copied(trained, tmp_path)
    edited(run / "run_card.json", finished=None)
    with pytest.raises(TrainingError, match="did not finish; go on with: tenstep distill --resume"):
        merge(run, tmp_path / "out")
    (run / "run_card.json").unlink()
    with pytest.raises(InputError, match=r"no run_card\.json next to the adapter"):
        merge(run, tmp_path / "out")
    with pytest.raises(RunError, match="is there already"):
        merge(trained.run, tmp_path)


def test_changed_weights_are_not_loaded(merged: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(merged, tmp_path / "changed"))
    weights = changed / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x55")
    with quiet(), pytest.raises(TrainingError, match="not those that were merged"):
        open_student(changed)


def test_the_model_card_says_what_the_run_card_says(trained: Trained, merged: Path) -> None:
    card, text = RunCard.read(trained.run), (merged / "README.md").read_text()
    assert text.startswith("---\nlicense: apache-2.0\n")
    for value in (
        card.adapter_sha256,
        card.base_sha256,
        card.data_sha256,
        card.hardware,
        f"{card.losses[-1].loss:.4f}",
    ):
        assert str(value) in text
    assert "no medical advice" in text and "## Terms inherited from the training data" in text
    told = RunCard.read(merged)  # it can still be read, and says nothing that must not leave
    assert told.preflight.shown == () and card.preflight.shown
    for leaving in (text, (merged / "run_card.json").read_text(), (merged / "merged.json").read_text()):
        assert str(trained.run.parent) not in leaving


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("mimic-cxr", "PhysioNet Credentialed Health Data License"),
        ("chexpert-plus", "Stanford University Dataset Research Use Agreement"),
        ("elsewhere", "elsewhere: the terms of that source hold"),
        (None, "whose source is not at hand"),
    ],
)
def test_terms_of_restricted_data_are_handed_down(restricted: Trained, source: str | None, words: str) -> None:
    card = RunCard.read(restricted.run)
    assert card.preflight.restricted
    text = model_card.render(card, merged=None, sources=[source] if source else [], licence=None)
    assert words in text and "license: unknown" in text


def test_gguf_of_llama_vision_is_refused_with_the_reason(trained: Trained, tmp_path: Path) -> None:
    words = ["merge", str(trained.run), "--out", str(tmp_path / "out"), "--gguf", "convert_hf_to_gguf.py"]
    assert main([*words, "--json", str(tmp_path / "out.json")]) == 2
    error = json.loads((tmp_path / "out.json").read_text())["error"]
    assert "no architecture for its cross-attention layers" in error["message"]
    assert not (tmp_path / "out").exists()


def test_gguf_is_left_to_the_users_converter_which_says_what_it_knows(tmp_path: Path) -> None:
    script, tokenizer = tmp_path / "convert.py", tmp_path / "tokenizer.model"
    gemma, smol = ("gemma3", "Gemma3ForConditionalGeneration"), ("smolvlm", "SmolVLMForConditionalGeneration")
    with pytest.raises(TrainingError, match=r"give llama\.cpp's convert_hf_to_gguf\.py"):
        check(*gemma, script, tokenizer)
    script.write_text("import nowhere")
    with pytest.raises(TrainingError, match="cannot be run: ModuleNotFoundError: No module named 'nowhere'"):
        check(*gemma, script, tokenizer)
    write_converter(script)
    check(*gemma, script, tokenizer)
    with pytest.raises(TrainingError, match=r"reads this family's vocabulary from tokenizer\.model"):
        check(*gemma, script, None)
    with pytest.raises(TrainingError, match="does not know the language half of SmolVLM"):
        check(*smol, script, None)
    with pytest.raises(TrainingError, match="does not know the language and vision half of Blip"):
        check("blip", "Blip", script, None)
    with pytest.raises(TrainingError, match=r"converter failed \(ERROR: no config\); the merged .* are whole"):
        convert(tmp_path, script, tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert [file.read_text() for file in convert(tmp_path, script, tmp_path)] == ["language", "vision"]
