"""Families: whose model a model is, so that no family judges itself. An unknown model is a family of its own."""

import re
from collections.abc import Iterable

from ...schemas.errors import RecipeError
from ..teacher import Teacher

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


def check_family(model: Teacher, what: str, written_by: Iterable[tuple[str, str]], field: str) -> None:
    """Refuse a judge or a verifier that would read traces of its own family.

    Args:
        model: who would read them.
        what: what an error calls it.
        written_by: (provider or teacher, model) of whoever wrote or writes the traces.
        field: the key of the recipe that names it.

    Raises:
        RecipeError: it is of an author's family.
    """
    family = family_of(str(model.identity().get("provider", "")), model.model)
    if family in {family_of(provider, name) for provider, name in written_by}:
        raise RecipeError(
            f"{what} is of the family '{family}', which writes the traces; models favour their own. Take a model of "
            "another family, or say same_family: true",
            field=field,
        )
