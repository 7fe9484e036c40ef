"""What reaches a terminal and a file: hidden characters as code points, nothing overwritten, errors of the machine."""

import io
import json
import os
import re
import stat
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenstep.cli import app
from tenstep.cli.app import COMMANDS, main, parser
from tenstep.cli.output import as_json, check_json_target, printable, show
from tenstep.schemas.errors import InputError
from tenstep.schemas.outcome import Outcome, Table
from tenstep.validators.rule import REFERENCE, ten

ATTACKS = ["\x1b[2J", "\x1b]0;owned\x07", "\x9b31m", "\u202eevil", "\u2066x\u2069", "a\rb", "\u200b", "\udcff", "\x7f"]


def rows(path: Path, *ids: str) -> Path:
    path.write_text("".join(json.dumps({"id": i, "text": ten(), "reference_report": REFERENCE}) + "\n" for i in ids))
    return path


@given(st.text())
def test_nothing_that_moves_a_cursor_or_turns_letters_is_left(text: str) -> None:
    assert all(char in "\n\t" or char.isprintable() or char.isspace() for char in printable(text))
    assert json.loads(as_json(text)) == text
    assert "\x1b" not in as_json(text) and "\u202e" not in as_json(text)


@pytest.mark.parametrize("attack", ATTACKS)
def test_tables_notes_and_titles_are_escaped(attack: str) -> None:
    outcome = Outcome(
        tables=(Table(title=attack, columns=(attack,), rows=((attack,),)),), notes=(f"note {attack}", "[red]kept[/red]")
    )
    stream = io.StringIO()
    show(outcome, stream)
    told = stream.getvalue()
    assert all(char == "\n" or char.isprintable() for char in told)
    assert told.count(attack.encode("unicode_escape").decode()) >= 3 or "\\" in told
    assert "[red]kept[/red]" in told


@pytest.mark.parametrize("attack", ["\x1b]0;owned\x07", "\u202eevil"])
@pytest.mark.parametrize(
    "words",
    [
        ["audit", "{}"], ["status", "{}"], ["recheck", "{}"], ["review", "{}"], ["findings", "{}"], ["sections", "{}"],
        ["split", "{}"], ["agreement", "{}", "{}"], ["curate", "{}", "--out", "x"], ["ingest", "{}", "p", "--out", "s"],
        ["ingest", "jsonl", "{}", "--out", "s"], ["judge", "{}", "r"], ["probe", "{}"], ["distill", "{}"],
        ["sample", "{}", "--studies", "s", "--out", "o"], ["evaluate", "{}", "--out", "o"],
        ["merge", "{}", "--out", "o"], ["infer", "{}", "--model", "m"], ["publish", "{}"], ["{}"],
        ["audit", "x", "--json", "{}/x"], ["select", "{}", "--n", "2", "--out", "o"],
        ["export", "{}", "--to", "trl", "--out", "o"],
        ["export", "r", "--to", "{}", "--out", "o"], ["join", "{}", "--studies", "s", "--out", "o"], ["reviews", "{}"],
        ["verify", "{}", "r"], ["calibrate", "{}"], ["rules", "{}"], ["recipe", "{}"], ["doctor", "{}"],
        ["rules", "--measured", "{}"],
        ["errors", "{}"], ["compare", "{}", "r"], ["ablate", "{}", "--out", "o"], ["attribute", "{}", "--out", "o"],
        ["select", "r", "--n", "2", "--out", "o", "--min", "{}=3"],
    ],
)  # fmt: skip
def test_error_lines_of_every_command_are_escaped(
    words: list[str], attack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([word.format(attack) for word in words]) == 2
    told = capsys.readouterr()
    assert attack not in told.out + told.err
    assert "\x1b" not in told.out + told.err


def test_ids_and_file_names_of_an_audit_are_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad\x1b]0;owned\x07name.jsonl"
    path.write_text(json.dumps({"id": "\x1b[2Jx", "text": 7}) + "\n" + json.dumps({"id": "ok", "text": ten()}) + "\n")
    assert main(["audit", str(path)]) == 2
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    assert "\\x1b]0;owned\\x07" in "".join(told.out.split())


def test_a_dataset_is_not_overwritten_by_a_slip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = rows(tmp_path / "a.jsonl", "a"), rows(tmp_path / "b.jsonl", "b")
    before = one.read_bytes()
    assert main(["audit", "--json", str(one), str(two)]) == 2
    assert "not what this command writes" in capsys.readouterr().err
    assert main(["audit", str(one), "--json", str(one)]) == 2
    assert "is what the command reads" in capsys.readouterr().err
    assert main(["audit", str(two), "--html", str(one)]) == 2
    assert main(["findings", str(two), "--json", str(one)]) == 2
    assert one.read_bytes() == before


