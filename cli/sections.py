"""`tenstep sections`: MIMIC-CXR reports in sections, by the official rules."""

import argparse
from pathlib import Path
from typing import Any

from ..schemas.outcome import Outcome, Table


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep sections`."""
    parser = commands.add_parser(
        "sections",
        help="the sections of MIMIC-CXR reports, by the official rules",
        description="Split MIMIC-CXR report files into sections exactly as the official script does. Studies that it "
        "sections by hand are known by their file's name (s50913680.txt) and get an 'override' with the sections.",
        epilog="examples:\n"
        "  tenstep sections files/p10/p10000032/s50414267.txt\n"
        "  tenstep sections files/p10/p10000032/*.txt --json sections.jsonl",
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="report files, as MIMIC-CXR has them")
    parser.set_defaults(run=_sections, json_keys=(frozenset({"file", "sections"}),))


def _sections(args: argparse.Namespace) -> Outcome:
    records = [_sections_of(file) for file in args.files]
    bad = [record for record in records if "error" in record]
    rows = [
        (record["file"], name, " ".join(text.split())) if text else (record["file"], name, "-")
        for record in records
        for name, text in (record["sections"] or {}).items()
    ]
    return Outcome(
        records=tuple(records),
        tables=(Table(title="sections", columns=("file", "section", "text"), rows=tuple(rows)),),
        notes=tuple(f"{record['file']}: {record['error']}" for record in bad),
        exit_code=2 if bad else 0,
    )


def _sections_of(path: Path) -> dict[str, Any]:
    """One file's sections, as they are printed.

    Returns:
        `file`; `sections`: every section that was found, and the four that the official table has in any case, none
        where they are missing; `override`: the rule and the conclusion of a study that is sectioned by hand. Of a
        file that cannot be read, `sections` is none and `error` says why.
    """
    from ..data.intake.images import read_limited
    from ..data.intake.mimic_plan import MAX_REPORT_BYTES
    from ..data.intake.mimic_sections import MAIN, override, sections_of, study_of
    from ..data.intake.reports import Refusal, decode

    data = read_limited(path, MAX_REPORT_BYTES, "long_report")
    text = data if isinstance(data, Refusal) else decode(data)
    if isinstance(text, Refusal):
        return {"file": str(path), "sections": None, "error": text.detail}
    record: dict[str, Any] = {"file": str(path), "sections": dict.fromkeys(MAIN) | sections_of(text)}
    if (by_hand := override(study_of(path), text)) is not None:
        record["override"] = {"rule": by_hand.rule, "conclusion": by_hand.conclusion}
    return record
