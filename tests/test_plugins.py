"""Plugins of other packages: found, named in manifests, and named when they cannot be used."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from distill_parts import filmed
from tenstep.__main__ import main
from tenstep.data.run import RunFolder
from tenstep.schemas import plugins
from tenstep.schemas.errors import InputError
from tenstep.validators.rule import REFERENCE, ten

PLUGIN = Path(__file__).parents[1] / "examples" / "plugin"
RULE = PLUGIN / "tenstep_example" / "shouting.py"
RECIPE = "kind: curate\nname: t\nteachers:\n  - kind: checklist\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, installed as a package into a folder of its own."""
    folder = tmp_path_factory.mktemp("plugin")
    copy = folder / "source"
    subprocess.run(["cp", "-r", str(PLUGIN), str(copy)], check=True)  # a build leaves files in its source
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run(
        [sys.executable, *words, "--target", str(folder / "site"), str(copy)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder / "site"


def tenstep(site: Path, *words: str | Path) -> tuple[int, dict[str, Any]]:
    """A command in a process that has the plugin."""
    done = subprocess.run(
        [sys.executable, "-m", "tenstep", *map(str, words), "--json"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(site)},
        cwd=site,
    )
    return done.returncode, json.loads(done.stdout)


def broken(folder: Path, kind: str, name: str, text: str, package: str = "broken") -> Path:
    """An installed package with one plugin, laid down by hand."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{package}.py").write_text(text)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[tenstep.{kind}]\n{name} = {package}\n")
    return folder


def test_an_installed_rule_judges_and_an_installed_exporter_writes(site: Path, tmp_path: Path) -> None:
    code, found = tenstep(site, "rules", "shouting")
    assert code == 0 and found["rules"][0]["examples"]["fails"] == ["5. THE LUNGS ARE CLEAR."]
    store = filmed(tmp_path, 3)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    run = tmp_path / "run"
    code, _ = tenstep(site, "curate", tmp_path / "recipe.yaml", "--studies", store.root, "--out", run)
    assert code == 0
    with RunFolder.read(run) as opened:
        named = {(plugin.kind, plugin.name, plugin.package, plugin.version) for plugin in opened.manifest.plugins}
    assert named == {
        ("rules", "shouting", "tenstep-example", "1.0"),
        ("teachers", "program", "tenstep-example", "1.0"),
        ("sources", "tab", "tenstep-example", "1.0"),
        ("students", "llava", "tenstep-example", "1.0"),
        ("exporters", "two-columns", "tenstep-example", "1.0"),
    }
    code, found = tenstep(site, "export", run, "--to", "two-columns", "--out", tmp_path / "csv")
    assert code == 0 and (tmp_path / "csv" / "train.csv").read_text().startswith("prompt,target")


def test_an_installed_source_is_read_and_an_installed_teacher_answers(site: Path, tmp_path: Path) -> None:
    rows = [f"a\tp1\t{REFERENCE}".replace("\n", " "), "b\tp2", f"c\tp2\t{REFERENCE}".replace("\n", " ")]
    (tmp_path / "reports.tsv").write_text("\n".join(rows))
    code, found = tenstep(site, "ingest", "tab", tmp_path / "reports.tsv", "--text-only", "--out", tmp_path / "studies")
    assert code == 0 and found["studies"] == 2 and "has 1" not in str(found)
    (row,) = (tmp_path / "studies" / "rejected.jsonl").read_text().splitlines()
    assert json.loads(row)["detail"] == "has 2 columns, not 3"
    steps = "\n".join(ten().split("\n")[:10])
    (tmp_path / "answer.py").write_text(
        f"import sys\nassert 'FINDINGS' in sys.stdin.read().upper()\nprint({steps!r})\n"
    )
    options = json.dumps({"command": [sys.executable, str(tmp_path / "answer.py")]})
    (tmp_path / "recipe.yaml").write_text(
        f"kind: curate\nname: t\nteachers:\n  - kind: program\n    options: {options}\n"
    )
    run = tmp_path / "run"
    code, found = tenstep(site, "curate", tmp_path / "recipe.yaml", "--studies", tmp_path / "studies", "--out", run)
    assert code == 0 and found["asked"] == 2 and found["attempts"] == 2, found
    with RunFolder.read(run) as opened:
        assert {candidate.teacher for candidate, _ in opened.judged()} == {"program"}
    (tmp_path / "answer.py").write_text("raise SystemExit(3)")
    code, found = tenstep(
        site, "curate", tmp_path / "recipe.yaml", "--studies", tmp_path / "studies", "--out", tmp_path / "other"
    )
    assert code == 1 and found["failed"] == 2


def test_an_installed_student_counts_every_weight_of_its_family(site: Path) -> None:
    code = """
import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration
from tenstep.distill.student import student_of
small = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
config = LlavaConfig(vision_config=CLIPVisionConfig(**small), text_config=LlamaConfig(**small))
with torch.device("meta"):
    model = LlavaForConditionalGeneration(config)
student = student_of("llava")
print(sorted({student.part_of(name) for name, _ in model.named_parameters()}))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(site)},
    )
    assert done.stdout == "['head', 'language', 'projector', 'vision']\n", done.stderr


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("rules", "broken", ["rules"]),
        ("exporters", "broken", ["export", "x", "--to", "broken", "--out", "y"]),
        ("sources", "broken", ["ingest", "broken", "x", "--out", "y"]),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named(tmp_path: Path, kind: str, name: str, words: list[str]) -> None:
    folder = broken(tmp_path / "site", kind, name, "raise RuntimeError('boom')")
    code, found = tenstep(folder, *words)
    assert code == 2
    assert f"the plugin 'broken' of broken 1.0 (tenstep.{kind}) cannot be imported: RuntimeError: boom" in str(found)