def test_what_the_same_command_wrote_is_replaced(tmp_path: Path) -> None:
    data, out, page = rows(tmp_path / "a.jsonl", "a"), tmp_path / "out.json", tmp_path / "out.html"
    for ids in (("a",), ("a", "b")):
        rows(data, *ids)
        assert main(["audit", str(data), "--json", str(out), "--html", str(page)]) == 0
    assert json.loads(out.read_text())["rows"] == 2
    other = rows(tmp_path / "b.jsonl", "a")
    assert main(["audit", str(data), str(other), "--json", str(out)]) == 0
    assert main(["audit", str(tmp_path / "none"), "--json", str(out)]) == 2
    assert json.loads(out.read_text())["error"]["kind"] == "InputError"
    assert main(["audit", str(data), "--json", str(out)]) == 0
    assert main(["agreement", str(out), str(out), "--json", str(out)]) == 2


def test_an_error_is_not_written_over_a_file_of_others(tmp_path: Path) -> None:
    notes = tmp_path / "notes.json"
    notes.write_text('{"mine": 1}')
    assert main(["audit", str(tmp_path / "none"), "--json", str(notes)]) == 2
    assert notes.read_text() == '{"mine": 1}'


def test_review_does_not_replace_the_examples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples = tmp_path / "accepted.jsonl"
    examples.write_text("{}\n")
    assert main(["review", str(tmp_path), "--out", str(examples)]) == 2
    assert "no page of tenstep" in capsys.readouterr().err
    assert examples.read_text() == "{}\n"


