"""`tenstep sections`: MIMIC-CXR reports in sections, by the official rules."""

import argparse
from pathlib import Path

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
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="report files, as MIMIC-CXR has them")
    parser.set_defaults(run=_sections, json_keys=(frozenset({"file", "sections"}),))


def _sections(args: argparse.Namespace) -> Outcome:
    from ..data.intake.mimic_files import sections_of_file

    records = [sections_of_file(file) for file in args.files]
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
