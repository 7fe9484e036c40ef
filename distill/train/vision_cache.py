"""Features of a frozen vision tower, computed once for each image and kept on disk between epochs, runs and seeds.

A recipe of ten epochs sends every film through the tower ten times, to the same result. Here each film goes through it
once, alone, as the model is loaded (4-bit or not), and what the projector makes of it is read in every epoch.

    FOLDER/<hash of tower, projector, image processor, precision>/<hash of the image>.safetensors

It is sound where nothing of the tower or the projector learns, nothing in them is drawn at random (dropout), and the
language model sees nothing of an image but these features: Llama 3.2 Vision, Gemma 3 (MedGemma) and Idefics 3. Others
(Qwen's deep features, say) are refused. On a CPU gradients are equal bit for bit with and without it, and tested to be.
The processor still prepares every image at every step; `workers` takes that out of the training process.
"""

import hashlib
import inspect
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...data.files import replacing_bytes
from ...schemas.distill_recipe import DistillRecipe
from ...schemas.errors import TrainingError
from ..load import Loaded, device, half_dtype
from ..student import Part, Student
from .collator import CompletionCollator, TrainingRow

# what the tower is given in addition to pixel_values; the language model has no use for it
_OF_TOWER = ("pixel_values", "pixel_attention_mask", "aspect_ratio_ids", "aspect_ratio_mask")
FAMILIES = ("gemma3", "idefics3", "mllama")
_PARTS: tuple[Part, ...] = ("vision", "projector")
_SPARE = 1.05  # of the forecast, that must be free


def check_sound(recipe: DistillRecipe, model: Any, student: Student) -> None:
    """Raises:
    TrainingError: features of this family, or of this recipe's tower, may not be kept.
    """
    if student.model_type not in FAMILIES:
        raise TrainingError(
            f"features of {student.model_type} are not kept; it is sound for {', '.join(FAMILIES)}; "
            "leave vision_cache out",
            field="vision_cache",
        )
    if student.model_type != "mllama" and "mm_encoder_outputs" not in inspect.signature(model.model.forward).parameters:
        raise TrainingError(
            f"this version of transformers gives {student.model_type} no features in place of images; 5.23 does",
            field="vision_cache",
        )
    learned = [name for name in recipe.lora.whole if student.part_of(name) in _PARTS]
    if learned or "vision" in recipe.lora.parts:
        raise TrainingError(
            "the vision part learns, so its features change with every step; leave vision_cache out",
            field="vision_cache",
        )
    for name, part in _modules(model, student):
        rates = (getattr(part, rate, 0.0) for rate in ("p", "dropout", "attention_dropout"))
        if any(isinstance(rate, float) and rate > 0 for rate in rates):
            raise TrainingError(
                f"'{name}' drops features at random, so they cannot be kept; leave vision_cache out",
                field="vision_cache",
            )


