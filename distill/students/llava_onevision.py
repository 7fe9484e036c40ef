"""LLaVA-OneVision: a SigLIP tower in front of Qwen 2; the image is cut into tiles, of which the patches are all kept.

Names are those of transformers' LlavaOnevisionForConditionalGeneration. Its processor needs torchvision.
"""

from ..student import llava_like

STUDENT = llava_like("llava_onevision")
