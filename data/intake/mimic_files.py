"""Report files of MIMIC-CXR, one by one, as `tenstep sections` prints them."""

from pathlib import Path
from typing import Any

from .images import read_limited
from .mimic_plan import MAX_REPORT_BYTES
from .mimic_sections import MAIN, override, sections_of, study_of
from .reports import Refusal, decode


def sections_of_file(path: Path) -> dict[str, Any]:
    """One file's sections.

    Returns:
        `file`; `sections`: every section that was found, and the four that the official table has in any case, none
        where they are missing; `override`: the rule and the conclusion of a study that is sectioned by hand. Of a
        file that cannot be read, `sections` is none and `error` says why.
    """
    data = read_limited(path, MAX_REPORT_BYTES, "long_report")
    text = data if isinstance(data, Refusal) else decode(data)
    if isinstance(text, Refusal):
        return {"file": str(path), "sections": None, "error": text.detail}
    record: dict[str, Any] = {"file": str(path), "sections": dict.fromkeys(MAIN) | sections_of(text)}
    if (by_hand := override(study_of(path), text)) is not None:
        record["override"] = {"rule": by_hand.rule, "conclusion": by_hand.conclusion}
    return record
