"""How a prompt and a target become text: the checkpoint's own chat template, one image, one turn each.

A conversation must begin with exactly the text that sampling will send (prefix stability), or the student would be
trained behind another prompt than it is asked with. It knows no tokens.
"""

from typing import Any

from ..schemas.errors import TrainingError


def prompt_text(processor: Any, prompt: str) -> str:
    """What is sent when sampling: image, instruction, and the header of the answer."""
    return str(processor.apply_chat_template(_turns(prompt), add_generation_prompt=True))


def conversation(processor: Any, prompt: str, target: str) -> tuple[str, str]:
    """What is trained on.

    Returns:
        the prompt's text, and what follows it: the target and the end of the turn.

    Raises:
        TrainingError: the template is not prefix-stable, or does not leave the target as it is.
    """
    head = prompt_text(processor, prompt)
    answer = {"role": "assistant", "content": [{"type": "text", "text": target}]}
    whole = str(processor.apply_chat_template([*_turns(prompt), answer]))
    if not whole.startswith(head):
        raise TrainingError("the chat template changes the prompt once an answer follows it; give it another template")
    completion = whole[len(head) :]
    if not completion.removeprefix(" ").startswith(target):  # Idefics 3 puts a space behind the role
        raise TrainingError("the chat template changes the target's text; give it another template")
    return head, completion


def _turns(prompt: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]
