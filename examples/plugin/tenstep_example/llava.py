"""LLaVA 1.5: a CLIP tower and a projector in front of a Llama. The name is `model_type` in the base's config.json.

`parts` says where the names of each part's modules begin in the bare model; the first that fits counts. With it the
preflight counts what learns, and `lora.parts` and `lora.top_layers` mean what they say. Names are those of
transformers' LlavaForConditionalGeneration; print them with [name for name, _ in model.named_parameters()].
"""

from tenstep.distill.student import Student

STUDENT = Student(
    model_type="llava",
    parts={
        "vision": "model.vision_tower.",
        "projector": "model.multi_modal_projector",
        "language": "model.language_model.",
        "head": "lm_head",
    },
)
