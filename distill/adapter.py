"""The folder of a trained student: everything that sampling needs in addition to the base, and no training data.

adapter_model.safetensors, adapter_config.json     what was learned (peft's format)
processor and tokenizer files                      as the base had them
prompt.yaml                                        the instruction it was trained with
student.json                                       which base, which hashes, how it was quantized
"""

import hashlib
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from ..data.files import replacing_folder
from ..schemas.base import Record, Sha256
from ..schemas.errors import InputError, TrainingError, why
from . import prompt as prompts
from . import written
from .load import Loaded, fingerprint, load, sha256_of
from .prompt import Prompt

WEIGHTS = "adapter_model.safetensors"
CARD = "student.json"


class StudentCard(Record):
    """Who the student is."""

    name: str
    base: str = Field(description="As the recipe names it.")
    base_path: str = Field(description="Folder or hub name; a relative folder is relative to this one.")
    revision: str | None = None
    base_sha256: Sha256
    adapter_sha256: Sha256 = Field(description="Of adapter_model.safetensors.")
    recipe_sha256: Sha256
    quantize: Literal["nf4", "none"]
    whole: tuple[str, ...] = Field((), description="Modules that were trained in full.")
    max_new_tokens: int = Field(ge=1)
    files: Mapping[str, Sha256] = Field({}, description="Of the other files; none in folders of earlier versions.")

    @property
    def sha256(self) -> str:
        """Of base and adapter together: the identity of the student's weights."""
        return hashlib.sha256(f"{self.base_sha256}{self.adapter_sha256}{self.quantize}".encode()).hexdigest()

    @property
    def model(self) -> str:
        """What candidates call it: its base and adapter."""
        return f"{self.base}+{self.adapter_sha256[:12]}"


def save(model: Any, processor: Any, folder: Path, *, prompt: Path, **fields: Any) -> StudentCard:
    """Write the folder; it appears under its name only when it is whole.

    Args:
        model: the trained model with its adapter.
        processor: the base's.
        folder: where to.
        prompt: file of the prompt.
        fields: the other fields of StudentCard.
    """
    with replacing_folder(folder) as part:
        model.save_pretrained(part)
        (part / "README.md").unlink(missing_ok=True)  # a form of peft's with nothing filled in
        processor.save_pretrained(part)
        shutil.copyfile(prompt, part / prompts.FILE)
        card = StudentCard(adapter_sha256=sha256_of(part / WEIGHTS), files=written.hashes(part), **fields)
        (part / CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return card


def find(folder: Path) -> Path:
    """The adapter's folder, given it or the training run that holds it.

    Raises:
        InputError: there is no trained student.
    """
    for place in (folder, folder / "adapter"):
        if (place / CARD).is_file():
            return place
    raise InputError("there is no trained student here; train one with: tenstep distill", file=folder)


def describe(folder: Path) -> tuple[StudentCard, Prompt]:
    """Read the student's card and its prompt.

    Raises:
        InputError: the card is damaged, or a file is not as it was written.
    """
    try:
        card = StudentCard.model_validate_json((folder / CARD).read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"damaged ({why(error)}); restore it from a copy", file=folder / CARD) from None
    written.check(folder, card.files, "restore it from a copy")
    return card, prompts.read(folder / prompts.FILE)


def base_of(folder: Path, card: StudentCard) -> str:
    """The folder or hub name of an adapter's base."""
    return str((folder / card.base_path).resolve()) if card.base_path.startswith("..") else card.base_path


def base_file(folder: Path, card: StudentCard, name: str) -> Path | None:
    """A file of an adapter's base, from its folder or the hub's local cache; none if it is not there."""
    from huggingface_hub import try_to_load_from_cache

    base = base_of(folder, card)
    if Path(base).is_dir():
        found: object = Path(base) / name
    else:
        found = try_to_load_from_cache(base, name, revision=card.revision)
    return Path(found) if isinstance(found, str | Path) and Path(found).is_file() else None


def check_weights(folder: Path, card: StudentCard) -> None:
    """Raises:
    TrainingError: the adapter's weights are others than the card's.
    """
    if sha256_of(folder / WEIGHTS) != card.adapter_sha256:
        raise TrainingError(
            "the adapter's weights are not those that were trained here; restore them from a copy",
            file=folder / WEIGHTS,
        )


def load_student(folder: Path, card: StudentCard, local_rank: int = 0) -> Loaded:
    """The base with its adapter, ready to sample.

    Raises:
        TrainingError: base or adapter are not those that belong together.
    """
    from peft import PeftModel

    check_weights(folder, card)
    base = base_of(folder, card)
    if fingerprint(base, card.revision) != card.base_sha256:
        raise TrainingError(
            "the base is not there, or not the one that the adapter was trained on; put it back there", file=base
        )
    loaded = load(base, card.revision, card.quantize, card.whole, local_rank=local_rank)
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of missing keys: counted below
            model = PeftModel.from_pretrained(loaded.model, folder, is_trainable=False).eval()
    except (ValueError, RuntimeError, KeyError, TypeError, OSError) as error:
        line = " ".join(str(error).split())[:300]
        raise TrainingError(
            f"the adapter does not fit its base, a {loaded.student.model_type} ({line})", file=folder
        ) from None
    _check_places(model, folder, loaded.student.model_type)
    return Loaded(model, loaded.processor, loaded.student)


def _check_places(model: Any, folder: Path, family: str) -> None:
    """Every weight of the file has its place in the model, and every place its weight; peft ignores the former."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, "np") as file:
        stored = set(file.keys())
    if other := sorted(stored ^ get_peft_model_state_dict(model, save_embedding_layers=False).keys()):
        raise TrainingError(
            f"the adapter does not fit its base, a {family}: {len(other)} weights are on one side only (the first is "
            f"'{other[0]}'); its files are of different students",
            file=folder,
        )
