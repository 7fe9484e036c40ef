"""Whether a student's folder is as it was written: its small files, by their hashes.

They decide what it answers as weights do: the scale of an adapter, the prompt, the chat template. Weights have hashes
of their own. What people may add or change is left out: README.md, the run card, GGUF. Folders of earlier versions
list no files.
"""

from collections.abc import Mapping
from pathlib import Path

from ..schemas.errors import InputError
from .load import sha256_of

_OTHERS = (".safetensors", ".gguf", "README.md", "run_card.json")


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each small file, by name."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.endswith(_OTHERS))
    return {file.name: sha256_of(file) for file in files}


def check(folder: Path, files: Mapping[str, str], remedy: str) -> None:
    """Raises:
    InputError: one of these files is missing or changed.
    """
    for name, sha256 in files.items():
        file = folder / name
        if not file.is_file():
            raise InputError(f"is missing; {remedy}", file=file)
        if sha256_of(file) != sha256:
            raise InputError(f"is not as it was written; {remedy}", file=file)