def test_a_plugin_with_a_name_that_is_taken_is_named(tmp_path: Path) -> None:
    folder = broken(tmp_path / "site", "exporters", "jsonl", "")
    code, found = tenstep(folder, "export", "x", "--to", "jsonl", "--out", "y")
    assert code == 2 and "broken 1.0 brings a plugin called 'jsonl'" in str(found)
    broken(tmp_path / "two", "exporters", "mine", "", "one")
    broken(tmp_path / "two", "exporters", "mine", "", "other")
    code, found = tenstep(tmp_path / "two", "export", "x", "--to", "mine", "--out", "y")
    assert code == 2 and "two plugins are called 'mine'" in str(found)


def test_a_recipe_may_name_a_rule_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"id": "a", "report": REFERENCE}) + "\n")
    assert main(["ingest", "jsonl", str(source), "--text-only", "--out", str(tmp_path / "studies")]) == 0
    (tmp_path / "picky.py").write_text(
        RULE.read_text().replace("step.text.isupper()", "'lungs' in step.text.lower()").replace('"warning"', '"error"')
    )
    (tmp_path / "recipe.yaml").write_text(RECIPE + "rules: [picky.py]\n")
    words = ["--studies", str(tmp_path / "studies"), "--out", str(tmp_path / "run")]
    assert main(["curate", str(tmp_path / "recipe.yaml"), *words]) == 0
    with RunFolder.read(tmp_path / "run") as run:
        assert {code for _, verdict in run.judged() for code in verdict.codes} == {"shouting"}
        (plugin,) = run.manifest.plugins
    assert (plugin.name, len(plugin.package)) == ("picky", 64)
    assert main(["recheck", str(tmp_path / "run")]) == 0
    with RunFolder.read(tmp_path / "run") as run:
        assert all("shouting" in verdict.codes for _, verdict in run.judged())
    kept = ["--keep", str(tmp_path / "shards"), "--workers", "1", "--json", str(tmp_path / "out.json")]
    for rule, codes in (("'lungs'", {"shouting": 1}), ("'no such word'", {})):  # its code decides what is kept
        (tmp_path / "picky.py").write_text((tmp_path / "picky.py").read_text().replace("'lungs'", rule))
        assert main(["audit", str(tmp_path / "run"), *kept]) == 0
        assert json.loads((tmp_path / "out.json").read_text())["codes"] == codes
    (tmp_path / "picky.py").unlink()
    for verb in ("audit", "recheck"):
        assert main([verb, str(tmp_path / "run"), "--workers", "1"]) == 2
        assert "picky.py: there is no such file" in capsys.readouterr().err
    (tmp_path / "recipe.yaml").write_text(RECIPE + "rules: [none.py]\n")
    assert main(["curate", str(tmp_path / "recipe.yaml"), *words]) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_a_file_that_is_no_rule_is_refused(tmp_path: Path) -> None:
    from tenstep.validators.gate import own_rules

    (tmp_path / "a.py").write_text("X = 1\n")
    with pytest.raises(InputError, match="is no rule: it has no GROUP, CODES, rule, PASSES, FAILS"):
        own_rules((str(tmp_path / "a.py"),))
    (tmp_path / "b.py").write_text("1 / 0\n")
    with pytest.raises(InputError, match="cannot be imported: ZeroDivisionError"):
        plugins.file_module(str(tmp_path / "b.py"))


def test_a_rule_s_file_that_has_become_another_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("one = 1\n")
    plugins.check_files([before := plugins.file_plugin(str(file))])
    file.write_text("one = 2\n")
    with pytest.raises(InputError, match=r"own\.py: is another file than when the work began"):
        plugins.check_files([before])
