"""The dataset card (README.md) and the Croissant description of an export: written from the run's record, never typed.

    figures.json      what the runs came to: teachers, prompts, counts, cost, rules; join copies it
    README.md         the hub's dataset card: YAML head, then figures, rules, terms and limits
    croissant.json    the same for machines: Croissant 1.1 with RAI fields (croissant.py)
    findings.svg      findings of the references

A card holds no text of a study.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...data.charts import Bar, bars
from ...data.files import readable_by, replace_text
from ...data.run import RunFolder
from ...data.selection import examples_of, runs_of
from ...schemas.errors import InputError
from ...schemas.export import ExportManifest
from ...validators import measured
from ...validators.findings import claims
from ...validators.gate import RULES
from ..markdown import facts
from . import croissant
from .model_card import DISCLAIMER, INHERITED, UNKNOWN
from .terms import dataset_terms

README, FIGURES, PLOT = "README.md", "figures.json", "findings.svg"
CARD_FILES = (README, FIGURES, PLOT, croissant.FILE)
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_SHOWN = 30


def describe(out: Path, manifest: ExportManifest, *, run: Path | None, card_of: Path | None = None) -> None:
    """Write card, plot and Croissant into the folder of an export.

    Args:
        out: the export.
        manifest: its own.
        run: what was exported; none if that is not at hand.
        card_of: another export, whose figures are this one's: what was joined.
    """
    if run is not None:
        figures = figures_of(run, reviewed_only=manifest.reviewed_only)
    else:
        assert card_of is not None  # one of the two is given
        figures = _read(card_of / FIGURES)
    with readable_by(owner_only=manifest.data_class == "restricted"):
        replace_text(out / FIGURES, json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
        replace_text(out / PLOT, _plot(figures["findings"]))
        write_card(out, manifest, figures, licence=None)


def write_card(out: Path, manifest: ExportManifest, figures: Mapping[str, Any], *, licence: str | None) -> None:
    """Write what states the licence: the card and the Croissant description."""
    replace_text(out / README, render(manifest, figures, licence=licence))
    replace_text(out / croissant.FILE, croissant.render(out, manifest, figures, licence=licence))


def figures_of(path: Path, *, reviewed_only: bool = False) -> dict[str, Any]:
    """What the runs behind an export came to, and what is in it; no text of a study."""
    findings: Counter[str] = Counter()
    views: Counter[str] = Counter()
    resolved: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    words = {"steps": 0, "report": 0}
    normal = examples = repaired = 0
    for example, _, _ in examples_of(path, reviewed_only=reviewed_only):
        examples += 1
        study, provenance = example.study, example.provenance
        present = {claim.finding for claim in claims(study.report) if claim.status == "present"}
        findings.update(present)
        normal += not present
        views.update(study.views or tuple(image.view for image in study.images))
        repaired += provenance.attempt > 1
        warnings.update(provenance.warnings)
        if provenance.resolution is not None:
            resolved[provenance.resolution.by] += 1
        words["steps"] += sum(len(text.split()) for text in example.trace.texts)
        words["report"] += len(study.report.split())
    return {
        "examples": examples,
        "normal": normal,
        "findings": dict(findings.most_common()),
        "views": dict(views.most_common()),
        "repaired": repaired,
        "doubts resolved by": dict(sorted(resolved.items())),
        "warnings": dict(warnings.most_common(_SHOWN)),
        "words": {part: round(count / max(1, examples), 1) for part, count in words.items()},
        "runs": [_run(one) for one in runs_of(path)],
        "rules": rules(),
    }


def _run(path: Path) -> dict[str, Any]:
    codes: Counter[str] = Counter()
    prompts: Counter[str] = Counter()
    models: Counter[str] = Counter()
    with RunFolder.read(path) as run:
        manifest = run.manifest
        for candidate, verdict in run.judged(by_study=True):
            prompts[candidate.prompt_id] += 1
            models[f"{candidate.teacher}: {candidate.model}"] += 1
            if verdict.outcome == "reject":
                codes.update(set(verdict.codes))
    policy = manifest.policy
    return {
        "name": manifest.name,
        "started": manifest.started,
        "finished": manifest.finished,
        "tenstep": manifest.code_version,
        "recipe_sha256": manifest.recipe_sha256,
        "teachers": dict(models.most_common()),
        "prompts": dict(prompts.most_common()),
        "counts": manifest.counts,
        "spend_usd": manifest.spend_usd,
        "policy": None if policy is None else policy.reason,
        "rejected": dict(codes.most_common(_SHOWN)),
    }


def rules() -> list[dict[str, Any]]:
    """Every rule with its codes, how they weigh, and how they fared on the labelled set."""
    found = measured.read()
    return [
        {
            "rule": rule.__name__.rpartition(".")[2],
            "protects": (rule.__doc__ or "").strip().partition("\n")[0],
            "codes": dict(rule.CODES),
            "measured": {code: found.codes[code] for code in rule.CODES if code in found.codes},
        }
        for rule in RULES
    ]


def render(manifest: ExportManifest, figures: Mapping[str, Any], *, licence: str | None) -> str:
    """The card's text."""
    rows = sum(manifest.rows.values())
    name = manifest.runs[0].name if manifest.runs else "tenstep"
    lines = [
        *_head(manifest, rows, licence),
        f"# {name}: ten-step reasoning for chest X-ray reports",
        "",
        DISCLAIMER,
        "",
        "Written by tenstep from the runs' own record; nothing here was typed by hand.",
        "",
        INHERITED,
        "",
        *dataset_terms(manifest.sources, restricted=manifest.data_class == "restricted"),
        "## What it holds",
        "",
        *facts(
            {
                "rows": ", ".join(f"{split} {n:,}" for split, n in manifest.rows.items()),
                "patients": f"{manifest.patients:,}",
                "images": f"{manifest.images:,}" if manifest.complete else "none: ids, steps and hashes only",
                "form": manifest.exporter,
                "judged by": "rules, and readers who have accepted each row"
                if manifest.reviewed_only
                else "rules; see below",
                "preference pairs": f"{manifest.pairs.made:,}",
                "normal references": f"{figures['normal']:,} of {figures['examples']:,}",
                "views": _counted(figures["views"]),
                "words of steps / report": f"{figures['words']['steps']:g} / {figures['words']['report']:g}, mean",
                "sources": ", ".join(manifest.sources),
            }
        ),
    ]
    if not manifest.complete:
        lines += [
            "The studies are restricted, so their reports and images are not here. Whoever has them: "
            "`tenstep join THIS --studies STORE --out DIR`, which compares every report and image with its hash.",
            "",
        ]
    lines += ["Each row asks:", "", "```", manifest.prompt, "```", ""]
    lines += [f"![Findings of the references]({PLOT})", ""] if figures["findings"] else []
    lines += ["## How it was made", ""]
    for run in figures["runs"]:
        lines += _made(run)
    if manifest.selection is not None:
        lines += ["A selection of those runs:", "", "```json", json.dumps(manifest.selection, indent=1), "```", ""]
    lines += _judged(manifest, figures)
    lines += _limits()
    return "\n".join(lines).rstrip() + "\n"


