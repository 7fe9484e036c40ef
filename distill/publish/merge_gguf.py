"""GGUF of merged weights, by the user's own checkout of llama.cpp, for the families that its converter knows.

Which these are is asked of the converter itself, before anything is merged. The one that llama_cpp_python 0.3.36
carries takes Gemma 3, Qwen 2.5 VL and Qwen 3 VL; of Idefics 3 and SmolVLM it converts the vision half alone, and of
InternVL's -hf form nothing. Llama 3.2 Vision has no architecture there: its language layers look at the image through
cross-attention. What it does not take runs on a CPU with transformers: tenstep infer --precision bf16, fp32 or nf4.
"""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ...schemas.errors import TrainingError

LANGUAGE, VISION = "model.gguf", "mmproj.gguf"
TOKENIZER = "tokenizer.model"  # of SentencePiece; transformers does without, and does not save it again
_SENTENCEPIECE = ("gemma3",)  # families whose vocabulary llama.cpp reads from it


def check(model_type: str, architecture: str, script: Path, tokenizer: Path | None) -> None:
    """Whether it can be done; asked before anything is merged.

    Args:
        model_type: the family.
        architecture: the model's class, as config.json has it.
        script: llama.cpp's convert_hf_to_gguf.py.
        tokenizer: the base's tokenizer.model, if it is at hand.

    Raises:
        TrainingError: the converter does not know the family or cannot be run, or a file is missing.
    """
    if model_type == "mllama":
        raise TrainingError(
            "llama.cpp cannot run Llama 3.2 Vision: it has no architecture for its cross-attention layers, and its "
            "converter refuses it; run the merged safetensors instead: tenstep infer --precision nf4, bf16 or fp32",
            field="gguf",
        )
    if not script.is_file():
        raise TrainingError("no converter here; give llama.cpp's convert_hf_to_gguf.py", file=script, field="gguf")
    done = _run(script, ["--print-supported-models"])
    listed = f"{done.stdout}\n{done.stderr}"
    if done.returncode != 0 or "MMPROJ" not in listed:
        raise TrainingError(f"llama.cpp's converter cannot be run: {_last(done)}", file=script, field="gguf")
    halves = dict(zip(("language", "vision"), listed.split("MMPROJ", 1), strict=True))
    if missing := [half for half, names in halves.items() if architecture not in names.split()]:
        raise TrainingError(
            f"this converter does not know the {' and '.join(missing)} half of {architecture}; run the merged "
            "safetensors instead: tenstep infer, or a server such as vLLM",
            file=script,
            field="gguf",
        )
    if model_type in _SENTENCEPIECE and tokenizer is None:
        raise TrainingError(
            f"llama.cpp reads this family's vocabulary from {TOKENIZER}, and the base has none; fetch it "
            "with the rest of the checkpoint",
            field="gguf",
        )


def convert(folder: Path, script: Path, out: Path) -> list[Path]:
    """Write the language model and the vision part, which llama.cpp reads as two files.

    Args:
        folder: merged weights, in 16 bits.
        script: llama.cpp's convert_hf_to_gguf.py; it runs in this interpreter, and needs the package gguf.
        out: where to.

    Returns:
        both files.

    Raises:
        TrainingError: the converter failed; its last line is quoted.
    """
    files = []
    for name, more in ((LANGUAGE, []), (VISION, ["--mmproj"])):
        words = [str(folder), "--outfile", str(out / name), "--outtype", "f16", *more]
        done = _run(script, words)
        if done.returncode != 0 or not (out / name).is_file():
            (out / name).unlink(missing_ok=True)
            raise TrainingError(
                f"llama.cpp's converter failed ({_last(done)}); the merged weights in {folder} are whole; try "
                f"again with: python {shlex.join([str(script), *words])}",
                file=script,
            )
        files.append(out / name)
    return files


def _run(script: Path, words: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    whole = [sys.executable, str(script), *words]
    return subprocess.run(whole, check=False, capture_output=True, text=True)  # noqa: S603  the user's own script


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    """The last line that a script said."""
    return ([line for line in done.stderr.splitlines() if line.strip()] or ["it wrote no file"])[-1][:300]
