"""What is evaluated: a sampling run, or a file of hypotheses and references, as pairs with their patients.

Of a sampling run two parts are compared with the reference report: the report that the student wrote, and everything
that it wrote. An answer without a readable report stays, as an empty one: it is counted, and it costs.

A file, gzipped or not, has one JSON object a line: `id`, `hypothesis`, `reference`, and perhaps `patient_id`; without
it, each line is a patient. What class of data it holds is not known.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ...data.formats.json_lines import json_lines
from ...data.ids import patient_key, plain_id
from ...data.judged import Judged
from ...data.run import RunFolder
from ...schemas.errors import InputError
from ...schemas.sample_recipe import SampleRecipe
from ...schemas.study import Study
from .finding_f1 import positive
from .labels import LABELS
from .measure import Pair

REPORT, WHOLE = "report", "whole output"
FINDINGS, IMPRESSION, NORMAL, ABNORMAL = "findings", "impression", "normal studies", "abnormal studies"
By = Literal["section", "stratum"]
Unanswered = Literal["empty", "exclude"]
_MOST = 8  # colours of a plot
_HEADER = re.compile(r"^(Technique|View|Findings|Impression):[ \t]*", re.M)


class StudentOutputs(NamedTuple):
    """What one student wrote, with the references."""

    name: str
    parts: Mapping[str, Sequence[Pair]]
    model: str | None = None
    model_sha256: str | None = None
    temperature: float | None = None
    without_report: int = 0  # answers in which no report could be found
    not_answered: int = 0  # answers that the student did not give, of a study without an image for instance
    unanswered: Unanswered = "empty"  # whether these count as empty answers
    public: bool = False  # every study is known to be public; of a file this is not known
    sources: tuple[str, ...] = ()  # where the studies come from


def read(path: Path, temperature: float | None = None, unanswered: Unanswered = "empty") -> StudentOutputs:
    """Read a sampling run, or a JSONL file.

    Args:
        path: the folder or file.
        temperature: which answers of a run with several temperatures.
        unanswered: what becomes of answers that the run wanted and the student did not give.

    Raises:
        InputError: it is neither, holds nothing, or a line cannot be used.
        RunError: the run cannot be read.
    """
    source = _run(path, temperature, unanswered) if path.is_dir() else _file(path)
    if not source.parts[REPORT]:
        raise InputError("there is nothing to evaluate here; name a run of tenstep sample, or a JSONL file", file=path)
    return source


def read_all(paths: Sequence[Path], temperature: float | None, unanswered: Unanswered) -> list[StudentOutputs]:
    """Several students; those whose folders have one name get that of the folder above as well.

    Raises:
        InputError: see `read`; or the same is named twice, or more than eight.
    """
    if len(paths) > _MOST:
        raise InputError(f"at most {_MOST} students are compared at once; name fewer")
    if len({path.resolve() for path in paths}) < len(paths):
        raise InputError("the same student is named twice; leave one out", field="against")
    sources = [read(path, temperature, unanswered) for path in paths]
    names = [source.name for source in sources]
    return [
        source if names.count(source.name) == 1 else source._replace(name=f"{path.resolve().parent.name}/{source.name}")
        for path, source in zip(paths, sources, strict=True)
    ]


def check_same(one: StudentOutputs, other: StudentOutputs) -> None:
    """Two students can be compared on the same studies only.

    Raises:
        InputError: they answered other studies, or had other references; names the first.
    """
    references = {pair.id: pair.reference for pair in other.parts[REPORT]}
    ours = {pair.id for pair in one.parts[REPORT]}
    alone = next((pair.id for pair in one.parts[REPORT] if pair.id not in references), None)
    alone = alone or next((pair.id for pair in other.parts[REPORT] if pair.id not in ours), None)
    if alone is not None:
        raise InputError(
            f"'{one.name}' and '{other.name}' do not answer the same: '{alone}' is in one only; "
            "sample both on the same studies"
        )
    changed = next((pair.id for pair in one.parts[REPORT] if pair.reference != references[pair.id]), None)
    if changed is not None:
        raise InputError(
            f"'{one.name}' and '{other.name}' have different references for '{changed}'; "
            "compare answers to one set of reports"
        )


def with_parts(source: StudentOutputs, by: Sequence[By]) -> StudentOutputs:
    """The source with more parts: its reports by section, or by what their reference says.

    A section is compared where the reference has it; an answer that lacks it is empty there. Abnormal studies are those
    whose reference has an abnormal finding.

    Args:
        source: with its reports.
        by: which parts to add.
    """
    parts = dict(source.parts)
    reports = parts[REPORT]
    if "section" in by:
        for name in (FINDINGS, IMPRESSION):
            pairs = [
                pair._replace(hypothesis=section(pair.hypothesis, name), reference=wanted)
                for pair in reports
                if (wanted := section(pair.reference, name))
            ]
            parts |= {name: pairs} if pairs else {}
    if "stratum" in by:
        normal = {pair.id: bool(positive(pair.reference)[LABELS.index("No Finding")]) for pair in reports}
        for name, kind in ((NORMAL, True), (ABNORMAL, False)):
            pairs = [pair for pair in reports if normal[pair.id] is kind]
            parts |= {name: pairs} if pairs else {}
    return source._replace(parts=parts)


def section(text: str, name: str) -> str:
    """The text under one of the four headers; empty if it is not there."""
    heads = list(_HEADER.finditer(text))
    for at, head in enumerate(heads):
        if head[1].lower() == name:
            return text[head.end() : heads[at + 1].start() if at + 1 < len(heads) else None].strip()
    return ""


def _run(path: Path, temperature: float | None, unanswered: Unanswered) -> StudentOutputs:
    with RunFolder.read(path) as run:
        if run.manifest.kind != "sample":
            raise InputError("holds no student's answers; make them with: tenstep sample", file=path)
        recipe = SampleRecipe.model_validate(run.manifest.recipe, strict=False)
        if temperature is None:
            if len(recipe.temperatures) > 1:
                described = ", ".join(map(str, recipe.temperatures))
                raise InputError(
                    f"sampled at several temperatures; choose one with --temperature: {described}", file=path
                )
            temperature = recipe.temperatures[0]
        if temperature not in recipe.temperatures:
            raise InputError(
                f"nothing was sampled at temperature {temperature}; choose one that was, or leave it out",
                file=path,
                field="temperature",
            )
        at = recipe.temperatures.index(temperature)
        chosen = [one for one in run.judged() if one.candidate.sample // recipe.n == at]
        chosen.sort(key=lambda one: (one.candidate.study_id, one.candidate.sample))
        pairs = [_pairs(run, one, at * recipe.n) for one in chosen]
        without_report = sum(not report.hypothesis.strip() for report, _ in pairs)
        given = {(one.candidate.study_id, one.candidate.sample - at * recipe.n) for one in chosen}
        public = run.studies.data_class == "public"
        silent = [
            (study, number)
            for study in islice(run.studies, recipe.limit)
            for number in range(recipe.n)
            if (study.id, number) not in given
        ]
        if unanswered == "empty":
            pairs += [_empty(study, number) for study, number in silent]
            pairs.sort(key=lambda both: both[0].id)
    parts = {REPORT: [report for report, _ in pairs], WHOLE: [whole for _, whole in pairs]}
    if all(report.hypothesis == whole.hypothesis for report, whole in pairs):  # the prompt wants reports only
        del parts[WHOLE]
    return StudentOutputs(
        name=path.name,
        parts=parts,
        model=chosen[0].candidate.model if chosen else None,
        model_sha256=recipe.model_sha256,
        temperature=temperature,
        without_report=without_report,
        not_answered=len(silent),
        unanswered=unanswered,
        public=public,
        sources=tuple(sorted({study.partition("/")[0] for study, _ in given})),
    )


def _pairs(run: RunFolder, judged: Judged, first: int) -> tuple[Pair, Pair]:
    candidate = judged.candidate
    study = run.studies.get(candidate.study_id)
    name = f"{study.id}#{candidate.sample - first}"
    patient = f"{study.source}/{patient_key(study.patient_id)}"
    report = candidate.trace.report if candidate.trace is not None else None
    return Pair(name, patient, report or "", study.report), Pair(name, patient, candidate.text, study.report)


def _empty(study: Study, number: int) -> tuple[Pair, Pair]:
    pair = Pair(f"{study.id}#{number}", f"{study.source}/{patient_key(study.patient_id)}", "", study.report)
    return pair, pair


def _file(path: Path) -> StudentOutputs:
    pairs: dict[str, Pair] = {}
    for line in json_lines(path):
        if line.found is None:
            raise InputError(line.problem, file=path, row=line.row)
        pair = _pair(line.found, path, line.row)
        if pair.id in pairs:
            raise InputError(
                f"'{pair.id}' stands twice; keep one answer of each study", file=path, row=line.row, field="id"
            )
        pairs[pair.id] = pair
    ordered = [pairs[name] for name in sorted(pairs)]
    return StudentOutputs(
        path.stem, {REPORT: ordered}, without_report=sum(not pair.hypothesis.strip() for pair in ordered)
    )


def _pair(row: Mapping[str, Any], path: Path, number: int) -> Pair:
    for field in ("id", "hypothesis", "reference"):
        if not isinstance(row.get(field), str):
            raise InputError("is missing, or not a text; give one", file=path, row=number, field=field)
    if not row["reference"].strip():
        raise InputError(
            "is empty, so there is nothing to compare with; give the report, or leave the row out",
            file=path,
            row=number,
            field="reference",
        )
    name, patient = plain_id(row["id"]), row.get("patient_id")
    return Pair(name, name if patient is None else plain_id(str(patient)), row["hypothesis"], row["reference"])
