"""What the terms of a source hand down to a dataset that is made from it."""

from collections.abc import Sequence

_TERMS = {
    "mimic-cxr": "MIMIC-CXR, under the PhysioNet Credentialed Health Data License and Data Use Agreement 1.5.0: what "
    "is derived from its reports is shared on PhysioNet on the same terms, with credentialed users, and nowhere else.",
    "chexpert-plus": "CheXpert Plus, under the Stanford University Dataset Research Use Agreement: not for commercial "
    "use, and not to be passed on, derived texts included.",
    "open-i": "Open-i (Indiana University), whose reports say CC BY-NC-ND 4.0: not for commercial use, and no adapted "
    "text may be passed on.",
}
_OTHER = "{}: ask for the terms of that source, which hold for these rows too."


def dataset_terms(sources: Sequence[str], *, restricted: bool) -> list[str]:
    """Lines of a list, one a source."""
    lines = [f"- {_TERMS.get(source, _OTHER.format(source))}" for source in sources]
    if restricted:
        lines.append("- The studies are restricted: these rows go only where the studies may go.")
    return [*lines, ""]
