"""Unwrapping: the answer without what a server puts around it that has no parser for it: thinking, one code fence.

Pure, and linear in the text's length. What stands inside steps, or around an answer in any other way, is left where it
is, for the rules to see.
"""

import re
from typing import NamedTuple

_NAMES = "think|thinking|thoughts?|reasoning|reflection|analysis|scratchpad|seed:think"
# A block that opens the text: tags of most models, Magistral's brackets, Kimi's triangles, Harmony's channels.
_BLOCKS = (
    re.compile(rf"\s*<(?P<name>{_NAMES})>(?P<inside>.*?)</(?P=name)>", re.S | re.I),
    re.compile(r"\s*\[THINK\](?P<inside>.*?)\[/THINK\]", re.S),
    re.compile(r"\s*◁think▷(?P<inside>.*?)◁/think▷", re.S),
    re.compile(r"\s*<\|channel\|>analysis[^<]{0,40}<\|message\|>(?P<inside>.*?)<\|end\|>", re.S),
)
# The end of thinking whose opening stood in the chat template, and so is not in the answer.
_END = re.compile(rf"</(?:{_NAMES})>|\[/THINK\]|◁/think▷", re.I)
_FINAL = re.compile(r"\s*(?:<\|start\|>assistant)?<\|channel\|>final[^<]{0,40}<\|message\|>")
_ANSWER = re.compile(r"\s*(?:[{`~]|<\\?<|<answer>|[#*_ ]{0,4}(?:step[ \t]{1,4})?1\b)", re.I)
_OPENING = re.compile(r"(`{3,}|~{3,})[ \t]*[\w.+-]{0,20}[ \t]*\r?\n")


class Unwrapped(NamedTuple):
    """An answer and the thinking that stood before it."""

    text: str
    thinking: str


def unwrap(text: str) -> Unwrapped:
    """Take a leading think block, or thinking up to a bare end of it, off an answer; then one code fence around it.

    Args:
        text: as it came. Thinking without an opening is only taken off before what can be an answer: an object,
            a fence, a tag or step 1.
    """
    thoughts, at = [], 0
    while block := next((found for pattern in _BLOCKS if (found := pattern.match(text, at))), None):
        thoughts.append(block["inside"].strip())
        at = block.end()
    if not thoughts and (end := _END.search(text)) and _ANSWER.match(text, end.end()):
        thoughts.append(text[: end.start()].strip())
        at = end.end()
    if final := _FINAL.match(text, at):
        at = final.end()
    rest = text[at:].strip()
    if final:
        rest = rest.removesuffix("<|return|>").removesuffix("<|end|>")
    if thoughts and rest[:8].lower() == "<answer>" and rest[-9:].lower() == "</answer>":
        rest = rest[8:-9].strip()
    if (inside := _fenced(rest)) is not None:
        rest = inside.strip()
    elif not at:
        rest = text  # untouched
    return Unwrapped(rest, "\n\n".join(filter(None, thoughts)))


def _fenced(text: str) -> str | None:
    """What stands in the one code fence that a text is; none if it is anything else."""
    opening = _OPENING.match(text)
    if opening is None or not text.endswith(opening[1]) or len(text) < opening.end() + len(opening[1]):
        return None
    inside = text[opening.end() : -len(opening[1])]
    return None if opening[1] in inside else inside
