"""What the terms of a source hand down to what is made from it: rows of a dataset, or weights that learned them."""

from collections.abc import Sequence
from typing import NamedTuple


class _Terms(NamedTuple):
    agreement: str
    rows: str
    weights: str


_REPEAT = "Weights trained on its reports may repeat them"
_TERMS = {
    "mimic-cxr": _Terms(
        "MIMIC-CXR, under the PhysioNet Credentialed Health Data License and Data Use Agreement 1.5.0",
        ": what is derived from its reports is shared on PhysioNet on the same terms, with credentialed users, and "
        "nowhere else.",
        f". {_REPEAT}: they are shared on PhysioNet under the same terms, with credentialed users, and nowhere else. "
        "No attempt may be made to identify a person.",
    ),
    "chexpert-plus": _Terms(
        "CheXpert Plus, under the Stanford University Dataset Research Use Agreement: not for commercial use, and not "
        "to be passed on",
        ", derived texts included.",
        f". {_REPEAT}, and are under the same terms.",
    ),
    "open-i": _Terms(
        "Open-i (Indiana University), whose reports say CC BY-NC-ND 4.0: not for commercial use, and no adapted text "
        "may be passed on.",
        "",
        "",
    ),
}


def dataset_terms(sources: Sequence[str], *, restricted: bool) -> list[str]:
    """Lines of a list for rows, one a source."""
    unknown = "{}: ask for the terms of that source, which hold for these rows too."
    lines = [_line(source, "rows", unknown.format(source)) for source in sources]
    if restricted:
        lines.append("- The studies are restricted: these rows go only where the studies may go.")
    return [*lines, ""]


def model_terms(sources: Sequence[str], *, restricted: bool) -> list[str]:
    """The same for weights; without sources it says that they are not known."""
    unknown = "{}: the terms of that source hold for these weights too, since weights may repeat what they learned."
    lines = [_line(source, "weights", unknown.format(source)) for source in sources]
    if not sources:
        kind = "Restricted data" if restricted else "Data"
        lines.append(f"- {kind}, whose source is not at hand: ask who gave them before these weights leave.")
    elif restricted:
        lines.append("- The data are restricted: these weights go only where the data may go.")
    return [*lines, ""]


def _line(source: str, what: str, unknown: str) -> str:
    found = _TERMS.get(source)
    return f"- {unknown}" if found is None else f"- {found.agreement}{getattr(found, what)}"