class VisionCache:
    """The features of a loaded model's tower.

    Args:
        folder: where they are kept.
        loaded: the base, before or after adapters are added.
        collate: makes a batch of rows, with pixels.

    Raises:
        TrainingError: the folder cannot be used.
    """

    def __init__(self, folder: Path, loaded: Loaded, collate: CompletionCollator) -> None:
        self._loaded = loaded
        self._collate = collate
        self.folder = folder / _identity(loaded)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(
                f"cannot be made ({error.strerror}); choose another folder", file=folder, field="vision_cache"
            ) from None

    def fill(self, rows: Sequence[TrainingRow], on_progress: Callable[[int, int], object]) -> None:
        """Compute what is missing.

        Raises:
            TrainingError: the disk is too small for it; says how much it takes.
        """
        missing = list({row["image"]: row for row in rows if not self.path_of(row).is_file()}.values())
        for done, row in enumerate(missing):
            features = self._computed(row)
            if done == 0:
                need, free = _SPARE * features.nbytes * len(missing), shutil.disk_usage(self.folder).free
                if need > free:
                    raise TrainingError(
                        f"the features of {len(missing)} images take {need / 1e9:.1f} GB and {free / 1e9:.1f} GB are "
                        "free here; choose another disk, or leave vision_cache out",
                        file=self.folder,
                        field="vision_cache",
                    )
            self._write(row, features)
            on_progress(done + 1, len(missing))

    def size(self, rows: Sequence[TrainingRow]) -> int:
        """Bytes of all features of these rows."""
        return sum(path.stat().st_size for path in {self.path_of(row) for row in rows})

    def path_of(self, row: TrainingRow) -> Path:
        """Where the features of a row's image lie."""
        return self.folder / f"{row['image_sha256']}.safetensors"

    def __call__(self, rows: Sequence[TrainingRow]) -> Mapping[str, Any]:
        """A batch as the collator makes it, with features in place of pixels.

        Raises:
            TrainingError: features are gone or damaged.
        """
        import torch

        batch = {name: value for name, value in self._collate(rows).items() if name not in _OF_TOWER}
        features = torch.cat([self._read(row) for row in rows])
        if self._loaded.student.model_type == "mllama":
            return batch | {"cross_attention_states": features}
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        return batch | {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=features)}}

    def _read(self, row: TrainingRow) -> Any:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self.path_of(row)
        try:
            return load_file(path)["features"]
        except (OSError, SafetensorError, KeyError):
            raise TrainingError(
                f"study '{row['study']}': the features of its image are gone or damaged; remove the file and resume",
                file=path,
            ) from None

    def _write(self, row: TrainingRow, features: Any) -> None:
        from safetensors.torch import save

        with replacing_bytes(self.path_of(row)) as stream:
            stream.write(save({"features": features.contiguous()}))

    def _computed(self, row: TrainingRow) -> Any:
        import torch

        model = self._loaded.model
        batch = self._collate([row])
        given = {name: batch[name].to(model.device) for name in _OF_TOWER if name in batch}
        cuda = device() == "cuda"
        with torch.no_grad(), torch.autocast("cuda" if cuda else "cpu", half_dtype() if cuda else None, enabled=cuda):
            return features_of(model, given).to("cpu", model.dtype)


def features_of(model: Any, given: Mapping[str, Any]) -> Any:
    """What the language model sees of images, of shape (tiles or images, patches, width).

    Args:
        model: the bare model, with weights or on the meta device.
        given: the processor's image inputs.
    """
    import torch

    inner = model.model
    if hasattr(inner, "vision_model") and "aspect_ratio_ids" in given:  # as MllamaModel.forward does
        states = inner.vision_model(**given).last_hidden_state
        return inner.multi_modal_projector(states).reshape(-1, states.shape[-2], inner.hidden_size)
    taken = inspect.signature(inner.get_image_features).parameters
    found = inner.get_image_features(
        **{name: value for name, value in given.items() if name in taken}, return_dict=True
    ).pooler_output
    return torch.cat(list(found)) if isinstance(found, list | tuple) else found


def forecast(model: Any, row: TrainingRow, collate: CompletionCollator, images: int) -> int:
    """Bytes of the features of so many images like a row's, computed on the meta device, in 16 bits on CUDA."""
    import torch

    batch = collate([row])
    with torch.device("meta"), torch.no_grad():
        given = {name: torch.empty_like(batch[name], device="meta") for name in _OF_TOWER if name in batch}
        count: int = features_of(model, given).numel()
    return count * images * (2 if device() == "cuda" else 4)


def _identity(loaded: Loaded) -> str:
    import torch

    digest = hashlib.sha256()
    settings = loaded.processor.image_processor.to_dict()
    digest.update(json.dumps([settings, str(loaded.model.dtype), device()], sort_keys=True, default=str).encode())
    prefixes = _prefixes(loaded.student)
    for name, value in loaded.model.state_dict().items():  # of 4-bit layers their scales as well
        if name.startswith(prefixes):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:24]


def _prefixes(student: Student) -> tuple[str, ...]:
    found = [student.parts[part] for part in _PARTS if part in student.parts]
    each = (one if isinstance(one, tuple) else (one,) for one in found)
    return tuple(prefix.rstrip(".") for some in each for prefix in some)


def _modules(model: Any, student: Student) -> list[tuple[str, Any]]:
    return [(name, module) for name, module in model.named_modules() if name.startswith(_prefixes(student))]
