"""The collator: the loss is on the target and nothing else, whatever a batch is made of."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tenstep.distill.chat import conversation, prompt_text
from tenstep.distill.load import load
from tenstep.distill.train.collator import IGNORED, CompletionCollator, TrainingRow
from tenstep.distill.train.lengths import measure
from tenstep.distill.train.tiny import build
from tenstep.schemas.errors import TrainingError

TEXTS = ["1. The heart is normal.\n2. No effusion.", "Technique: PA\n\nFindings: clear", "Écoute: ½ — XXXX"]


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("collator") / "tiny"
    build(folder, TEXTS * 3)
    return load(str(folder), None, "none").processor


def picture(_: str) -> Image.Image:
    return Image.new("RGB", (70, 50), (9, 99, 199))


def row(target: str, prompt: str = "Report.", study: str = "s/1") -> TrainingRow:
    return TrainingRow(study=study, image="", prompt=prompt, target=target)


@pytest.mark.parametrize("target", TEXTS)
def test_labels_decode_to_the_target_and_the_end_of_the_turn(processor: Any, target: str) -> None:
    batch = CompletionCollator(processor, 4096, picture)([row(target)])
    learned = batch["labels"][0][batch["labels"][0] != IGNORED]
    assert processor.tokenizer.decode(learned) == f"{target}<|eot_id|>"
    assert batch["labels"][0, -1] == processor.tokenizer.eos_token_id


def test_neither_prompt_nor_image_nor_padding_is_learned(processor: Any) -> None:
    batch = CompletionCollator(processor, 4096, picture)([row("Short."), row("Long. " * 40, "Write at length.")])
    ids, labels = batch["input_ids"], batch["labels"]
    assert ids.shape == labels.shape == batch["attention_mask"].shape
    assert processor.image_token_id in ids[0]
    assert processor.image_token_id not in labels
    assert processor.tokenizer.pad_token_id not in labels
    assert (labels[batch["attention_mask"] == 0] == IGNORED).all()
    for at, text in enumerate((prompt_text(processor, "Report."), prompt_text(processor, "Write at length."))):
        head = len(processor.tokenizer(text, add_special_tokens=False)["input_ids"])
        assert (labels[at, :head] == IGNORED).all()
        assert labels[at, head] != IGNORED


def test_padding_is_on_the_right_and_there_is_one_beginning(processor: Any) -> None:
    batch = CompletionCollator(processor, 4096, picture)([row("Short."), row("Long. " * 40)])
    begin = processor.tokenizer.bos_token_id
    assert (batch["input_ids"][:, 0] == begin).all()
    assert ((batch["input_ids"] == begin).sum(dim=1) == 1).all()
    assert batch["attention_mask"][0, -1] == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8", exclude_characters="<|"), min_size=1, max_size=80))
def test_a_row_is_the_same_alone_and_in_company(processor: Any, text: str) -> None:
    target = f"1. {text}"
    collate = CompletionCollator(processor, 4096, picture)
    alone, together = collate([row(target)]), collate([row(target), row("Long. " * 60)])
    length = alone["input_ids"].shape[1]
    assert alone["input_ids"][0].tolist() == together["input_ids"][0, :length].tolist()
    assert alone["labels"][0].tolist() == together["labels"][0, :length].tolist()


def test_a_target_that_does_not_fit_names_its_study(processor: Any) -> None:
    collate = CompletionCollator(processor, 40, picture)
    collate([row("Short.")])
    with pytest.raises(TrainingError, match=r"study 'open-i/7': \d+ tokens, more than the 40 of max_length"):
        collate([row("Short."), row("Long. " * 40, study="open-i/7")])


def test_a_template_that_changes_what_it_is_given_is_refused(processor: Any) -> None:
    own = processor.chat_template
    try:
        processor.chat_template = own.replace("{{- part['text'] }}", "{{- part['text'] | upper }}")
        with pytest.raises(TrainingError, match="changes the target's text"):
            conversation(processor, "Report.", "1. Clear.")
        processor.chat_template = "{{ messages | length }}" + own
        with pytest.raises(TrainingError, match="changes the prompt once an answer follows"):
            conversation(processor, "Report.", "1. Clear.")
    finally:
        processor.chat_template = own


def test_lengths_are_those_of_the_batches(processor: Any) -> None:
    rows = [row("1. Clear. " * times) for times in (1, 2, 30)]
    collate = CompletionCollator(processor, 4096, picture)
    found = measure(rows, [(70, 50)] * 3, collate, 4096)
    batches = [collate([one]) for one in rows]
    lengths = [batch["input_ids"].shape[1] for batch in batches]
    assert (found.conversation.median, found.conversation.longest) == (lengths[1], lengths[2])
    assert found.target.longest == int((batches[2]["labels"] != IGNORED).sum())
    assert found.shown == tuple(row["target"].strip() for row in rows)


def test_what_sampling_would_cut_stops_the_run(processor: Any) -> None:
    rows = [row("1. Clear."), row("1. Clear. " * 30, study="open-i/9")]
    with pytest.raises(TrainingError, match=r"1 targets have more than the \d+ tokens .*'open-i/9'"):
        measure(rows, [(70, 50)] * 2, CompletionCollator(processor, 4096, picture), 50)
    with pytest.raises(TrainingError, match=r"1 examples have more than the 60 tokens of max_length .*'open-i/9'"):
        measure(rows, [(70, 50)] * 2, CompletionCollator(processor, 60, picture), 500)
