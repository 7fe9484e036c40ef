"""Merging: base and adapter become weights of their own, called merged only once they were seen to predict alike.

    run card ─ hash ─► adapter ──► greedy answers ─┐
                          │                        ├─ compared ──► merged/
    base dequantized + adapter ──► fp16, bf16, nf4 ┘

The base is dequantized first and the adapter merged into what that gives, because those are the weights it was trained
on; merging into 4-bit weights rounds once more. Only safetensors are written. Merged weights that do not predict as
base and adapter do (likeness.py) leave nothing behind.
"""

import gc
import shutil
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ...data.files import readable_by, replacing_folder
from ...data.run import RunFolder
from ...data.selection import runs_of
from ...data.store.studies import StudyStore
from ...schemas.errors import InputError, RunError, TrainingError
from .. import adapter, written
from .. import prompt as prompts
from ..adapter import StudentCard
from ..evaluate.finding_f1 import positive
from ..generate import Completion, Request, generate
from ..infer_load import open_merged
from ..libraries import quiet
from ..load import Loaded, load
from ..pixels import check, choose, open_image
from ..train.run_card import FILE, RunCard
from . import merge_card, merge_gguf, model_card
from .likeness import TOLERANCE, Likeness, likeness, predict
from .merge_card import MergedCard, Precision, weights_sha256

_BATCH = 8


class AnswerAgreement(NamedTuple):
    """How two sets of answers to the same questions compare."""

    equal: int
    of: int
    tokens: float  # mean share of tokens before the first difference
    first: int | None  # the first question that was answered differently


def merge(
    model: Path,
    out: Path,
    *,
    precision: Precision = "fp16",
    studies: Path | None = None,
    rows: int = 20,
    agree: float | None = None,
    licence: str | None = None,
    gguf: Path | None = None,
    on_progress: Callable[[str], object] = lambda _what: None,
) -> MergedCard:
    """Merge a trained student.

    Args:
        model: the training run.
        out: a new folder.
        precision: of the weights that are written.
        studies: a study store to compare on; none for the one that the student was trained on.
        rows: studies to compare on.
        agree: least share of tokens at which adapter and merged weights find the same token likeliest; none for the
            tolerances of likeness.py, of which there is one for each precision.
        licence: of the result, for the model card; only the user can know it.
        gguf: llama.cpp's converter, to write GGUF files as well.
        on_progress: called with the name of each stage.

    Raises:
        TrainingError: hashes do not fit, the answers differ too much, or GGUF cannot be had.
        InputError: no student, or no studies to compare on.
        RunError: `out` is taken.
    """
    if out.exists():
        raise RunError("is there already; choose another --out", file=out)
    folder = adapter.find(model)
    card, student = _checked(folder)
    base = merge_card.of_base(adapter.base_of(folder, student))
    restricted = card.preflight.restricted or (base is not None and base.restricted)
    with readable_by(owner_only=restricted), replacing_folder(out) as part, quiet():
        requests, sources, names = _requests(card, folder, studies, rows)
        sources = tuple(sorted({*sources, *(base.sources if base is not None else ())}))
        on_progress("load")
        loaded = adapter.load_student(folder, student)
        model_type = loaded.student.model_type
        tokenizer = adapter.base_file(folder, student, merge_gguf.TOKENIZER)
        if gguf is not None:
            if precision == "nf4":
                raise TrainingError("GGUF is made of 16-bit weights; merge with --precision fp16", field="precision")
            merge_gguf.check(model_type, loaded.model.config.architectures[0], gguf, tokenizer)
        on_progress("answers of the adapter")
        before = _answers(loaded, requests, student.max_new_tokens)
        expected = predict(loaded, requests, before)
        on_progress("merge")
        _write(loaded, folder, student, part, precision)
        del loaded
        gc.collect()
        on_progress("answers of the merged weights")
        after_model = open_merged(part)
        after = _answers(after_model, requests, student.max_new_tokens)
        found = compare(before, after)
        alike = likeness(after_model, requests, before, expected)
        if not _within(alike, precision, agree):
            raise _unlike(alike, names, precision, agree)
        shutil.copyfile(folder / prompts.FILE, part / prompts.FILE)
        if tokenizer is not None:
            shutil.copyfile(tokenizer, part / merge_gguf.TOKENIZER)
        merged = MergedCard(
            **student.model_dump(include={"name", "base_sha256", "adapter_sha256", "recipe_sha256"}),
            base=model_card.named(student.base),
            model_type=model_type,
            precision=precision,
            weights_sha256=weights_sha256(part),
            files=written.hashes(part),
            max_new_tokens=student.max_new_tokens,
            rows=found.of,
            equal=found.equal,
            agreement=round(found.tokens, 4),
            top1=round(alike.top1, 5),
            kl=round(alike.kl, 6),
            same_findings=round(_same_findings(before, after), 4),
            sources=sources,
            restricted=restricted,
        )
        merged.write(part)
        model_card.write(part, card, merged=merged, sources=sources, licence=licence)
    if gguf is not None:
        on_progress("gguf")
        with readable_by(owner_only=restricted):
            merge_gguf.convert(out, gguf, out)  # whatever comes of it, the merged weights are there
    return merged


