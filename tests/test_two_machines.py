"""Two machines with networks and disks of their own (machines.py): results are those of one, though one is killed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from machines import ADDRESSES, HOME, SHARED, Machine, two_machines, why_not
from tenstep.data.run import RunFolder
from tenstep.validators.rule import REFERENCE, ten

if missing := why_not():
    pytest.skip(missing, allow_module_level=True)

ROOT = Path(__file__).parents[1]
CLUSTER = f"ray://{ADDRESSES[0]}:6379"
STATEMENT = {
    "places": [CLUSTER],
    "contract": "DPA-1",
    "access": "the members of project 7",
    "not_public": True,
    "region": "here",
    "signed_by": "J. Doe",
    "valid_until": "2099-01-31",
}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    with two_machines(tmp_path) as machines:
        yield machines


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """What the machines call SHARED."""
    return tmp_path / "shared"


def until(what: str, seconds: float = 60) -> Iterator[None]:
    """Goes round until the caller breaks off."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.05)
    pytest.fail(f"{what}: not in {seconds} seconds")


def begin_ray(machine: Machine, *where: str) -> None:
    code = "from ray.scripts.scripts import main; main()"
    words = ("start", *where, "--num-cpus=1", "--object-store-memory=100000000", f"--node-ip-address={machine.address}")
    done = machine.run("python", "-c", code, *words, RAY_USAGE_STATS_ENABLED="0")
    assert done.returncode == 0, done.stderr


def works(machine: Machine) -> bool:
    """Whether a task of Ray runs there."""
    own = Path(f"/proc/{machine.pid}/ns/pid_for_children").readlink()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns" / "pid").readlink() == own and b"ray::_task" in (process / "cmdline").read_bytes():
                return True
        except OSError:
            pass  # it has ended
    return False


@pytest.mark.slow
def test_an_audit_over_ray_is_that_of_one_machine_though_the_other_is_killed(
    pair: tuple[Machine, Machine], shared: Path
) -> None:
    pytest.importorskip("ray")
    first, second = pair
    (shared / "signed.yaml").write_text(json.dumps(STATEMENT))
    reports = (REFERENCE.replace("clear", f"clear in film {n}") for n in range(2500))
    rows = [{"id": n, "text": ten({3: f"Film {n}."}, report=report)} for n, report in enumerate(reports)]
    own = "".join(json.dumps(row) + "\n" for row in rows)
    (shared / "in.jsonl").write_text(own)
    assert first.run("cp", SHARED / "in.jsonl", HOME / "rows.jsonl").returncode == 0  # the other one does not see them
    begin_ray(first, "--head", "--include-dashboard=false")
    begin_ray(second, f"--address={ADDRESSES[0]}:6379")
    audit = ("tenstep", "audit", HOME / "rows.jsonl", "--json")
    there = ("--engine", "ray", "--address", f"{ADDRESSES[0]}:6379")

    refused = first.run(*audit, *there)
    assert refused.returncode == 2 and f"restricted data may not leave for {CLUSTER}" in refused.stderr

    signed = (*there, "--attestation", SHARED / "signed.yaml")
    other = ROOT / "validators" / "substance.py"
    (shared / "other.py").write_text(other.read_text() + "# another version\n")
    assert second.run("mount", "--bind", SHARED / "other.py", other).returncode == 0
    done = first.run(*audit, *signed)
    assert done.returncode == 2 and f"on node {ADDRESSES[1]}: tenstep, or a plugin, is another one" in done.stderr
    assert second.run("umount", other).returncode == 0

    alone = first.run(*audit, "--workers", "1")
    with first.start(*audit, *signed) as together:
        for _ in until("the second machine works"):
            if works(second):
                break
        second.kill()
        said, errors = together.communicate(timeout=120)
    assert (together.returncode, alone.returncode) == (0, 0), errors
    assert said == alone.stdout != ""
    assert json.loads(said)["rows"] == len(rows)


