"""Loads a student: 4-bit where asked, on the device at hand. Only safetensors, and never a checkpoint's own code.

On a CPU everything but the 4-bit weights is float32, on CUDA bfloat16, or float16 where the card has no bfloat16.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..schemas.errors import InputError, TrainingError, why
from .chat import prompt_text
from .shape import no_processor
from .student import HEAD, Student, student_of

_COMMIT = re.compile(r"[0-9a-f]{40}")
_TINY = 20_000_000  # weights; below, more than one thread makes a step slower, and on a busy machine far slower
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True)
class Loaded:
    """A model on its device, its processor, and the family it belongs to."""

    model: Any
    processor: Any
    student: Student

    def placed(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A batch on the model's device, what is no integer in the model's precision."""
        dtype = self.model.dtype
        return {
            name: value.to(self.model.device, dtype if value.is_floating_point() else None)
            for name, value in batch.items()
        }


def device() -> Literal["cuda", "cpu"]:
    """Where models go."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def half_dtype() -> Any:
    """The 16-bit type of this CUDA card: bfloat16, or float16 on cards that have none (T4, V100)."""
    import torch

    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def load(
    base: str,
    revision: str | None,
    quantize: Literal["nf4", "none"],
    whole: Sequence[str] = (),
    *,
    local_rank: int = 0,
) -> Loaded:
    """Load a checkpoint and its processor.

    Args:
        base: a folder, or a hub name.
        revision: the commit of a hub checkpoint.
        quantize: nf4 (with double quantization) or none.
        whole: modules that stay as they are, because they are trained in full; the head always does.
        local_rank: which CUDA device of several.

    Raises:
        InputError: there is no such folder.
        TrainingError: it holds pickles, has no pinned revision, is of an unknown family, is damaged or incomplete, or
            has a processor of another model.
    """
    import torch
    from transformers import AutoProcessor, BitsAndBytesConfig

    student = pinned_student(base, revision)
    pinned = {"revision": revision, "trust_remote_code": False}
    try:
        processor = AutoProcessor.from_pretrained(base, **pinned)
    except (OSError, ValueError, ImportError) as error:
        raise no_processor(error, base) from None
    where = device()
    dtype = half_dtype() if where == "cuda" else torch.float32
    four_bit = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=[HEAD, *whole],  # for 4-bit weights too, whatever its name says
    )
    model = read_weights(
        base,
        revision=revision,
        dtype=dtype,
        quantization_config=four_bit if quantize == "nf4" else None,
        device_map={"": local_rank if where == "cuda" else where},
    )
    check_processor(processor, model, base)
    if where == "cpu":
        _keep_trainable(model)
        if model.num_parameters() < _TINY:
            torch.set_num_threads(1)
    return Loaded(model, processor, student)


def read_weights(base: str, **settings: Any) -> Any:
    """Read a model, every weight of it: transformers would fill what a file lacks with random numbers.

    Args:
        base: a folder, or a hub name.
        settings: for `from_pretrained`.

    Raises:
        TrainingError: weights are missing, damaged, or of another shape than the config says.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForImageTextToText

    again = "the checkpoint is damaged or incomplete; fetch it again"
    try:
        model, info = AutoModelForImageTextToText.from_pretrained(
            base, trust_remote_code=False, use_safetensors=True, output_loading_info=True, **settings
        )
    except torch.OutOfMemoryError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        line = " ".join(str(error).split())[:300]
        raise TrainingError(f"{again} ({line})", file=base, field="base") from None
    absent = sorted(info["missing_keys"])
    wrong = sorted(str(one[0]) for one in info["mismatched_keys"]) or _misshapen(model)
    if absent or wrong:
        what = f"{len(absent)} weights are missing" if absent else f"{len(wrong)} weights have another shape"
        raise TrainingError(f"{again} ({what}, the first is '{(absent or wrong)[0]}')", file=base, field="base")
    return model