def compare(before: Sequence[Completion], after: Sequence[Completion]) -> AnswerAgreement:
    """Compare answers token by token."""
    shares, differ = [], []
    for at, (one, other) in enumerate(zip(before, after, strict=True)):
        same = next(
            (place for place, pair in enumerate(zip(one.tokens, other.tokens, strict=False)) if pair[0] != pair[1]),
            min(len(one.tokens), len(other.tokens)),
        )
        shares.append(same / max(len(one.tokens), len(other.tokens), 1))
        if one.tokens != other.tokens:
            differ.append(at)
    return AnswerAgreement(len(before) - len(differ), len(before), sum(shares) / len(shares), next(iter(differ), None))


def _checked(folder: Path) -> tuple[RunCard, StudentCard]:
    """The run's card and the student's, once they speak of the same adapter (its file is hashed when it is loaded)."""
    run = folder.parent
    if not (run / FILE).is_file():
        raise InputError(f"no {FILE} next to the adapter; merge the training run's folder as it was written", file=run)
    card = RunCard.read(run)
    student, _ = adapter.describe(folder)
    if card.finished is None or card.adapter_sha256 is None:
        raise TrainingError("this training run did not finish; go on with: tenstep distill --resume", file=run)
    check_same(card, student, folder)
    return card, student


def check_same(card: RunCard, student: StudentCard, folder: Path) -> None:
    """Raises:
    TrainingError: the run card is of another adapter.
    """
    for field in ("adapter_sha256", "base_sha256", "recipe_sha256"):
        if getattr(card, field) != getattr(student, field):
            raise TrainingError(
                f"the adapter is not the one of this run: {field.removesuffix('_sha256')} is "
                f"{getattr(student, field)[:12]}, the run card says {str(getattr(card, field))[:12]}",
                file=folder,
            )


def _requests(
    card: RunCard, folder: Path, studies: Path | None, rows: int
) -> tuple[list[Request], tuple[str, ...], list[str]]:
    """Questions about the first studies that have an image, where the training data come from, and the studies' ids."""
    trained_on = stores_of(card)
    store = StudyStore.open(studies) if studies is not None else next(iter(trained_on), None)
    if store is None:
        raise InputError(
            "the studies that this student was trained on are not at hand; name a study store", field="studies"
        )
    _, asked = adapter.describe(folder)
    seen = ((study, choose(study)) for study in store)
    chosen = [(study, image) for study, image in islice(((s, i) for s, i in seen if i is not None), rows)]
    if not chosen:
        raise InputError("no study here has an image to compare on", file=store.root)
    requests = [Request(open_image(check(store, study, image)), asked.text) for study, image in chosen]
    return requests, tuple(sorted({one.head.source for one in trained_on})), [study.id for study, _ in chosen]


def stores_of(card: RunCard) -> list[StudyStore]:
    """The study stores that a training run used, as far as they are at hand."""
    found = []
    run, studies = card.recipe.get("run"), card.recipe.get("studies") or ()
    try:
        if run:
            for path in runs_of(Path(run)):
                with RunFolder.read(path) as folder:
                    found.append(folder.studies)
        found += [StudyStore.open(path) for path in studies]
    except (InputError, RunError):
        return []
    return found


def _answers(loaded: Loaded, requests: Sequence[Request], limit: int) -> list[Completion]:
    found: list[Completion] = []
    for start in range(0, len(requests), _BATCH):
        found += generate(loaded, requests[start : start + _BATCH], max_new_tokens=limit)
    return found


def _write(loaded: Loaded, folder: Path, student: StudentCard, part: Path, precision: Precision) -> None:
    """Write the merged weights and the processor."""
    import torch
    from peft import PeftModel

    base: Any = loaded.model.unload()
    if student.quantize == "nf4":
        base = base.dequantize()
    whole = PeftModel.from_pretrained(base, folder, is_trainable=False).merge_and_unload()
    whole = whole.to(torch.bfloat16 if precision == "bf16" else torch.float16)
    whole.save_pretrained(part)
    loaded.processor.save_pretrained(part)
    if precision == "nf4":
        del whole, base
        small = load(str(part), None, "nf4", student.whole)
        for file in part.glob("*.safetensors*"):
            file.unlink()
        small.model.save_pretrained(part)


def _within(found: Likeness, precision: Precision, agree: float | None) -> bool:
    if agree is not None:
        return found.top1 >= agree
    return found.top1 >= TOLERANCE[precision].top1 and found.kl <= TOLERANCE[precision].kl


def _same_findings(before: Sequence[Completion], after: Sequence[Completion]) -> float:
    """The share of answers that assert the same of the 14 labels: what a reader would notice."""
    return sum(positive(one.text) == positive(other.text) for one, other in zip(before, after, strict=True)) / len(
        before
    )


def _unlike(found: Likeness, names: Sequence[str], precision: Precision, agree: float | None) -> TrainingError:
    better = {
        "bf16": "--precision fp16 keeps three bits more",
        "nf4": "4 bits round what was learned; fp16, or the adapter on its 4-bit base, does not",
    }
    wanted = TOLERANCE[precision]
    limits = f"{wanted.top1:.0%} and at most {wanted.kl:g} are wanted" if agree is None else f"{agree:.0%} is wanted"
    return TrainingError(
        f"not merged: shown the same answers, adapter and merged weights find the same token likeliest at "
        f"{found.top1:.1%} of {found.tokens:,} tokens, with a divergence of {found.kl:.4f} nats a token ({limits}); "
        f"they differ most for '{names[found.worst]}'. {better.get(precision, 'look at those answers')}, or accept "
        "less with --agree",
        field="agree",
    )
