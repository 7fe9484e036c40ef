"""Prompt files: their three modes, their hashes, and that what they ask for is what the target is."""

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from servers.studies import make_study
from tenstep.curation.prompt import Prompts
from tenstep.schemas.errors import RecipeError
from tenstep.schemas.verdict import Finding
from tenstep.validators.reading import read_candidate
from tenstep.validators.rule import ten

MODES = ("informed", "skeleton", "blind")
STEPS = tuple(f"step_{number:02}" for number in range(1, 11))


def content(name: str) -> str:
    return resources.files("tenstep.curation").joinpath("prompts", f"{name}.yaml").read_text("utf-8")


def test_each_mode_asks_for_its_keys() -> None:
    keys = {name: Prompts(name).fill(make_study()).keys for name in MODES}
    assert keys == {"informed": STEPS, "skeleton": ("plan", *STEPS), "blind": (*STEPS, "report")}


def test_only_blind_withholds_the_reference() -> None:
    study = make_study(report="Findings: A rare word, quokka.")
    for name in MODES:
        prompt = Prompts(name).fill(study)
        assert ("quokka" in prompt.user) == (name != "blind")
        assert "quokka" not in prompt.system
        assert Prompts(name).needs_images == (name == "blind")


def test_blind_has_no_second_attempt() -> None:
    previous = read_candidate(ten(), "t/1")
    assert not Prompts("blind").repairs and Prompts("informed").repairs and Prompts("skeleton").repairs
    with pytest.raises(RecipeError, match="second attempt"):
        Prompts("blind").fill(make_study(), previous, [])


def test_blind_asks_for_the_report_in_the_form_of_the_study() -> None:
    prompts = Prompts("blind")
    assert "Technique, View, Findings, Impression" in prompts.fill(make_study(report_form="four-header")).user
    assert "Technique" not in prompts.fill(make_study(report_form="verbatim")).user


def test_a_repair_carries_what_was_found() -> None:
    finding = Finding(rule="r", code="c", severity="error", step=3, message="Say more.", evidence="The heart is large.")
    prompt = Prompts("skeleton").fill(make_study(), read_candidate("1. First answer.", "t/1"), [finding])
    for part in ("First answer.", "Say more.", "The heart is large."):
        assert part in prompt.user


@given(st.text(min_size=1).filter(str.strip), st.lists(st.text(), max_size=3))
def test_a_report_travels_as_one_json_string(report: str, views: list[str]) -> None:
    prompt = Prompts("informed").fill(make_study(report=report, views=views))
    assert prompt.user.rstrip("\n") == json.dumps(
        {"views": views, "reference_report": report}, ensure_ascii=False, indent=1
    )
    assert prompt.system == Prompts("informed").fill(make_study(report="other")).system


def test_the_hash_is_of_everything_that_is_sent() -> None:
    one, other = (Prompts("informed").fill(make_study(report=report)) for report in ("a", "b"))
    assert one.sha256 != other.sha256
    assert len({Prompts(name).fill(make_study()).sha256 for name in MODES}) == 3
    assert Prompts("blind").sha256 == hashlib.sha256(content("blind").encode()).hexdigest()


@pytest.mark.parametrize("name", MODES)
def test_a_prompt_asks_for_an_explanation_and_not_for_hidden_thoughts(name: str) -> None:
    words = yaml.safe_load(content(name))["system"].lower()
    for phrase in ("chain of thought", "chain-of-thought", "hidden reasoning", "internal reasoning", "think step"):
        assert phrase not in words
    assert "exactly ten steps" in words


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("informed", {"writes_report": True}, "report"),
        ("blind", {"writes_report": False}, "report"),
        ("informed", {"writes_plan": True}, "plan"),
        ("skeleton", {"writes_plan": False}, "plan"),
        ("informed", {"system": "Write ten steps."}, "step_01"),
        ("informed", {"user": "$data $other"}, "data"),
        ("informed", {"repair": "$data"}, "previous"),
        ("informed", {"shows_reference": False}, "repair"),
        ("blind", {"report_forms": {"verbatim": "x"}}, "report_forms"),
        ("informed", {"temperature": 1}, "no such key"),
        ("informed", {"version": 0}, "greater"),
    ],
)
def test_instructions_and_target_that_disagree_are_refused(
    name: str, change: dict[str, Any], told: str, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(yaml.safe_load(content(name)) | change))
    with pytest.raises(RecipeError, match=told) as caught:
        Prompts(str(mine))
    assert "mine.yaml" in str(caught.value)


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "!!python/object/apply:os.system ['true']", ""])
def test_what_is_no_prompt_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"mine\.yaml"):
        Prompts(str(tmp_path / "mine.yaml"))


def test_an_unknown_prompt_names_those_that_there_are() -> None:
    with pytest.raises(RecipeError, match="blind, informed, skeleton"):
        Prompts("sighted")


def test_a_prompt_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    shipped = content("informed")
    own = tmp_path / "mine.yaml"
    own.write_text(shipped.replace("explain chest radiographs", "explain chest films"))
    prompts = Prompts(str(own))
    assert prompts.id == "mine@2" and "explain chest films" in prompts.fill(make_study()).system
    with pytest.raises(RecipeError, match="cannot be read"):
        Prompts(str(tmp_path / "gone.yaml"))
    own.write_text("version: 1")
    with pytest.raises(RecipeError, match="is no prompt file"):
        Prompts(str(own))


@pytest.mark.parametrize(
    ("name", "first", "repair"),
    [
        ("informed", "b5f7cef4edf2368d", "5ef0e1b0686dc339"),
        ("skeleton", "a718fa32619f87ba", "5f3b5ae21b6e4503"),
        ("blind", "b2ca797dc4edc6de", None),
    ],
)
def test_prompts_are_what_they_were_or_everything_is_paid_for_again(name: str, first: str, repair: str | None) -> None:
    """Prompts as sent are part of request keys: with other words, an old run asks its questions a second time."""
    report = (
        "Technique: Frontal.\nView: PA\nFindings: The heart is normal in size. There is a small left effusion.\n"
        "Impression: Small left effusion."
    )
    study = make_study(report=report, report_form="four-header", views=("PA",))
    candidate = read_candidate(
        "\n".join(f"{n}. Step {n} of them." for n in range(1, 10)), study.id, writes_report=False
    )
    findings = [
        Finding(rule="structure", code="step_count", severity="error", message="There are 9 steps."),
        Finding(
            rule="side", code="wrong_side", severity="doubt", step=3, message="Left or right?",
            evidence="A small left effusion.",
        ),
    ]  # fmt: skip
    prompts = Prompts(name)
    assert prompts.fill(study).sha256[:16] == first
    if repair is not None:
        assert prompts.fill(study, candidate, findings).sha256[:16] == repair
