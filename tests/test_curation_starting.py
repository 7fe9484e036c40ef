"""What is wrong at the start of a run is one line before anything is sent: recipes, addresses, secrets, SDKs, disks."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from curation_parts import make_store
from pydantic import ValidationError
from servers.studies import make_study
from tenstep.__main__ import main
from tenstep.curation.requests.policy import decide
from tenstep.curation.teacher import load
from tenstep.data.recipes import read_recipe
from tenstep.data.secrets import secret_in
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import RecipeError
from tenstep.schemas.policy import Attestation
from tenstep.schemas.recipe import Policy, TeacherSpec, TrainingTerms

ATTESTATION: dict[str, Any] = {
    "endpoints": ["https://a.example"], "contract": "C-1", "zero_retention": True, "no_training": True,
    "no_human_review": True, "region": "eu", "signed_by": "A. Person", "valid_until": "2030-01-01",
}  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost.evil/v1", "http://127.0.0.1.evil/v1", "http://127.0.0.1@evil/v1", "http://[::1].evil/v1",
        "http://localhost:80@evil/v1", "http://2130706433/v1", "http://a.example/v1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_a_key_never_goes_in_the_open(kind: str, url: str) -> None:
    with pytest.raises((RecipeError, ValidationError)):
        load(TeacherSpec(kind=kind, options={"model": "m", "base_url": url}))


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/v1", "http://127.0.0.1/v1", "http://[::1]:1/v1", "https://a.b/v1"]
)
def test_this_machine_and_https_are_well(url: str) -> None:
    assert load(TeacherSpec(kind="openai", options={"model": "m", "base_url": url})).endpoints == (url,)


@pytest.mark.parametrize("field", ["signed_by", "contract", "region"])
@pytest.mark.parametrize("value", ["", "  ", "\t\n"])
def test_nobody_signs_with_a_blank(field: str, value: str) -> None:
    with pytest.raises(ValidationError):
        Attestation.model_validate(ATTESTATION | {field: value})
    with pytest.raises(ValidationError):
        TrainingTerms(endpoint="https://a.example", attested_by=value, attested_on=date(2026, 1, 1), basis="b")


STRANGE = (
    "a: [" * 3_000, "a: {b: " * 3_000, "valid_until: 2026-13-45", "valid_until: 2026-02-30 10:00:00",
    "n: " + "9" * 5_000, "? [a]\n: b", "? {a: b}\n: c", "a: &x [*x]", "!!python/object/apply:os.system [x]", "[1]",
    "a: 0x" + "f" * 9_000, "", "\x00",
    "a: !!int z", "a: !!binary '='", "'" * 3,
)  # fmt: skip


@pytest.mark.parametrize("at", range(len(STRANGE)))
def test_a_strange_file_is_one_line(at: int, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(STRANGE[at])
    with pytest.raises(RecipeError) as caught:
        read_recipe(file, Attestation)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("endpoints", ["http://[::1"]), ("endpoints", ["https://a:99999"]), ("endpoints", ["ftp://a"]),
        ("endpoints", [""]),
        ("endpoints", ["https://\u2100.example"]), ("endpoints", ["https://u:p@a.example"]), ("endpoints", [7]),
        ("valid_until", "soon"), ("valid_until", 1e300), ("valid_until", -1), ("valid_until", True),
    ],
)  # fmt: skip
def test_a_strange_attestation_is_one_line(field: str, value: object, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(ATTESTATION | {field: value}))
    teacher = load(TeacherSpec(kind="openai", options={"model": "m", "base_url": "https://a.example"}))
    with pytest.raises(RecipeError) as caught:
        decide(Policy(attestations=(str(file),)), [teacher], "restricted")
    assert "\n" not in str(caught.value)


def test_many_keys_are_read_in_good_time(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("".join(f"k{n}: 1\n" for n in range(20_000)))
    with pytest.raises(RecipeError, match="is missing"):
        read_recipe(file, Attestation)


KEY = "sk-proj-" + "a1B2" * 4
SECRETS: dict[str, dict[str, Any]] = {
    "model": {"model": KEY},
    "a path": {"model": "m", "base_urls": [f"http://127.0.0.1:8000/{KEY}/v1"]},
    "extra": {"model": "m", "extra": {"headers": {"x": f"Bearer {'a' * 20}"}}},
    "extra by its name": {"model": "m", "extra": {"api_key": "quite-short"}},
    "another provider's": {"model": "m", "extra": {"user": "gsk_" + "Ab3" * 8}},
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_in_a_recipe_is_refused_and_not_quoted(name: str, tmp_path: Path, capsys: Any) -> None:
    spec = {"kind": "local", "options": SECRETS[name]}
    with pytest.raises(RecipeError, match="key_env") as caught:
        load(TeacherSpec.model_validate(spec))
    recipe = tmp_path / "r.yaml"
    recipe.write_text(yaml.safe_dump({"kind": "curate", "name": "t", "teachers": [spec]}))
    with pytest.raises(RecipeError, match="key_env") as again:
        read_recipe(recipe, CurateRecipe)
    make_store(tmp_path / "studies", [make_study()])
    assert main(["curate", str(recipe), "--studies", str(tmp_path / "studies"), "--out", str(tmp_path / "run")]) == 2
    said = str(caught.value) + str(again.value) + "".join(capsys.readouterr())
    assert not any(part in said for part in ("a1B2", "aaaa", "Ab3", "quite-short"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "values",
    [
        {"model": "task-sk-1"}, {"key_env": "OPENAI_API_KEY"}, {"extra": {"max_tokens": 5, "stop_token": "</s>"}},
        {"model": "lab/desk-lamp-20b-instruct"}, {"api_key": ""}, {"a": [1, None, 2.0, True]},
    ],
)  # fmt: skip
def test_what_is_no_secret_is_taken(values: dict[str, Any]) -> None:
    assert secret_in(values) is None


def test_a_missing_sdk_is_one_line_and_leaves_no_run(tmp_path: Path) -> None:
    make_store(tmp_path / "studies", [make_study()])
    recipe = tmp_path / "r.yaml"
    teacher = {"kind": "openai", "options": {"model": "m", "base_url": "http://127.0.0.1:9/v1"}}
    recipe.write_text(yaml.safe_dump({"kind": "curate", "name": "t", "teachers": [teacher]}))
    words = ["curate", str(recipe), "--studies", str(tmp_path / "studies"), "--out", str(tmp_path / "run")]
    code = f"import sys; sys.modules['openai'] = None\nfrom tenstep.__main__ import main\nsys.exit(main({words!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "[teachers]" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_in_which_every_request_failed_says_why_and_exits_with_one(tmp_path: Path, capsys: Any) -> None:
    make_store(tmp_path / "studies", (make_study(name) for name in "abc"))
    recipe = tmp_path / "r.yaml"
    options = {"images": False, "model": "m", "base_url": "http://127.0.0.1:9/v1", "key_env": "TENSTEP_NO_SUCH_KEY"}
    teacher = {"kind": "openai", "options": options}
    recipe.write_text(yaml.safe_dump({"kind": "curate", "name": "t", "teachers": [teacher], "prompt": "informed"}))
    words = ["curate", str(recipe), "--studies", str(tmp_path / "studies"), "--out", str(tmp_path / "run")]
    assert main(words) == 2  # no key: a request is never made
    blind = {
        "kind": "curate",
        "name": "t",
        "teachers": [teacher | {"options": options | {"images": True}}],
        "prompt": "blind",
    }
    recipe.write_text(yaml.safe_dump(blind))
    words[-1] = str(tmp_path / "blind")
    capsys.readouterr()
    assert main([*words, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["accepted"] == 0
    assert main(words) == 1
    assert "not one request was answered: the prompt is about images" in " ".join(capsys.readouterr().out.split())
    assert main(["status", str(tmp_path / "blind")]) == 1
    assert "the study has none (3 times)" in " ".join(capsys.readouterr().out.split())


def test_a_disk_that_takes_nothing_is_one_line(tmp_path: Path, capsys: Any) -> None:
    make_store(tmp_path / "studies", [make_study()])
    recipe = tmp_path / "r.yaml"
    recipe.write_text("kind: curate\nname: t\nteachers: [{kind: checklist}]\n")
    for out in ("/proc/run", "/dev/full/run", "/sys/run"):
        assert main(["curate", str(recipe), "--studies", str(tmp_path / "studies"), "--out", out]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
