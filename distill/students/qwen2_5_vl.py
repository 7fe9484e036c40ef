"""Qwen 2.5 VL: a tower of blocks with joint query-key-value layers, and a merger that shrinks what it sees.

Names are those of transformers' Qwen2_5_VLForConditionalGeneration. Its processor needs torchvision.
"""

from ..student import qwen_like

STUDENT = qwen_like("qwen2_5_vl")
