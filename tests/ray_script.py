"""What test_data_ray.py runs in its own process: every verb on a fake cluster of two nodes, one of which is killed.

    python ray_script.py FOLDER

Prints one JSON object: for each verb, whether Ray's files and results are those of one process.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tenstep.curation.audit import audit
from tenstep.curation.curating import resolve
from tenstep.curation.curating_offline import curate_offline
from tenstep.curation.findings import findings_of
from tenstep.curation.recheck import recheck
from tenstep.curation.selecting.select import SelectOptions as SelectOptions
from tenstep.curation.selecting.select import select
from tenstep.data.executor import Executor
from tenstep.data.formats.json_lines import json_lines
from tenstep.data.ingest import ingest
from tenstep.data.processes import THIS_PROCESS
from tenstep.data.ray_executor import RayExecutor
from tenstep.data.source import SourceOptions
from tenstep.data.splitting.contamination import StudyInSplit, contamination
from tenstep.data.store.studies import StudyStore

ROWS = range(640)


def where(rows: Sequence[int]) -> list[tuple[int, str]]:
    import time

    import ray

    time.sleep(0.1)
    return [(row, ray.get_runtime_context().get_node_id()) for row in rows]


def killing(rows: Sequence[int]) -> list[int]:
    import os
    import signal

    if 77 in rows:
        os.kill(os.getpid(), signal.SIGKILL)
    return list(rows)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def verbs(folder: Path, name: str, executor: Executor) -> dict[str, Any]:
    """What every verb comes to; studies and a run lie in the folder."""
    options = SourceOptions(text_only=True, data_class="public")
    ingest("jsonl", folder / "in.jsonl", folder / f"{name}-store", options, executor=executor)
    store = StudyStore.open(folder / "studies")
    ones = [StudyInSplit(study, store.path_of, at % 4 == 0) for at, study in enumerate(store)]
    select([folder / "run"], SelectOptions(n=9), folder / f"{name}-selection", held_out=[], executor=executor)
    again = recheck(folder / "run", changes={"severities": {"step_short": "doubt"}}, dry_run=True, executor=executor)
    if executor is THIS_PROCESS:
        traces = folder / "run"
    else:
        traces = folder / f"{name}-run"
        curate_offline(resolve(folder / "recipe.yaml", folder / "studies"), traces, executor, studies=60)
    return {
        "curate": [sorted((traces / f"{table}.jsonl").read_text().splitlines()) for table in ("accepted", "doubted")],
        "ingest": files_of(folder / f"{name}-store"),
        "findings": list(findings_of(json_lines(folder / "texts.jsonl"), explain=True, executor=executor)),
        "split": contamination(lambda: ones, executor=executor),
        "select": files_of(folder / f"{name}-selection"),
        "recheck": (again.candidates, again.changed),
    }


def main(folder: Path) -> None:
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    second = cluster.add_node(**node)
    found_of: dict[str, Any] = {}
    try:
        with RayExecutor(cluster.address) as executor:
            found = list(executor.map_rows(where, ROWS, str))
            found_of["in order"] = [row for row, _ in found] == [one[0] for _, one in found] == list(ROWS)
            found_of["nodes"] = len({one[1] for _, one in found})
            killed = {row: str(one) for row, one in executor.map_rows(killing, range(66, 96), str) if row != one}
            found_of["killed"] = killed
            here, there = verbs(folder, "here", THIS_PROCESS), verbs(folder, "ray", executor)
            found_of |= {verb: here[verb] == there[verb] for verb in here}

            def kill(_: Any) -> None:
                nonlocal second
                if second is not None:
                    cluster.remove_node(second, allow_graceful=False)
                    second = None

            with (
                audit(folder / "texts.jsonl") as alone,
                audit(folder / "texts.jsonl", None, kill, executor=executor) as together,
            ):
                found_of["audit, a node killed"] = second is None and "".join(alone.json()) == "".join(together.json())
                found_of["rows"] = together.totals.rows
    finally:
        cluster.shutdown()
    sys.stdout.write(json.dumps(found_of) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
