"""Tiny checkpoints of the families whose processors also read videos, and therefore want torchvision.

The chat templates are the published ones, of the instruct checkpoints or of transformers' conversion scripts.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tiny_students import IDEFICS_TEMPLATE, TEXT, VISION, ids_of, save, tokenizer_of

QWEN_TEMPLATE = """\
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' }}
{%- for part in message['content'] %}
{%- if part['type'] == 'image' %}{{- '<|vision_start|><|image_pad|><|vision_end|>' }}
{%- else %}{{- part['text'] }}{%- endif %}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""

LLAVA_TEMPLATE = """\
{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n'}}\
{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}\
{% if message['role'] != 'assistant' %}\
{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] }}{% endfor %}\
{% else %}\
{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}\
{% generation %}{{ content['text'] }}{% endgeneration %}{% endfor %}\
{% endif %}{{'<|im_end|>'}}{% endfor %}\
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

INTERNVL_TEMPLATE = """\
{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n'}}\
{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for content in message['content'] %}\
{% if content['type'] == 'image' %}{{ '<IMG_CONTEXT>\\n' }}\
{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}\
{{'<|im_end|>\\n'}}{% endfor %}\
{% if add_generation_prompt %}{{'<|im_start|>assistant\\n' }}{% endif %}"""

_SIDE = {"height": 64, "width": 64}


def vocabulary(tokenizer: Any) -> int:
    """Rows of the embedding: a multiple of 64, as 4-bit layers on a CPU want it."""
    return -(-len(tokenizer) // 64) * 64


def _qwen_tokens(sentences: Sequence[str]) -> tuple[Any, dict[str, int]]:
    special = ["<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    tokenizer = tokenizer_of(sentences, special, "<|endoftext|>", "<|im_end|>")
    names = {"image": "<|image_pad|>", "video": "<|video_pad|>"}
    names |= {"vision_start": "<|vision_start|>", "vision_end": "<|vision_end|>"}
    return tokenizer, {f"{name}_token_id": tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}


def build_qwen2_5_vl(out: Path, sentences: Sequence[str]) -> None:
    """Qwen 2.5 VL."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer, marks = _qwen_tokens(sentences)
    images = Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=56 * 56)
    processor = Qwen2_5_VLProcessor(images, tokenizer, Qwen2VLVideoProcessor(), chat_template=QWEN_TEMPLATE)
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
    config = Qwen2_5_VLConfig(
        text_config={**TEXT, "vocab_size": vocabulary(tokenizer), "rope_parameters": rope, **ids_of(tokenizer)},
        vision_config={"depth": 1, "hidden_size": 64, "out_hidden_size": 64, "intermediate_size": 128, "num_heads": 4},
        **marks,
    )
    save(Qwen2_5_VLForConditionalGeneration(config), processor, tokenizer, out)


def build_qwen3_vl(out: Path, sentences: Sequence[str]) -> None:
    """Qwen 3 VL, with one DeepStack merger."""
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    tokenizer, marks = _qwen_tokens(sentences)
    images = Qwen2VLImageProcessor(patch_size=16, min_pixels=64 * 64, max_pixels=64 * 64)
    processor = Qwen3VLProcessor(images, tokenizer, Qwen3VLVideoProcessor(), chat_template=QWEN_TEMPLATE)
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2], "mrope_interleaved": True}
    config = Qwen3VLConfig(
        text_config={
            **TEXT,
            "head_dim": 16,
            "vocab_size": vocabulary(tokenizer),
            "rope_parameters": rope,
            **ids_of(tokenizer),
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "out_hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 4,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
        },
        tie_word_embeddings=False,
        **marks,
    )
    save(Qwen3VLForConditionalGeneration(config), processor, tokenizer, out)


def build_internvl(out: Path, sentences: Sequence[str]) -> None:
    """InternVL: four tokens a tile."""
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    named = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    named["video_token"] = "<video>"
    tokenizer = tokenizer_of(sentences, ["<|im_start|>", *named.values()], "<|endoftext|>", "<|im_end|>", **named)
    images = GotOcr2ImageProcessor(size=_SIDE, crop_to_patches=True, max_patches=4)
    processor = InternVLProcessor(
        images, tokenizer, InternVLVideoProcessor(size=_SIDE), image_seq_length=4, chat_template=INTERNVL_TEMPLATE
    )
    config = InternVLConfig(
        text_config={"model_type": "qwen2", **TEXT, "vocab_size": vocabulary(tokenizer), **ids_of(tokenizer)},
        vision_config={**VISION, "image_size": [64, 64], "patch_size": [16, 16]},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        tie_word_embeddings=False,
    )
    save(InternVLForConditionalGeneration(config), processor, tokenizer, out)


def build_llava_onevision(out: Path, sentences: Sequence[str]) -> None:
    """LLaVA-OneVision: sixteen tokens a tile, and a newline token a row."""
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
    )

    tokenizer = tokenizer_of(sentences, ["<|im_start|>", "<image>", "<video>"], "<|endoftext|>", "<|im_end|>")
    grid = [[64, 64], [64, 128], [128, 64], [128, 128]]
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=_SIDE, image_grid_pinpoints=grid),
        tokenizer,
        LlavaOnevisionVideoProcessor(size=_SIDE),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=LLAVA_TEMPLATE,
    )
    config = LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **TEXT, "vocab_size": vocabulary(tokenizer), **ids_of(tokenizer)},
        vision_config={"model_type": "siglip_vision_model", **VISION, "vision_use_head": False},
        image_grid_pinpoints=grid,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<video>"),
        tie_word_embeddings=False,
    )
    save(LlavaOnevisionForConditionalGeneration(config), processor, tokenizer, out)


def build_smolvlm(out: Path, sentences: Sequence[str]) -> None:
    """SmolVLM 2: four tokens a tile."""
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    rows = [f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)]
    special = ["<image>", "<fake_token_around_image>", "<global-img>", "<|im_start|>", *rows]
    tokenizer = tokenizer_of(sentences, special, "<|im_start|>", "<end_of_utterance>")
    images = SmolVLMImageProcessor(size={"longest_edge": 128}, max_image_size={"longest_edge": 64})
    videos = SmolVLMVideoProcessor(
        size={"longest_edge": 64},
        max_image_size={"longest_edge": 64},
        video_sampling={"fps": 1, "max_frames": 2, "video_size": {"longest_edge": 64}},
    )
    processor = SmolVLMProcessor(images, tokenizer, videos, image_seq_len=4, chat_template=IDEFICS_TEMPLATE)
    config = SmolVLMConfig(
        text_config={"model_type": "llama", **TEXT, "vocab_size": vocabulary(tokenizer), **ids_of(tokenizer)},
        vision_config=VISION,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    save(SmolVLMForConditionalGeneration(config), processor, tokenizer, out)


WITH_VIDEO: dict[str, Callable[[Path, Sequence[str]], None]] = {
    "internvl": build_internvl,
    "llava_onevision": build_llava_onevision,
    "qwen2_5_vl": build_qwen2_5_vl,
    "qwen3_vl": build_qwen3_vl,
    "smolvlm": build_smolvlm,
}
