"""GGUF of merged weights, by the user's own checkout of llama.cpp, for the families that it knows.

Llama 3.2 Vision is not among them: its language layers look at the image through cross-attention, for which llama.cpp
has no architecture: its converter says "Model MllamaForConditionalGeneration is not supported" (tried with the one
that llama_cpp_python 0.3.36 carries). A student of that family runs on a CPU with transformers:
tenstep infer --precision bf16, fp32 or nf4.
"""

import subprocess
import sys
from pathlib import Path

from ...schemas.errors import TrainingError

KNOWN = ("gemma3", "idefics3", "smolvlm", "qwen2_5_vl", "qwen3_vl")
LANGUAGE, VISION = "model.gguf", "mmproj.gguf"


def check(model_type: str, script: Path) -> None:
    """Whether it can be done; asked before anything is merged.

    Raises:
        TrainingError: llama.cpp does not know the family, or the script is not there.
    """
    if model_type == "mllama":
        raise TrainingError(
            "llama.cpp cannot run Llama 3.2 Vision: it has no architecture for its cross-attention layers, and its "
            "converter refuses it; run the merged safetensors instead: tenstep infer --precision nf4, bf16 or fp32",
            field="gguf",
        )
    if model_type not in KNOWN:
        raise TrainingError(
            f"llama.cpp is not known to support {model_type}; it does: {', '.join(KNOWN)}", field="gguf"
        )
    if not script.is_file():
        raise TrainingError("no converter here; give llama.cpp's convert_hf_to_gguf.py", file=script, field="gguf")


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
        words = [sys.executable, str(script), str(folder), "--outfile", str(out / name), "--outtype", "f16", *more]
        done = subprocess.run(words, check=False, capture_output=True, text=True)  # noqa: S603  the user's own script
        if done.returncode != 0 or not (out / name).is_file():
            last = ([line for line in done.stderr.splitlines() if line.strip()] or ["it wrote no file"])[-1]
            raise TrainingError(f"llama.cpp's converter failed: {last[:300]}", file=script)
        files.append(out / name)
    return files