def _misshapen(model: Any) -> list[str]:
    """4-bit layers whose weights have another shape than the layer; transformers does not compare these."""
    return [
        name
        for name, part in model.named_modules()
        if (state := getattr(getattr(part, "weight", None), "quant_state", None)) is not None
        and tuple(state.shape) != (part.out_features, part.in_features)
    ]


def pinned_student(base: str, revision: str | None) -> Student:
    """The family of a checkpoint that may be loaded.

    Raises:
        InputError, TrainingError: it may not; see `load`.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    _check(base, revision)
    try:
        config = AutoConfig.from_pretrained(base, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, StrictDataclassError) as error:
        raise TrainingError(
            f"the checkpoint's config cannot be read ({why(error)}); fetch the checkpoint again",
            file=base,
            field="base",
        ) from None
    return student_of(config.model_type)


def fingerprint(base: str, revision: str | None) -> str:
    """SHA-256 of everything in a checkpoint that decides what it answers; of name and commit for one on the hub."""
    folder = Path(base)
    if not folder.is_dir():
        return hashlib.sha256(f"{base}@{revision}".encode()).hexdigest()
    files = sorted(file for pattern in ("*.safetensors", "*.json", "*.jinja") for file in folder.glob(pattern))
    return hashlib.sha256(json.dumps([[file.name, sha256_of(file)] for file in files]).encode()).hexdigest()


def sha256_of(file: Path) -> str:
    """Of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check(base: str, revision: str | None) -> None:
    folder = Path(base)
    if folder.is_dir():
        if not any(folder.glob("*.safetensors")):
            found = next((file.name for pattern in _PICKLES for file in folder.glob(pattern)), None)
            why = f"'{found}' is a pickle, which can run code; convert it" if found else "there are no weights here"
            raise TrainingError(f"only safetensors are loaded: {why}", file=folder)
    elif base.count("/") != 1 or base.startswith((".", "/", "~")):
        raise InputError("there is no such checkpoint folder; check the name", file=base, field="base")
    elif revision is None or not _COMMIT.fullmatch(revision):
        raise TrainingError(
            f"'{base}' is no folder; to load it from the hub, pin its commit (40 hex digits) as revision",
            field="revision",
        )


def check_processor(processor: Any, model: Any, base: str) -> None:
    """The processor must put the image where this model looks for it, and know no token that it does not have."""
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None or getattr(processor, "image_processor", None) is None:
        raise TrainingError(
            f"its processor ({type(processor).__name__}) reads no images, so it is another one's; "
            "fetch the checkpoint again",
            file=base,
        )
    config = model.config
    place = getattr(config, "image_token_id", None) or getattr(config, "image_token_index", None)
    # Gemma 3's processor has the mark that text is written with, its tokenizer the one that the model sees
    found = (getattr(part, "image_token_id", None) for part in (processor, tokenizer))
    marks = {int(mark) for mark in found if mark is not None}
    rows = model.get_input_embeddings().num_embeddings
    if place is not None and marks and place not in marks:
        message = f"its processor marks images with token {max(marks)}, the model looks for {place}"
        raise TrainingError(message, file=base)
    if len(tokenizer) > rows:
        raise TrainingError(
            f"its tokenizer has {len(tokenizer)} tokens, the model {rows}, so it is another one's; "
            "fetch the checkpoint again",
            file=base,
        )
    if processor.chat_template is None:
        raise TrainingError("its processor has no chat template; is it a base model? choose an instruct one", file=base)
    try:
        prompt_text(processor, "Report this radiograph.")
    except Exception as error:  # noqa: BLE001  a template is a program, and raises whatever it likes
        raise TrainingError(
            f"its chat template cannot be used ({why(error)}); fetch the checkpoint again", file=base
        ) from None


def _keep_trainable(model: Any) -> None:
    """Keep bitsandbytes from repacking 4-bit weights at the first evaluation: training would then get no gradients.

    It does so in place on CPUs with AVX512-BF16 only, so that the fault is not seen elsewhere (bitsandbytes 0.50).
    """
    import bitsandbytes

    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False
