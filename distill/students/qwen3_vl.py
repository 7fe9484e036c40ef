"""Qwen 3 VL: as Qwen 2.5 VL, with further mergers (DeepStack) that add what lower blocks see to the first layers.

Names are those of transformers' Qwen3VLForConditionalGeneration. Its processor needs torchvision. An image keeps its
size up to 16.8 million pixels, and a film of 2,500 x 3,000 is more than 7,000 tokens: ingest with --longest-side.
"""

from ..student import qwen_like

STUDENT = qwen_like("qwen3_vl")
