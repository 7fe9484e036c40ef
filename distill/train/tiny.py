"""A tiny Llama 3.2 Vision: the real classes, processor and quirks, a few hundred thousand weights, built offline.

What is kept of the 11B model: the image token's id equals the number of the head's rows (it can be read, never
predicted), the embedding has eight rows more than the head, the tokenizer's post-processor adds a second BOS unless
add_special_tokens is off, and layers with cross-attention lie among the language layers. What is not: the
cross-attention gates are opened here, because transformers initializes them to zero, and a student would be blind
until they had moved.

Widths are multiples of 64, which 4-bit layers need on some CPUs. Same seed and sentences, same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IMAGE = "<|image|>"
_BOS, _EOT, _PAD, _END = "<|begin_of_text|>", "<|eot_id|>", "<|finetune_right_pad_id|>", "<|end_of_text|>"
_SPECIAL = (_BOS, _END, _PAD, "<|step_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", _EOT)

# How Llama 3 cuts text before merging: line breaks in a row are one piece, with the mark before them.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# The shape of Llama 3.2's chat: header, two line breaks, content, end of turn.
TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
{%- if message['content'] is string %}{{- message['content'] }}{%- else %}
{%- for part in message['content'] %}
{%- if part['type'] == 'image' %}{{- '<|image|>' }}{%- elif part['type'] == 'text' %}{{- part['text'] }}{%- endif %}
{%- endfor %}{%- endif %}
{{- '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"""


@dataclass(frozen=True)
class TinyShape:
    """How tiny. Image and patch are in pixels; the rest counts units."""

    hidden: int = 128
    feed_forward: int = 256
    layers: int = 3
    cross: tuple[int, ...] = (1,)
    heads: int = 4
    key_value_heads: int = 2
    image: int = 64
    patch: int = 16
    vision_hidden: int = 64
    vision_layers: int = 1
    vocabulary: int = 768


SHAPE = TinyShape()


def build(out: Path, sentences: Sequence[str], *, shape: TinyShape = SHAPE, seed: int = 0) -> None:
    """Write an untrained checkpoint and its processor.

    Args:
        out: the folder.
        sentences: what the tokenizer learns its merges from.
        shape: sizes.
        seed: of the weights.
    """
    import torch
    from transformers import MllamaForConditionalGeneration, MllamaProcessor

    torch.manual_seed(seed)
    tokenizer, rows = _tokenizer(sentences, shape)
    model: Any = MllamaForConditionalGeneration(_config(tokenizer, rows, shape))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("cross_attn_attn_gate", "cross_attn_mlp_gate")):
                weight.fill_(0.5)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(_END)]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    images = _image_processor()(size={"height": shape.image, "width": shape.image}, max_image_tiles=1)
    processor: Any = MllamaProcessor(image_processor=images, tokenizer=tokenizer, chat_template=TEMPLATE)
    model.save_pretrained(out)
    processor.save_pretrained(out)


def _tokenizer(sentences: Sequence[str], shape: TinyShape) -> tuple[Any, int]:
    """A byte-level BPE tokenizer, and the rows of the head: every token but the image's."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_WORDS), behavior="isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_])
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=shape.vocabulary, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(sentences, trainer)
    bpe.add_special_tokens(list(_SPECIAL))
    rows = bpe.get_vocab_size()
    bpe.add_special_tokens([IMAGE])
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{_BOS} $A", special_tokens=[(_BOS, bpe.token_to_id(_BOS))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=_BOS,
        eos_token=_EOT,
        pad_token=_PAD,
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )
    return tokenizer, rows


def _config(tokenizer: Any, rows: int, shape: TinyShape) -> Any:
    from transformers import MllamaConfig
    from transformers.models.mllama.configuration_mllama import MllamaTextConfig, MllamaVisionConfig

    vision = MllamaVisionConfig(
        hidden_size=shape.vision_hidden,
        num_hidden_layers=shape.vision_layers,
        num_global_layers=1,
        attention_heads=4,
        intermediate_size=2 * shape.vision_hidden,
        vision_output_dim=2 * shape.vision_hidden,  # the last layer's output and one intermediate layer's
        intermediate_layers_indices=[0],
        image_size=shape.image,
        patch_size=shape.patch,
        max_num_tiles=1,
        supported_aspect_ratios=[[1, 1]],
    )
    text = MllamaTextConfig(
        vocab_size=rows,
        hidden_size=shape.hidden,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        cross_attention_layers=list(shape.cross),
        max_position_embeddings=4096,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )
    assert tokenizer.convert_tokens_to_ids(IMAGE) == rows
    return MllamaConfig(vision_config=vision, text_config=text, image_token_index=rows)


def _image_processor() -> Any:
    """The class that a checkpoint's own processor loads as, with or without torchvision."""
    try:
        from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil
    except ImportError:
        from transformers import MllamaImageProcessor

        return MllamaImageProcessor
    return MllamaImageProcessorPil
