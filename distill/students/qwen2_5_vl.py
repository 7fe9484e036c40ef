"""Qwen 2.5 VL: a tower of blocks with joint query-key-value layers, and a merger that shrinks what it sees.

Names are those of transformers' Qwen2_5_VLForConditionalGeneration. Its processor needs torchvision.
"""

from ..student import Student

STUDENT = Student(
    model_type="qwen2_5_vl",
    parts={
        "projector": "model.visual.merger",
        "vision": "model.visual.",
        "language": "model.language_model.",
        "head": "lm_head",
    },
)
