"""Reports in our own words, decided by what is on the film. Short sentences, few words: a tiny student can learn them.

Upright and portable films come from two readers, each with wording of their own, so that the image decides the
wording as well; `Side` in a sentence is the patient's. Every region is named in a sentence of its own.
"""

from .truth import Truth

_ORDER = ("Technique", "View", "Findings", "Impression")


def sections(truth: Truth) -> dict[str, str]:
    """The four sections, keyed technique, view, findings, impression; each one line."""
    if truth.view == "PA":
        return {
            "technique": "Upright chest radiograph.",
            "view": "PA.",
            "findings": " ".join(_upright(truth)),
            "impression": _impression(truth, "No acute disease.", "Enlarged heart."),
        }
    return {
        "technique": "Portable chest radiograph.",
        "view": "AP.",
        "findings": " ".join(_portable(truth)),
        "impression": _impression(truth, "Normal portable chest.", "Cardiomegaly."),
    }


def report(truth: Truth) -> str:
    """The report in four-header form."""
    parts = sections(truth)
    return "\n".join(f"{header}: {parts[header.lower()]}" for header in _ORDER)


def _upright(truth: Truth) -> list[str]:
    return [
        _device(truth, "There is a {}.", "There are no lines or tubes."),
        "The heart is enlarged." if truth.heart == "enlarged" else "The heart size is normal.",
        "The trachea is midline.",
        f"There is a nodule in the {_place(truth)}." if truth.nodule else "The lungs are clear.",
        f"There {_effusion(truth)}." if truth.effusion != "none" else "There is no pleural effusion.",
        f"There is a {truth.pneumothorax} pneumothorax." if truth.pneumothorax else "There is no pneumothorax.",
        "The vessels are normal.",
        "The bones are intact.",
    ]


def _portable(truth: Truth) -> list[str]:
    return [
        _device(truth, "A {} is in place.", "No lines or tubes are seen."),
        "The cardiac silhouette is enlarged." if truth.heart == "enlarged" else "The cardiac silhouette is normal.",
        "The airway is midline.",
        f"A nodule is seen in the {_place(truth)}." if truth.nodule else "No focal lung opacity is seen.",
        f"{_capital(_effusion_noun(truth))} seen." if truth.effusion != "none" else "No pleural effusion is seen.",
        f"A {truth.pneumothorax} pneumothorax is seen." if truth.pneumothorax else "No pneumothorax is seen.",
        "The vessels are not congested.",
        "No fracture is seen.",
    ]


def _impression(truth: Truth, normal: str, heart: str) -> str:
    """The positive findings, the most urgent first; devices are not repeated."""
    named = [
        f"{truth.pneumothorax.capitalize()} pneumothorax." if truth.pneumothorax else "",
        _effusion_title(truth),
        heart if truth.heart == "enlarged" else "",
        f"{_capital(_place(truth))} nodule." if truth.nodule else "",
    ]
    return " ".join(filter(None, named)) or normal


def _device(truth: Truth, present: str, absent: str) -> str:
    name = {"central line": "right central line", "pacemaker": "left chest pacemaker"}
    return present.format(name[truth.device]) if truth.device else absent


def _place(truth: Truth) -> str:
    assert truth.nodule is not None
    return f"{truth.nodule.side} {truth.nodule.zone} lung"


def _effusion(truth: Truth) -> str:
    if truth.effusion == "bilateral":
        return f"are {truth.effusion_size} bilateral pleural effusions"
    return f"is a {truth.effusion_size} {truth.effusion} pleural effusion"


def _effusion_noun(truth: Truth) -> str:
    if truth.effusion == "bilateral":
        return f"{truth.effusion_size} bilateral pleural effusions are"
    return f"a {truth.effusion_size} {truth.effusion} pleural effusion is"


def _effusion_title(truth: Truth) -> str:
    if truth.effusion == "none":
        return ""
    plural = "s" if truth.effusion == "bilateral" else ""
    return f"{_capital(f'{truth.effusion_size} {truth.effusion}')} pleural effusion{plural}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
