"""Idefics 3: a SigLIP tower and a connector in front of a Llama; large images are cut into tiles.

Names are those of transformers' Idefics3ForConditionalGeneration.
"""

from ..student import Student

STUDENT = Student(
    model_type="idefics3",
    parts={
        "vision": "model.vision_model.",
        "projector": "model.connector",
        "language": "model.text_model.",
        "head": "lm_head",
    },
)
