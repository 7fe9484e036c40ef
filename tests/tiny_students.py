"""Tiny checkpoints of other families, real classes with random weights; each takes well under a second."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tenstep.distill.libraries import quiet
from tenstep.distill.shape import processor_of
from tenstep.schemas.errors import MissingExtraError

GEMMA_TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
{{- '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' }}
{%- for part in message['content'] %}
{%- if part['type'] == 'image' %}{{- '<start_of_image>' }}{%- else %}{{- part['text'] }}{%- endif %}
{%- endfor %}
{{- '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<start_of_turn>model\\n' }}{%- endif %}"""

IDEFICS_TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
{{- message['role'] | capitalize }}{{- ':' if message['content'][0]['type'] == 'image' else ': ' }}
{%- for part in message['content'] %}
{%- if part['type'] == 'image' %}{{- '<image>' }}{%- else %}{{- part['text'] }}{%- endif %}
{%- endfor %}
{{- '<end_of_utterance>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- 'Assistant:' }}{%- endif %}"""

TEXT: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}
VISION: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "image_size": 64,
    "patch_size": 16,
}


def tokenizer_of(sentences: Sequence[str], special: Sequence[str], bos: str, eos: str, **named: str) -> Any:
    """A byte-level tokenizer; `named` are attributes for further special tokens, e.g. image_token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe.train_from_iterator(
        sentences, trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False)
    )
    bpe.add_special_tokens(["<pad>", bos, eos, *special])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=bos,
        eos_token=eos,
        pad_token="<pad>",
        extra_special_tokens=named,
        clean_up_tokenization_spaces=False,
    )


def build_gemma3(out: Path, sentences: Sequence[str]) -> None:
    """Gemma 3, the class of MedGemma."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3Processor

    try:
        from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil as Images
    except ImportError:
        from transformers import Gemma3ImageProcessor as Images
    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer = tokenizer_of(sentences, ["<start_of_turn>", *named.values()], "<bos>", "<end_of_turn>", **named)
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in named.items()}
    text = {
        **TEXT,
        "vocab_size": -(-len(tokenizer) // 64) * 64,
        "head_dim": 16,
        "sliding_window": 512,
        **ids_of(tokenizer),
    }
    config = Gemma3Config(
        text_config=text,
        vision_config=VISION | {"vision_use_head": False},
        mm_tokens_per_image=4,
        boi_token_index=ids["boi_token"],
        eoi_token_index=ids["eoi_token"],
        image_token_index=ids["image_token"],
    )
    images = Images(size={"height": 64, "width": 64})
    processor = Gemma3Processor(images, tokenizer, chat_template=GEMMA_TEMPLATE, image_seq_length=4)
    save(Gemma3ForConditionalGeneration(config), processor, tokenizer, out)
    _as_on_the_hub(out / "model.safetensors")
    (out / "tokenizer.model").write_bytes(b"of SentencePiece")  # transformers does not read it


def _as_on_the_hub(file: Path) -> None:
    """Give Gemma's weights the names that published checkpoints and llama.cpp's converter use."""
    from safetensors.torch import load_file, save_file

    weights = load_file(file)
    named = {name.replace("vision_tower.", "vision_tower.vision_model."): weight for name, weight in weights.items()}
    save_file(named, file, metadata={"format": "pt"})


def build_idefics3(out: Path, sentences: Sequence[str]) -> None:
    """Idefics 3, without cutting into tiles."""
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor

    try:
        from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil as Images
    except ImportError:
        from transformers import Idefics3ImageProcessor as Images
    special = ["<image>", "<fake_token_around_image>", "<global-img>"]
    tokenizer = tokenizer_of(sentences, special, "<|begin_of_text|>", "<end_of_utterance>")
    images = Images(size={"longest_edge": 64}, max_image_size={"longest_edge": 64}, do_image_splitting=False)
    processor = Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=IDEFICS_TEMPLATE)
    vocabulary = -(-len(tokenizer) // 64) * 64
    config = Idefics3Config(
        text_config={"model_type": "llama", **TEXT, "vocab_size": vocabulary, **ids_of(tokenizer)},
        vision_config=VISION,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    save(Idefics3ForConditionalGeneration(config), processor, tokenizer, out)


BUILDERS: dict[str, Callable[[Path, Sequence[str]], None]] = {"gemma3": build_gemma3, "idefics3": build_idefics3}


def base_of(family: str, tiny: str, folder: Path, sentences: Sequence[str]) -> str:
    """The base of a family: `tiny`, which is an mllama, or a new one. Where it cannot be read the test is skipped."""
    if family == "mllama":
        return tiny
    BUILDERS[family](folder, sentences)
    try:
        with quiet():
            processor_of(str(folder), None)
    except MissingExtraError:  # Idefics 3 in the older tested set
        pytest.skip("these libraries read this family's images with torchvision only")
    return str(folder)


_CONVERTER = """
import pathlib, sys
if "--print-supported-models" in sys.argv:
    print("TEXT models:\\n  - Gemma3ForConditionalGeneration")
    print("MMPROJ models:\\n  - Gemma3ForConditionalGeneration\\n  - SmolVLMForConditionalGeneration")
    sys.exit()
folder, out = sys.argv[1], sys.argv[sys.argv.index("--outfile") + 1]
if not pathlib.Path(folder, "config.json").exists():
    sys.exit("ERROR: no config")
pathlib.Path(out).write_text("vision" if "--mmproj" in sys.argv else "language")
"""


def write_converter(script: Path) -> None:
    """What behaves as llama.cpp's convert_hf_to_gguf.py does, and converts nothing."""
    script.write_text(_CONVERTER)


def ids_of(tokenizer: Any) -> dict[str, int]:
    """The ids of its special tokens, for a text model's config."""
    return {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}


def save(model: Any, processor: Any, tokenizer: Any, out: Path) -> None:
    """Write a checkpoint's folder."""
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(out)
    processor.save_pretrained(out)
