"""SmolVLM 2: Idefics 3 at a smaller size, with videos.

Names are those of transformers' SmolVLMForConditionalGeneration. Its processor needs torchvision and num2words.
"""

from ..student import idefics_like

STUDENT = idefics_like("smolvlm")
