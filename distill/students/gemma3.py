"""Gemma 3, and MedGemma on top of it: a SigLIP tower whose pooled patches stand among the text's tokens.

Names are those of transformers' Gemma3ForConditionalGeneration. The head is the embedding, so it is part of language
and cannot be trained in full on its own.
"""

from ..student import llava_like

STUDENT = llava_like("gemma3")
