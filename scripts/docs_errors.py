"""Every message of the error tree, read from the code: what is said, of which kind, and by which part of tenstep.

A message is a literal in the call that makes the error, or in an assignment to the name that the call is given. What is
filled in at run time stands in braces, under the name that it has in the code.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOMS = ("schemas", "data", "validators", "curation", "distill", "cli")


class Message(NamedTuple):
    """One message."""

    room: str  # schemas, data/intake, curation/requests, ...
    kind: str
    text: str


def messages(root: Path, kinds: frozenset[str]) -> list[Message]:
    """The messages of a tree of files, in the order of rooms, each once.

    Args:
        root: the folder that holds the rooms.
        kinds: names of the error classes.
    """
    found: dict[Message, None] = {}
    for room in ROOMS:
        for file in sorted((root / room).rglob("*.py")):
            where = file.parent.relative_to(root).as_posix()
            for kind, text in _in_file(ast.parse(file.read_text("utf-8")), kinds):
                found.setdefault(Message(where, kind, text))
    return list(found)


def _in_file(tree: ast.Module, kinds: frozenset[str]) -> Iterator[tuple[str, str]]:
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            assigned.setdefault(node.targets[0].id, []).append(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds and node.args:
            if node.func.id == "MissingExtraError":  # (extra, what needs it); the class makes the message
                extra, needs = (next(_texts(one, assigned), _hole(one)) for one in (*node.args, node.args[0])[:2])
                yield node.func.id, f"{needs} is not installed; install it with: pip install 'tenstep[{extra}] @ ...'"
                continue
            for text in _texts(node.args[0], assigned):
                yield node.func.id, text


def _texts(value: ast.expr, assigned: dict[str, list[ast.expr]]) -> Iterator[str]:
    """The literals that a message may be; none if it is made elsewhere."""
    match value:
        case ast.Constant(value=str(text)):
            yield _one_line(text)
        case ast.JoinedStr(values=parts):
            yield _one_line("".join(_filled(part) for part in parts))
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one, assigned)
            yield from _texts(other, assigned)
        case ast.BinOp(left=ast.Constant() | ast.JoinedStr() as one, op=ast.Add(), right=other):
            yield next(_texts(one, assigned)) + (next(_texts(other, {}), None) or _hole(other))
        case ast.Name(id=name):
            for one in assigned.get(name, ()):
                if isinstance(one, ast.Constant | ast.JoinedStr | ast.IfExp):
                    yield from _texts(one, {})


def _filled(part: ast.expr) -> str:
    return (
        part.value
        if isinstance(part, ast.Constant)
        else _hole(part.value if isinstance(part, ast.FormattedValue) else part)
    )


def _hole(value: ast.expr) -> str:
    """`{name}`: the last name of what is filled in."""
    names = [one.attr if isinstance(one, ast.Attribute) else one.id for one in ast.walk(value)
             if isinstance(one, ast.Attribute | ast.Name)]  # fmt: skip
    names = [name.strip("_") for name in names if name not in {"len", "join", "sorted", "str", "repr", "min", "max"}]
    return f"{{{names[0] if names else '...'}}}"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
