"""unsloth by signature: our arguments are those that its source takes. Its wheel is read, never run."""

import ast
from pathlib import Path

import pytest
from tenstep.distill.train import backend

OURS = Path(backend.__file__)
WHEEL = "unsloth==2026.10.7"


def arguments(tree: ast.Module, name: str) -> set[str]:
    """Names of all parameters of the functions that have this name."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    assert found, name
    return {one.arg for node in found for one in [*node.args.args, *node.args.kwonlyargs]}


def given(name: str) -> set[str]:
    """Keywords of our call of a method."""
    calls = [node for node in ast.walk(ast.parse(OURS.read_text("utf-8"))) if isinstance(node, ast.Call)]
    (call,) = (call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == name)
    return {keyword.arg for keyword in call.keywords if keyword.arg}


@pytest.mark.parametrize(
    ("method", "member"),
    [("from_pretrained", "unsloth/models/loader.py"), ("get_peft_model", "unsloth/models/vision.py")],
)
def test_every_argument_is_one_that_unsloth_takes(wheel_file: object, method: str, member: str) -> None:
    source = wheel_file(WHEEL, member)  # type: ignore[operator]  # a fixture of conftest.py
    ours = given(method)
    assert {"use_gradient_checkpointing"} <= ours
    assert ours <= arguments(ast.parse(source.read_text("utf-8")), method)


def test_the_exact_name_is_loaded_with_its_revision() -> None:
    assert {"use_exact_model_name", "revision", "trust_remote_code"} <= given("from_pretrained")
