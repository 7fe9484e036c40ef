"""InternVL: an InternViT tower in front of Qwen; the image is cut into tiles, each of which becomes 256 tokens.

Names are those of transformers' InternVLForConditionalGeneration, so the checkpoint must be one in that form (its name
ends in -hf). Its processor needs torchvision.
"""

from ..student import llava_like

STUDENT = llava_like("internvl")