def _head(manifest: ExportManifest, rows: int, licence: str | None) -> list[str]:
    size = next((name for most, name in _SIZES if rows < most), "n>1M")
    head = [
        "---",
        f"license: {licence or UNKNOWN}",
        "language: [en]",
        "task_categories: [image-text-to-text]" if manifest.images else "task_categories: [text-generation]",
        f"size_categories: ['{size}']",
        "tags: [radiology, chest-x-ray, chain-of-thought, tenstep, medical]",
    ]
    if manifest.exporter == "parquet" and manifest.complete:
        head += ["configs:", "- config_name: default", "  data_files:"]
        head += [line for split in manifest.rows for line in (f"  - split: {split}", f"    path: data/{split}.parquet")]
    return [*head, "---", ""]


def _made(run: Mapping[str, Any]) -> list[str]:
    spend = run["spend_usd"]
    return [
        *facts(
            {
                "run": run["name"],
                "teachers": _counted(run["teachers"]),
                "prompts": _counted(run["prompts"]),
                "studies": ", ".join(f"{name} {n:,}" for name, n in run["counts"].items()),
                "cost": "unknown" if spend is None else f"${spend:.2f}",
                "data policy": run["policy"] or "none recorded",
                "recipe, SHA-256": run["recipe_sha256"],
                "started, finished": f"{run['started']}, {run['finished'] or 'not finished'}",
                "tenstep": run["tenstep"],
            }
        )
    ]


def _judged(manifest: ExportManifest, figures: Mapping[str, Any]) -> list[str]:
    rejected: Counter[str] = Counter()
    for run in figures["runs"]:
        rejected.update(run["rejected"])
    set_name = measured.read().of
    lines = [
        "## How it was judged",
        "",
        f"Rules of tenstep {manifest.code_version}. A rule is cited with what it found among {set_name}: hits on good "
        "traces are false, hits on bad ones may be of another fault than theirs.",
        "",
        "| rule | codes | good / bad traces hit | rejected here |",
        "| --- | --- | --- | --- |",
    ]
    for rule in figures["rules"]:
        codes = ", ".join(f"{code} ({severity})" for code, severity in rule["codes"].items())
        hits = ", ".join(f"{code} {good} / {bad}" for code, (good, bad) in rule["measured"].items()) or "-"
        here = ", ".join(f"{code} {rejected[code]:,}" for code in rule["codes"] if rejected[code]) or "-"
        lines.append(f"| {rule['rule']} | {codes} | {hits} | {here} |")
    resolved = _counted(figures["doubts resolved by"])
    return [
        *lines,
        "",
        f"Repaired after a first answer was rejected: {figures['repaired']:,}. Doubts resolved by: {resolved}. "
        f"Warnings that stand: {_counted(figures['warnings'])}.",
        "",
        "A rejected candidate is kept with its run, with the rule, the step and the words that it was rejected for; "
        "`pairs` hold those that make a preference pair.",
        "",
    ]


def _limits() -> list[str]:
    return [
        "## Known limits",
        "",
        "- Steps were written with the reference at hand, unless a prompt says otherwise: they explain a known answer.",
        "- Rules compare words with the reference, not with the image: what is accepted is supported by the report.",
        "- The lexicon does not know every phrase: read a sample before you rely on a figure.",
        "- References are what one reader wrote; they leave out normal findings and can be wrong.",
        "",
    ]


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.items()) or "none"


def _plot(findings: Mapping[str, int]) -> str:
    shown = list(findings.items())[:_SHOWN]
    lines = [Bar(name.replace("_", " "), (("kept", n),), f"{n:,}") for name, n in shown]
    return bars("References that assert a finding", lines, max((n for _, n in shown), default=1), file=True)


def _read(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        raise InputError("cannot be read; export again", file=file) from None
    return found


def read_figures(folder: Path) -> dict[str, Any]:
    """The figures in the folder of an export.

    Raises:
        InputError: they are missing.
    """
    return _read(folder / FIGURES)
