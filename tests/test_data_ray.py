"""Ray: the same results as one process, in the same order, also when a node is killed in the middle."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tenstep.__main__ import main
from tenstep.data.ray_executor import Node, check_nodes, named
from tenstep.schemas.errors import InputError, PolicyError
from tenstep.validators.rule import REFERENCE, ten

SCRIPT = Path(__file__).with_name("ray_script.py")
# Ray's own switches: nothing is reported, and all addresses are loopback ones, as on systems where it has no clusters
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder with a short name: sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="ray"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_every_verb_gives_the_same_on_two_nodes_one_of_which_is_killed(tmp_path: Path, temporary: Path) -> None:
    pytest.importorskip("ray")
    pytest.importorskip("sklearn")
    reports = {f"s{n}": REFERENCE.replace("clear", "clear" if n % 3 else f"clear in film {n}") for n in range(200)}
    source, texts = tmp_path / "in.jsonl", tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps({"id": name, "report": report}) + "\n" for name, report in reports.items()))
    rows = [{"id": name, "text": ten({3: f"Film {name}."}, report=report)} for name, report in reports.items()]
    texts.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"id": 1}]))
    recipe = {"kind": "curate", "name": "t", "teachers": [{"kind": "checklist"}]}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    ingest = ["ingest", "jsonl", str(source), "--text-only", "--data-class", "public"]
    assert main([*ingest, "--out", str(tmp_path / "studies"), "--workers", "1"]) == 0
    curate = ["curate", str(tmp_path / "recipe.yaml"), "--studies", str(tmp_path / "studies"), "--workers", "0"]
    assert main([*curate, "--out", str(tmp_path / "run")]) == 0

    words = [sys.executable, "-W", "error", str(SCRIPT), str(tmp_path)]
    environment = os.environ | QUIET | {"RAY_TMPDIR": str(temporary)}
    (temporary / "ray").mkdir()  # Ray writes its cluster's address there, and makes no folder for it
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "in order": True,
        "nodes": 2,
        "killed": {"77": "its process was killed, twice (out of memory?)"},
        "curate": True,
        "ingest": True,
        "findings": True,
        "split": True,
        "select": True,
        "recheck": True,
        "audit, a node killed": True,
        "rows": 200,
    }


def test_the_command_line_starts_a_cluster_of_its_own(tmp_path: Path, temporary: Path) -> None:
    pytest.importorskip("ray")
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"id": n, "text": REFERENCE}) + "\n" for n in range(130)))
    words = [sys.executable, "-m", "tenstep", "findings", str(tmp_path / "texts.jsonl"), "--json"]
    environment = os.environ | QUIET | {"RAY_TMPDIR": str(temporary)}
    found = [
        subprocess.run([*words, *more], env=environment, capture_output=True, text=True, timeout=120)
        for more in ([], ["--engine", "ray"])
    ]
    assert [done.returncode for done in found] == [0, 0], found[1].stderr[-2000:]
    assert found[0].stdout == found[1].stdout != ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--address", "auto"], "--address is of a Ray cluster"),
        (["--engine", "ray", "--workers", "2"], "--workers is of this machine"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "texts.jsonl").write_text('{"id": 1, "text": "No effusion."}\n')
    assert main(["findings", str(tmp_path / "texts.jsonl"), *words]) == 2
    assert message in capsys.readouterr().err


def test_an_address_without_a_cluster_is_one_line_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray")
    (tmp_path / "texts.jsonl").write_text('{"id": 1, "text": "No effusion."}\n')
    assert main(["findings", str(tmp_path / "texts.jsonl"), "--engine", "ray", "--address", "127.0.0.1:9"]) == 2
    assert "no Ray cluster answers at '127.0.0.1:9' (Connection refused)" in capsys.readouterr().err


FAR = "10.255.3.4"  # no address of this machine


def test_restricted_rows_go_to_nodes_of_other_machines_only_where_somebody_says_that_they_may(tmp_path: Path) -> None:
    cluster = f"ray://{FAR}:6379"
    here = socket.gethostname()
    far = [Node("127.0.0.1", here), Node(FAR, here)]
    check_nodes(cluster, [Node("127.0.0.1", here), Node("localhost", here)], "restricted", None)
    check_nodes(cluster, far, "public", None)
    refused = f"may not leave for {cluster}.*--attestation FILE.*work on this machine"
    tunnel = Node("127.0.0.1", "another")
    for nodes in (far, [tunnel], [Node("0.0.0.0", here)], [Node("", here)]):
        with pytest.raises(PolicyError, match=refused):
            check_nodes(cluster, nodes, "restricted", None)
    words = {"contract": "DPA-1", "access": "the members of project 7", "not_public": True, "region": "here"}
    signed = {**words, "signed_by": "J. Doe", "valid_until": "2099-01-31", "places": [cluster]}
    (tmp_path / "signed.yaml").write_text(json.dumps(signed))
    check_nodes(cluster, far, "restricted", tmp_path / "signed.yaml")
    with pytest.raises(PolicyError, match="does not name"):
        check_nodes(f"ray://{FAR}:7000", far, "restricted", tmp_path / "signed.yaml")
    (tmp_path / "signed.yaml").write_text(json.dumps({**signed, "valid_until": "2020-01-31"}))
    with pytest.raises(PolicyError, match="ended on 2020-01-31"):
        check_nodes(cluster, far, "restricted", tmp_path / "signed.yaml")


def test_what_a_node_cannot_do_names_the_node_and_what_this_machine_cannot_does_not() -> None:
    missing = FileNotFoundError(2, "No such file or directory", "/data/rows")
    assert str(named(missing, FAR, "10.0.0.1")) == (
        f"[Errno 2] No such file or directory, on node {FAR}; every node must see the same files under the same paths: "
        "'/data/rows'"
    )
    fault = InputError("there is no such folder", file="studies")
    assert named(fault, FAR, FAR) is fault and str(fault) == "studies: there is no such folder"
    assert str(named(fault, FAR, "10.0.0.1")).startswith(f"studies: on node {FAR}: there is no such folder (every node")
    assert str(named(InputError("no"), FAR, "10.0.0.1")) == f"on node {FAR}: no"


ABSENT = """
import sys
sys.modules["ray"] = None
from tenstep.__main__ import main
sys.exit(main(["findings", sys.argv[1], "--engine", "ray"]))
"""


def test_where_ray_is_absent_its_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"id": 1, "text": "No effusion."}\n')
    words = [sys.executable, "-c", ABSENT, str(tmp_path / "texts.jsonl")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "[ray]" in done.stderr) == (2, True)
