"""Peers that run in an environment of their own, since their pins and ours do not go together.

medspaCy    on the same texts: `pip install medspacy` there, and name its Python with --medspacy
Curator     on the same requests (curator.py): `pip install bespokelabs-curator`, and --curator
"""

import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

# Phrases for the 14 labels, two or three each: what a user of a general engine would write in an hour.
TARGETS = {
    "atelectasis": ("atelectasis", "atelectases", "atelectatic"),
    "cardiomegaly": ("cardiomegaly", "enlarged heart", "heart is enlarged", "cardiac enlargement"),
    "pleural_effusion": ("effusion", "effusions", "pleural fluid"),
    "infiltration": ("infiltrate", "infiltrates", "infiltration"),
    "mass": ("mass", "masses"),
    "nodule": ("nodule", "nodules"),
    "pneumonia": ("pneumonia",),
    "pneumothorax": ("pneumothorax", "pneumothoraces"),
    "consolidation": ("consolidation", "consolidations"),
    "edema": ("edema",),
    "emphysema": ("emphysema", "emphysematous"),
    "fibrosis": ("fibrosis", "fibrotic"),
    "pleural_thickening": ("pleural thickening",),
    "hernia": ("hernia",),
}
_SCRIPT = """
import json, sys, time
import loguru; loguru.logger.disable("PyRuSH")
import medspacy
from medspacy.ner import TargetRule
asked = json.load(sys.stdin)
nlp = medspacy.load()
nlp.get_pipe("medspacy_target_matcher").add(
    [TargetRule(phrase, label) for label, phrases in asked["targets"].items() for phrase in phrases])
nlp(asked["texts"][0])
start = time.process_time()
docs = [nlp(text) for text in asked["texts"]]
seconds = time.process_time() - start
asserted = [sorted({e.label_ for e in doc.ents if not (e._.is_negated or e._.is_uncertain or e._.is_historical
            or e._.is_hypothetical or e._.is_family)}) for doc in docs]
print(json.dumps({"rate": len(docs) / seconds, "asserted": asserted}))
"""


class Beside(NamedTuple):
    """Texts a second of processor time, and the labels that each text asserts."""

    rate: float
    asserted: list[set[str]]


def medspacy(python: str, texts: list[str]) -> Beside:
    """Run medspaCy with TARGETS over the texts.

    Raises:
        SystemExit: it did not run; the last line of what it said is shown.
    """
    done = subprocess.run(
        [python, "-c", _SCRIPT],
        check=False,
        input=json.dumps({"texts": texts, "targets": TARGETS}),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"medspaCy did not run: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return Beside(answer["rate"], [set(found) for found in answer["asserted"]])


def curator(
    python: str, folder: Path, url: str, requests: Iterable[dict[str, Any]], concurrency: int
) -> dict[str, float]:
    """Let Curator ask a server; what curator.py prints.

    Args:
        python: the interpreter.
        folder: a new one, for its cache.
        url: the server's.
        requests: bodies of chat completions.
        concurrency: requests under way.

    Raises:
        SystemExit: it did not run; the last line of what it said is shown.
    """
    file = folder / "requests.jsonl"
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(body) + "\n" for body in requests)
    quiet = {"TELEMETRY_ENABLED": "false", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "CURATOR_DISABLE_RICH_DISPLAY": "1"}
    done = subprocess.run(
        [python, str(Path(__file__).with_name("curator.py")), url, str(file), str(concurrency)],
        check=False, capture_output=True, text=True, env={**os.environ, **quiet, "HOME": str(folder)},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"Curator did not run: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