SERVER = """
import hashlib, json, sys, time
sys.path.insert(0, sys.argv[1])
from servers.teacher import TeacherServer
from tenstep.data.run import RunFolder
from tenstep.validators.rule import ten

def write(body):
    found = hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest()
    with open(sys.argv[3], "a") as log:
        log.write(found + "\\n")
    return ten({3: f"Film {found}."}, report=None) if int(found, 16) % 3 else "nothing of use"

with TeacherServer(host=sys.argv[2], port=8000, latency=0.1, write=write):
    while True:
        time.sleep(60)
"""


def judged(run: Path) -> list[tuple[str, str, str, str]]:
    """Every answer, with its verdict."""
    with RunFolder.read(run) as opened:
        return sorted((c.study_id, c.key, c.text, verdict.model_dump_json()) for c, verdict in opened.judged())


def test_shards_on_two_machines_one_of_them_killed_are_merged_to_the_run_of_one(
    pair: tuple[Machine, Machine], shared: Path
) -> None:
    first, second = pair
    (shared / "server.py").write_text(SERVER)
    reports = {f"s{n}": REFERENCE.replace("clear", f"clear in film {n}") for n in range(40)}
    rows = ({"id": name, "patient_id": name, "report": report} for name, report in reports.items())
    (shared / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    url = f"http://{ADDRESSES[0]}:8000"
    options = {"base_urls": [f"{url}/v1"], "model": "m", "server": "other", "constrained": False}
    terms = {"endpoint": url, "basis": "our own", "attested_by": "J. Doe", "attested_on": "2026-01-01"}
    recipe = {
        "kind": "curate",
        "name": "t",
        "studies": str(SHARED / "studies"),
        "teachers": [{"kind": "local", "options": options}],
        "concurrency": 4,
        "resend_unknown": "yes",
        "policy": {"training_terms": [terms]},
    }
    (shared / "recipe.yaml").write_text(json.dumps(recipe))
    ingest = ("tenstep", "ingest", "jsonl", SHARED / "in.jsonl", "--text-only", "--out", SHARED / "studies")
    made = first.run(*ingest, "--data-class", "public")
    assert made.returncode == 0, made.stderr
    serve = ("python", SHARED / "server.py", ROOT / "tests", ADDRESSES[0], SHARED / "asked")
    curate = ("tenstep", "curate", SHARED / "recipe.yaml", "--yes", "--out")
    knock = f"import socket; socket.create_connection({(ADDRESSES[0], 8000)})"
    with first.start(*serve):
        for _ in until("the server answers"):
            if second.run("python", "-c", knock).returncode == 0:
                break
        one = first.run(*curate, HOME / "one")
        assert one.returncode == 0, one.stderr
        before = len((shared / "asked").read_text().splitlines())

        shards = [(*curate, HOME / f"shard{n}", "--shard", f"{n}/2") for n in (1, 2)]
        with second.start(*shards[1]) as killed:
            for _ in until("the second machine asks"):
                if len((shared / "asked").read_text().splitlines()) > before + 10:
                    break
            second.kill()
            assert killed.wait(timeout=30) == -9
        for machine, shard, name in zip(pair, shards, ("shard1", "shard2"), strict=True):
            done = machine.run(*shard)
            assert done.returncode == 0, done.stderr
            assert machine.run("cp", "-r", HOME / name, SHARED).returncode == 0
    merged = first.run("tenstep", "merge-runs", HOME / "whole", SHARED / "shard1", SHARED / "shard2")
    assert merged.returncode == 0, merged.stderr
    assert first.run("cp", "-r", HOME / "whole", HOME / "one", SHARED).returncode == 0
    assert judged(shared / "whole") == judged(shared / "one") != []


def test_machines_end_with_the_process_that_began_them(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from machines import two_machines
with two_machines(Path(sys.argv[1])) as (first, second):
    first.start("sleep", "987654")
    print(first.pid, second.pid, flush=True)
    os.kill(os.getpid(), 9)
"""
    place = {"PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=os.environ | place, timeout=60
    )
    assert done.returncode == -9
    for _ in until("they have ended", 20):
        if not any(Path(f"/proc/{pid}").exists() for pid in done.stdout.split()):
            break
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
