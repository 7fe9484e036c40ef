"""Idefics 3, and the first SmolVLM: a SigLIP tower and a connector in front of a Llama; the image is cut into tiles.

Names are those of transformers' Idefics3ForConditionalGeneration.
"""

from ..student import idefics_like

STUDENT = idefics_like("idefics3")
