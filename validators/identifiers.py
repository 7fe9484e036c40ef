"""Identifiers: names, dates, ages, numbers of a person or an examination, addresses in a step.

It protects patients first, and the student from inventing such details. A step needs none of them.

On 20,702 sentences of real reports (Open-i), used as steps: no finding.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .patterns import Patterns
from .rule import Case, Finder, Group, ten
from .steps import steps_of

GROUP: Group = "honesty"
CODES: Mapping[str, Severity] = {"identifier": "error", "date": "error", "patient_detail": "error"}
find = Finder(__name__, CODES)

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_DATE = Patterns(
    rf"(?<![\d.])\d{{1,2}}(?P<mark>[/.])\d{{1,2}}(?P=mark)(?:\d{{4}}|\d{{2}})(?!\d)|\b(?:19|20)\d\d-\d{{1,2}}-\d{{1,2}}\b"
    rf"|\b{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?,? (?:19|20)\d\d\b"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH}\.?,? (?:19|20)\d\d\b|\b{_MONTH}\.? (?:of )?(?:19"
    rf"|20)\d\d\b|\b(?:in|since|of|dated|from|on) (?:19|20)\d\d\b|\b\d{{1,2}}:\d\d(?::\d\d)?\s?(?:[ap]\.?m\.?"
    rf"|hours|hrs|h)\b|\bat \d{{1,2}}:\d\d\b",
)
_IDENTIFIER = Patterns(
    r"\b(?:MRN|M\.R\.N\.|medical record|accession|patient (?:id|identifier|number|name)|study (?:id|number)"
    r"|exam (?:id|number)|subject id|account|SSN|DOB|date of birth|insurance)\s*(?:no\.?|number|id"
    r"|#)?\s*[:#=]?\s*\S*\d\S*"
    r"|\b\d{3}-\d{2}-\d{4}\b|\(?\b\d{3}\)?[-. ]\d{3}[-. ]\d{4}\b|(?<![\d.])\d{6,}(?![\d.])"
    r"|\b[A-Z]{2,4}\d{5,}\b|[\w.+-]{1,64}@[\w-]{1,64}\.[\w.]{2,20}|\bhttps?://\S+|\bwww\.\S+"
    r"|\b(?:Dr|Mr|Mrs|Ms|Miss|Prof)\.? [A-Z][a-z]+|\bDoctor [A-Z][a-z]+\b|\b(?:patient|name)(?:'s name)?(?: is"
    r"|:) [A-Z][a-z]+ [A-Z][a-z]+\b|\b(?:DOB|MRN|SSN)\b",
    flags=0,
)
_DETAIL = Patterns(
    r"\b(?:\d{1,3}|[a-z]+(?:ty|teen)(?:[- ](?:one|two|three|four|five|six|seven|eight"
    r"|nine))?)[- ]years?[- ]old\b|\b\d{1,3}[- ]?(?:yo|y/o|yr old|y\.o\.)\b|\baged? (?:of )?\d{1,3}\b"
    r"|\b\d{1,3}[- ](?:months?|weeks?|days?)[- ]old (?:infant|boy|girl|child|male|female|baby|patient)\b"
    r"|\b(?:hospital|medical center|clinic) (?:of|in|at) [A-Z][a-z]+|\b[A-Z][a-z]+ (?:General|Memorial"
    r"|University|County|Regional|Community) (?:Hospital|Medical|Clinic|Health)",
    flags=0,
)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """The first date, number or detail of each step that could point to a person."""
    for position, text in steps_of(candidate):
        for code, pattern in (("date", _DATE), ("identifier", _IDENTIFIER), ("patient_detail", _DETAIL)):
            match = pattern.search(text)
            if match:
                yield find(
                    code,
                    f"{match.group()!r} may identify a person or an examination; leave it out.",
                    step=position,
                    span=match.span(),
                )
                break


PASSES = (
    Case(ten()),
    Case(ten({9: "T8 to T10 and ribs 4/5 are intact; in an adult this is usual."})),
    Case(ten({5: "No nodule of 4.2 cm or 12.5 mm, as one might expect, is seen."})),
)
FAILS = (
    Case(ten({1: "Single frontal view of 03/14/2019."}), "date"),
    Case(ten({1: "Frontal view taken on March 3, 2021."}), "date"),
    Case(ten({1: "Frontal view, accession number 123456."}), "identifier"),
    Case(ten({1: "Frontal view read by Dr. Miller."}), "identifier"),
    Case(ten({1: "Frontal view of a 65-year-old man."}), "patient_detail"),
)
