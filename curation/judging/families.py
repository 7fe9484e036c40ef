"""Families: whose model a model is, so that no family judges itself. An unknown model is a family of its own."""

import re

_FAMILIES = {
    "openai": r"gpt|chatgpt|o[1-9](?:-|$)|davinci",
    "anthropic": r"claude",
    "google": r"gemini|gemma|medgemma|palm",
    "meta": r"llama",
    "qwen": r"qwen|qvq|qwq",
    "mistral": r"mistral|mixtral|pixtral|magistral|ministral",
    "deepseek": r"deepseek",
    "microsoft": r"phi-?[0-9]|llava-med",
    "huggingface": r"smollm|smolvlm|idefics",
}
_KNOWN = {family: re.compile(rf"(?:^|[/_-])(?:{names})", re.I) for family, names in _FAMILIES.items()}


def family_of(provider: str, model: str) -> str:
    """The family of a model, by its name; without a model, as for a script, its provider's name.

    A fine-tuned model is of the family that its name names first after its owner's ("lab/llama-3-chest": meta).
    """
    found = [(match.start(), family) for family, names in _KNOWN.items() if (match := names.search(model))]
    if found:
        return min(found)[1]
    return provider if model in ("", "none") else model.rsplit("/", 1)[-1].lower()
