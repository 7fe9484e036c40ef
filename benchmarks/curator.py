"""Curator (bespokelabs-curator) on the requests of benchmarks/teacher.py, run by an interpreter of its own.

    PYTHON benchmarks/curator.py URL REQUESTS CONCURRENCY

REQUESTS is a JSON-lines file of request bodies. As its users write it: an `LLM` with `prompt` and `parse`, its own
`openai` backend, its cache (a folder in HOME), and no rate but the number of requests under way. The clock starts once
it is imported. Its telemetry is switched off by whoever starts this (TELEMETRY_ENABLED). It prints, as JSON, how many
answers were read, seconds, seconds of processor (workers: of processes that it started), and the MB at most.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import litellm.litellm_core_utils.default_encoding  # noqa: F401  the tokenizer that it brings, or it would be downloaded
from bespokelabs import curator

_NO_LIMIT = 10**9  # requests and tokens a minute


class Ten(curator.LLM):  # type: ignore[misc]  # of a package that is installed elsewhere
    """Ten steps from one request."""

    def prompt(self, input: dict[str, Any]) -> Any:
        """The messages of a request."""
        return json.loads(input["messages"])

    def parse(self, input: dict[str, Any], response: str) -> list[dict[str, Any]]:
        """Whether the answer is an object of ten."""
        return [{"ten": len(json.loads(response)) == 10}]


def main(url: str, requests: str, concurrency: str) -> None:
    """Ask, and print what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    bodies = [json.loads(line) for line in Path(requests).read_text("utf-8").splitlines()]
    shared = {name: value for name, value in bodies[0].items() if name not in ("model", "messages")}
    limits = {"max_requests_per_minute": _NO_LIMIT, "max_tokens_per_minute": _NO_LIMIT}
    llm = Ten(
        model_name=bodies[0]["model"],
        backend="openai",
        generation_params=shared,
        backend_params={
            "base_url": f"{url}/v1", "api_key": "none", "max_concurrent_requests": int(concurrency), **limits
        },
    )  # fmt: skip
    answers = llm([{"messages": json.dumps(body["messages"])} for body in bodies]).dataset
    found = {"done": sum(answers["ten"]), "seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    found["workers"] = sum(os.times()[2:4])
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps(found | {"mb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