@pytest.mark.parametrize("content", ["", '{"error": {}}\n', '{"rows": 1, "accepted": 1}\n', '{\n "rows": 1,\n'])
def test_an_empty_file_an_error_and_an_old_output_may_be_replaced(content: str, tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text(content)
    args = Namespace(json=str(tmp_path / "out.json"), json_keys=(frozenset({"rows", "accepted"}),))
    check_json_target(args)


@pytest.mark.parametrize("content", ["x", "[1]", '{"rows": 1}\n', '{"id": 1, "text": ""}\n', '{\n "id": 1', "<html>"])
def test_anything_else_may_not(content: str, tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text(content)
    args = Namespace(json=str(tmp_path / "out.json"), json_keys=(frozenset({"rows", "accepted"}),))
    with pytest.raises(InputError, match="not what this command writes"):
        check_json_target(args)


def test_a_long_output_of_one_line_is_known_by_its_first_key(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text('{"rows": 1, "accepted": "' + "x" * 2_000_000 + '"}\n')
    check_json_target(Namespace(json=str(tmp_path / "out.json"), json_keys=(frozenset({"rows", "accepted"}),)))


def test_what_json_writes_is_its_owners_alone(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        report, out = tmp_path / "s1.txt", tmp_path / "out.json"
        report.write_text("FINAL REPORT\n FINDINGS: Clear.\n")
        assert main(["sections", str(report), "--json", str(out)]) == 0
        assert main(["findings", str(rows(tmp_path / "a.jsonl", "a")), "--json", str(tmp_path / "f.json")]) == 0
    finally:
        os.umask(old)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "f.json").stat().st_mode) == 0o600


def test_a_full_disk_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(rows(tmp_path / "a.jsonl", "a")), "--json", "/dev/full"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("tenstep: /dev/full: cannot be written (No space left") and told.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").exists(), reason="a removed folder cannot be made here")
def test_a_removed_working_folder_is_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = (
        "import os, sys\nos.chdir(sys.argv[1])\nos.rmdir(sys.argv[1])\n"
        "from tenstep.cli.app import main\nsys.exit(main(['audit', 'x.jsonl', '--html', 'y.html']))"
    )
    done = subprocess.run([sys.executable, "-c", code, gone], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("tenstep: ") and done.stderr.count("\n") == 1


def test_every_command_is_listed_and_has_its_file() -> None:
    def names(words: list[str] | None) -> list[str]:
        return [name for action in parser(words)._actions if action.choices for name in action.choices]

    assert names(None) == names(["--help"]) == list(COMMANDS)
    files = {
        path.stem.replace("_", "-")
        for path in Path(app.__file__).parent.glob("*.py")
        if "def register(" in path.read_text("utf-8")
    }
    assert files == set(COMMANDS)


def test_help_imports_no_command(tmp_path: Path) -> None:
    code = "import sys\nfrom tenstep.cli.app import parser\nparser(['--help']).format_help()\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not {"pydantic", "rich", "numpy", "tenstep.cli.audit"} & loaded


@pytest.mark.parametrize("words", [["status"], ["status", "--json"]])
def test_a_fault_of_ours_is_one_line_and_its_traceback_a_file_of_the_user_alone(
    tmp_path: Path, words: list[str]
) -> None:
    """A command of another package, which raises with the text that it was reading."""
    code = (
        "import sys, types\n"
        "def run(args): raise KeyError('the patient Jane Doe, sk-test-' + 30 * '9')\n"
        "module = types.ModuleType('tenstep.cli.status')\n"
        "module.register = lambda commands: commands.add_parser('status').set_defaults(run=run)\n"
        "sys.modules['tenstep.cli.status'] = module\n"
        f"from tenstep.cli.app import main\nsys.exit(main({words}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert done.returncode == 1
    assert done.stderr.startswith("tenstep: a fault in tenstep (KeyError)") and done.stderr.count("\n") == 1
    assert "Jane Doe" not in done.stdout + done.stderr
    (file,) = tmp_path.iterdir()
    kept = file.read_text()
    assert str(file) in done.stderr and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "Jane Doe" in kept and "99999" not in kept, "data is the user's own to see, and a key is in no file"
    if "--json" in words:
        assert json.loads(done.stdout)["error"]["kind"] == "KeyError"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["audit", ""], "argument PATH: the path is empty"),
        (["ingest", "jsonl", "rows.jsonl", "--out", ""], "argument --out: the path is empty"),
        (["audit", "loop"], "argument PATH: 'loop' cannot be a path (Too many levels"),
        (["audit", "x" * 300], "cannot be a path (File name too long)"),
        (["audit", "rows.jsonl", "--workers", "-1"], "argument --workers: '-1' is not a whole number above 0"),
        (["split", "studies", "--seed", "9" * 30], "argument --seed: '999999"),
        (["split", "studies", "--test", "nan"], "argument --test: 'nan' is not a number"),
        (["split", "studies", "--similarity", "5"], "argument --similarity: '5' is not a share above 0"),
        (["probe", "run", "--usd", "-1"], "argument --usd: '-1' is not a number from 0"),
        (["status", "run", "--json", ""], "argument --json: the path is empty"),
        (["status", "run", "--json", "none/out.json"], "none/out.json: cannot be written (No such file or directory)"),
        (["status", "run", "--json", "folder"], "folder: cannot be written (Is a directory)"),
        (["findings", "none"], "none: cannot be read (No such file or directory); see that the name is right"),
        (["findings", "folder"], "folder: cannot be read (Is a directory); a file is wanted"),
        (["agreement", "folder", "none"], "folder: cannot be read (Is a directory); a file is wanted"),
        (["reviews", "folder", "--from", "none"], "none: cannot be read (No such file or directory); see that"),
        (["audit", "rows.jsonl", "--html", "none/page.html"], "none/page.html: cannot be written (No such file"),
    ],
)
def test_an_argument_that_cannot_be_one_is_named(
    words: list[str], part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    Path("folder").mkdir()
    assert main(words) == 2
    told = capsys.readouterr().err
    assert part in told and told.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["split", "s", "--recipe", "r", "--seed", "3", "--out", "o"], "leave out --out, --seed, or --recipe"),
        (["review", "r", "--reader", "anna", "--share", "0.2"], "--reader, --share: only with --serve"),
        (["review", "r", "./r"], "r: is named twice"),
        (["audit", "r", "r"], "r: is named twice"),
        (["agreement", "r", "r"], "r: is named twice"),
        (["compare", "r", "./r"], "r: is named twice"),
        (["reviews", "r", "--from", "f", "--reader", "anna"], "--reader chooses what is shown or written"),
        (["export", "r", "--to", "jsonl", "--out", "o", "--pairs", "5"], "--pairs: jsonl holds no preference pairs"),
        (["evaluate", "e", "--bertscore-layer", "5"], "'--bertscore-layer': belongs to --bertscore"),
        (["evaluate", "e", "--chexbert-tokenizer", "d"], "'--chexbert-tokenizer': belongs to --chexbert"),
        (["publish", "p", "--public"], "--public: only with --push"),
        (["recipe", "offline", "--explain", "budget"], "leave out 'offline'"),
        (["attribute", "r", "s", "--retrain"], "are for --leave-out KIND"),
        (["recheck", "r", "--severities", "leak=off,leak=error"], "'leak' gets two severities"),
        (["audit", "x", "--html", "page.html", "--json", "./page.html"], "is what the command reads or writes"),
    ],
)
def test_options_that_contradict_or_mean_nothing_are_refused_before_any_work(
    words: list[str], part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert part in capsys.readouterr().err


def test_json_may_lie_in_a_folder_that_only_the_command_makes(tmp_path: Path) -> None:
    row = {"id": "a", "patient_id": "p", "report": "Findings: Clear lungs.", "data_class": "public"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    words = ["ingest", "jsonl", str(tmp_path / "rows.jsonl"), "--text-only", "--out", str(tmp_path / "new" / "studies")]
    for target in (tmp_path / "new" / "said.json", tmp_path / "new" / "other" / "said.json"):
        assert main([*words, "--json", str(target)]) == (0 if target.parent.name == "new" else 2)
    assert json.loads((tmp_path / "new" / "said.json").read_text())["studies"] == 1


def test_every_command_says_how_its_json_begins_and_so_replaces_its_own() -> None:
    (commands,) = (action.choices for action in parser()._actions if isinstance(action.choices, dict))
    assert all(command.get_default("json_keys") for command in commands.values())


RULES = "from tenstep.cli.app import main; raise SystemExit(main(['rules', 'step_count']))"


def test_a_reader_that_leaves_ends_the_command_without_a_word() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run([sys.executable, "-c", RULES], stdout=writes, stderr=subprocess.PIPE, text=True)
    os.close(writes)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_under_standard_output_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", RULES], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("tenstep: standard output: cannot be written (No space left")
    assert done.stderr.count("\n") == 1


def test_a_closed_stream_takes_no_file_and_a_narrow_terminal_ends_nothing(tmp_path: Path) -> None:
    """Standard error is closed: without care, the next file that is opened gets what libraries print."""
    code = (
        "import os, sys\nfrom tenstep.cli.app import main\ncode = main(sys.argv[1:])\nos.write(2, b'x')\nsys.exit(code)"
    )
    audit = [sys.executable, "-c", code, "audit", str(rows(tmp_path / "a.jsonl", "a")), "--workers", "1"]
    done = subprocess.run(
        ["sh", "-c", '"$@" 2>&-', "sh", *audit], capture_output=True, text=True, env={**os.environ, "COLUMNS": "1"}
    )
    assert done.returncode == 0 and done.stderr == ""
    done = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", *audit[:4], str(tmp_path / "none.jsonl")])
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (
            "OSError(28, 'No space left on device', 'a.jsonl')",
            "a.jsonl: .*No space left on device.; make room on the disk",
        ),
        ("PermissionError(13, 'Permission denied', 'b')", "b: .*Permission denied.; see that you may read and write"),
        (
            "shutil.Error([('a', 'b', '[Errno 28] No space left on device: c')])",
            "No space left .*; make room on the disk",
        ),
        ("sqlite3.OperationalError('database or disk is full')", "disk is full.; see that its disk has room"),
    ],
)
def test_a_fault_of_the_machine_says_what_to_do(raised: str, line: str) -> None:
    """A command of another package, which lets it through."""
    code = (
        "import shutil, sqlite3, sys, types\n"
        f"def run(args): raise {raised}\n"
        "module = types.ModuleType('tenstep.cli.status')\n"
        "module.register = lambda commands: commands.add_parser('status').set_defaults(run=run)\n"
        "sys.modules['tenstep.cli.status'] = module\n"
        "from tenstep.cli.app import main\nsys.exit(main(['status']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert re.search(line, done.stderr)


def test_a_locale_of_few_letters_ends_nothing_and_json_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "ä.jsonl"
    row = {"id": "ñ😀", "text": ten().replace("clear", "clëar"), "reference_report": REFERENCE}
    file.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    code = "from tenstep.cli.app import main; import sys; sys.exit(main(sys.argv[1:]))"
    audit = [sys.executable, "-c", code, "audit", str(file), "--workers", "1"]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    found = json.loads(subprocess.run([*audit, "--json"], capture_output=True, check=True, env=env).stdout)
    assert found["items"][0]["id"] == "ñ😀"
    assert b"\\xe4.jsonl" in subprocess.run(audit, capture_output=True, check=True, env=env).stdout
