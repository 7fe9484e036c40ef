"""Marks of data that may not be public: what files of MIMIC-CXR and CheXpert Plus look like, wherever they lie.

Both are given out under an agreement that forbids passing them on. To declare such files public takes two options:
the class, and a reason that is kept in the store's head.
"""

import re
from collections.abc import Collection, Iterable

from ...schemas.errors import InputError
from ...schemas.study import Study

_NAMES = (
    ("MIMIC-CXR", re.compile(r"mimic[-_ ]?(?:cxr|iv|iii)|physionet", re.I)),
    ("MIMIC-CXR", re.compile(r"(?:^|[/\\_-])p1\d[/\\]p1\d{7}(?:[/\\]s5\d{7})?|(?:^|[/\\])(?:p1|s5)\d{7}(?:$|[/\\.])")),
    ("MIMIC-CXR", re.compile(r"(?:^|[/\\])[0-9a-f]{8}(?:-[0-9a-f]{8}){4}(?:$|\.)")),
    ("CheXpert Plus", re.compile(r"chexpert", re.I)),
    ("CheXpert Plus", re.compile(r"(?:^|[/\\])patient\d{5}(?:$|[/\\](?:study\d|$))")),
)
_COLUMNS = {
    "MIMIC-CXR": frozenset({"subject_id", "dicom_id", "study_id"}),
    "CheXpert Plus": frozenset({"deid_patient_id", "path_to_image", "section_findings", "patient_report_date_order"}),
}
_BLANKS = re.compile(r"(?<![_\w])___(?![_\w])")  # what stands for a name, a date or an age in MIMIC's reports


def refuse_marked(study: Study, names: Iterable[str], columns: Collection[str] = ()) -> None:
    """Refuse a study that is declared public and bears such a mark.

    Args:
        study: its id, patient, images and report are looked at.
        names: of the file and folder it is from.
        columns: names of columns or keys of its row.

    Raises:
        InputError: it does; says which.
    """
    if (found := _mark(study, names, columns)) is not None:
        dataset, why = found
        raise InputError(
            f"'{study.id}' bears a mark of {dataset} ({why}), which may not be passed on: it is not taken as public; "
            "leave --data-class public out, or add --public-because with a reason, which is kept"
        )


def _mark(study: Study, names: Iterable[str], columns: Collection[str]) -> tuple[str, str] | None:
    for dataset, marked in _COLUMNS.items():
        if len(found := sorted(marked.intersection(columns))) > 1:
            return dataset, f"columns {' and '.join(found)}"
    for name in (study.id, study.patient_id, *names, *(image.path for image in study.images)):
        for dataset, pattern in _NAMES:
            if (match := pattern.search(name)) is not None:
                return dataset, f"the name '{match[0]}'"
    if _BLANKS.search(study.report):
        return "MIMIC-CXR", "the blanks '___' in its report"
    return None
