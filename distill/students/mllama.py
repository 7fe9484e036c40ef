"""Llama 3.2 Vision: cross-attention layers among the language layers look at the image; one token marks its place.

Names are those of transformers' MllamaForConditionalGeneration. The image token's id lies outside the head's
vocabulary, so it can be read but never be a label.
"""

from ..student import HEAD, Student

STUDENT = Student(
    model_type="mllama",
    parts={
        "vision": "model.vision_model.",
        "projector": "model.multi_modal_projector",
        "language": "model.language_model.",
        "head": HEAD,
    },
)
