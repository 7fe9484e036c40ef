"""Leak: a step speaks of the report that it is meant to precede ("as the impression says", "catheter mentioned").

It protects the student from learning to cite a text it will not have (defect D2 of docs/explanation/seed.md): a step
speaks of the image. Radiologists' own words for their reading ("overall impression: normal") pass; words that point to
a given text do not.

On 20,702 sentences of real reports (Open-i), used as steps: 23 findings, "as described", "documented" and the like.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .patterns import Patterns
from .rule import Case, Finder, Group, ten
from .steps import steps_of

GROUP: Group = "honesty"
CODES: Mapping[str, Severity] = {"reference_leak": "error", "cites_text": "doubt", "outside_source": "doubt"}
find = Finder(__name__, CODES)

_SAYS = (
    r"(?:says?|states?|stated|reads?|notes?|noted|describes?|described|mentions?|mentioned|lists?|listed"
    r"|indicates?|calls?|called"
    r"|reports?|reported|confirms?|confirmed|documents?|documented|specif(?:y|ies|ied)|concludes?|concluded"
    r"|tells?|gives?|given|denies"
    r"|provided|above|below|supplied|section|attached|itself|already)"
)
_LEAKS = (
    r"\b(?:in|from|by) the (?:findings|impression)\b(?! of| so far| above)",
    # a report as a thing; "to report", "nothing to report" and "can be reported" are the reader's own
    r"(?<!to )(?<!and )(?<!will )(?<!\bi )(?<!\bwe )(?<!\bmy )(?<!\bour )\breports?\b"
    r"(?! (?:of|that) (?:fever|cough|pain))",
    r"(?<!be )(?<!can )\breported(?:ly)?\b",
    # another reader's impression
    r"\b(?:as|per|by|with|to|from|in|under|match(?:es|ing)?|echo(?:es|ing)?|mirror(?:s|ing)?|follow(?:s|ing)?"
    r"|fits?|reflect(?:s|ing)?"
    r"|support(?:s|ing)?|repeat(?:s|ing)?|confirm(?:s|ing)?|quot(?:es|ing)|reproduc(?:es|ing)|restat(?:es"
    r"|ing))\s+the\s+(?:\w+\s+)?impression\b",
    rf"\bimpression\s+(?:that\s+)?(?:was\s+|is\s+|has\s+)?{_SAYS}\b",
    r"\b(?:given|stated|official|provided|written|supplied|radiologist'?s?|reference|documented"
    r"|dictated)\s+(?:impression|findings?|conclusion|diagnosis|interpretation|text|wording|description)\b",
    r"\b(?:findings?|impression|technique|indication|comparison|conclusion)\s+section\b",
    rf"\b(?:the|this|that|provided|given|accompanying)\s+(?:findings?|text|reference|narrative|dictation"
    rf"|description)\s+(?:{_SAYS})\b",
    r"\b(?:ground[ -]truth|gold[ -]standard|answer key|correct answer|expected (?:answer|output|report"
    r"|findings?)|target (?:text|report|output)|reference standard|true label|label(?:s|led) (?:as|say)|(?:the"
    r"|these|given|image) labels|(?:given|image) label)\b",
    r"\b(?:the|this|that|known|given|provided|supplied|accompanying|attached|original|source)\s+(?:reference"
    r"|narrative|dictation|transcript|write-?up|document(?:ation)?)\b",
    r"\b(?:the|interpreting|reporting|reading|attending|original|by (?:a|the)|per (?:a"
    r"|the)?)\s*radiologists?(?:'s?)?\b(?!\s+would)",
    # what only a text has: wording, lines, paragraphs; who quotes, copies or was handed something has one
    r"\b(?:the|this|that|its|whose|given|supplied|provided|accompanying|attached)\s+(?:\w+\s+){0,2}?(?:text"
    r"|paragraphs?|transcript|typescript|write-?up|dictation|prose|caption|wordings)\b"
    r"|\b(?:text|wording|paragraph|sentence|write-?up|sheet|answer) (?:in front of|handed|supplied|given|provided"
    r"|that came|which came|that accompanies|accompanying|before)\b",
    r"\b(?:i was|we were|i am|we are|us|me) shown\b|\bin writing\b|\b(?:interpreting|reporting|reading|referring"
    r"|responsible)"
    r" (?:physician|doctor|clinician|consultant|specialist|colleague)\b|\b(?:physician|doctor|radiologist"
    r"|colleague|author)s?"
    r" (?:wrote|writes|has written|noted|says|said|put)\b",
    r"\b(?:quot(?:e|es|ed|ing)|verbatim|word for word|typed|paraphras\w+|transcrib\w+)\b",
    r"\b(?:copied|lifted|borrowed|taken|cribbed|repeated|read off) (?:straight |directly )?(?:from|out of) the "
    r"(?!side|frontal"
    r"|lateral|right|left|image|film|view|level|lung|heart|hilum|hilar|carina|aort|spine|apex|apices|base|midline)",
    r"\b(?:the|those|these|its|their|exact|very|same) words\b|\bwords of the\b|\bin (?:its|so many|as many|these"
    r"|those) words\b",
    r"\b(?:typed|written|numbered|stated|printed|signed|official|supplied|given|documented|dictated|reported|recorded)"
    r" (?:conclusions?|impressions?|findings?|statements?|readings?|diagnos[ie]s)\b",
    r"\b(?:accompanying|supplied|provided|handed|attached|enclosed) (?:interpretation|conclusion|diagnosis|reading"
    r"|material"
    r"|information|note|notes|answer|result|findings?|impression)\b",
    r"\b(?:line|lines|item|items|part|entry|point|end|wording|words|section|statement|heading|header) of the"
    r" (?:impression|findings|conclusion|report|technique)\b",
    r"\b(?:impression|findings?|conclusion) (?:line|paragraph|section|heading|header|part|field|block|entry"
    r"|statement|item"
    r"|text)s?\b",
    r"\bwe were (?:handed|supplied|shown in writing)\b|\bcame with the (?:images?|films?|case|study|radiographs?)\b"
    r"|\bsupplied with the (?:images?|films?|case|study|radiographs?)\b",
    r"\bthe impression\b(?! (?:of|that|left|made|given by|is\b(?! read| clear)|:|one|here|remains|arises|gained"
    r"|conveyed|from"
    r"|becomes|overall|so far|on|i|we|this|which))",
    r"\bas (?:given|listed|recorded|written|indicated|outlined|specified|detailed|worded"
    r"|provided)\b(?! (?:above|earlier|before|previously|already|in step|in steps|in the (?:previous|first"
    r"|last) step))",
    r"\b(?:described|noted|listed|recorded|written|given|found|contained) (?:in|by) the (?:findings?"
    r"|impression|text|reference|narrative|description|documentation|request|chart|notes?|clinical)\b",
    r"\b(?:according to|as per|per|in line with|in accordance with|in agreement with|consistent with"
    r"|in keeping with|agree(?:s|ing)? with|match(?:es|ing)?|correspond(?:s|ing)? (?:to|with)|align(?:s|ed"
    r"|ing)? with)\s+(?:the|this|its|that|what)\s+(?:\w+\s+){0,2}?(?:findings?|impression|text|description"
    r"|reference|narrative|reading|record|documentation|note|statement|wording|conclusion given|ground truth"
    r"|official|stated|provided|expected|known diagnosis|written)\b(?! (?:of|on|in) (?:the )?(?:left|right"
    r"|other|same|frontal|lateral|lungs?|pleura|heart|step|image|both))",
    r"\b(?:we are|i am|we were|i was|having been)\s+(?:told|given|informed)\b",
    r"\b(?:known|provided|given) (?:diagnosis|answer|conclusion)\b",
)
_PATTERN = Patterns(*_LEAKS)
# participles that point to a text, unless to an earlier step; or to what the step itself says: never more than a doubt
_CITED = Patterns(
    r"(?<!be )(?<!been )\b(?:mentioned|referenced|documented|dictated|transcribed|cited)\b"
    r"(?! (?:without|here|only|for completeness"
    r"|above|earlier"
    r"|before|previously|already|in step|in steps|in the (?:previous|first|last) step))"
)
# what came with the images: who speaks of it as known has read of the patient
_OUTSIDE = Patterns(
    r"\b(?:the|this|that|her|his|their|patient'?s?|stated|clinical|presenting)\s+(?:\w+\s+)?"
    r"(?P<source>request|requisition|complaint|history|indication|referral|card)\b"
)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """The first words of each step that point to a given text, or to what was known of the patient."""
    for position, text in steps_of(candidate):
        leak = _PATTERN.search(text)
        if match := leak or _CITED.search(text):
            yield find(
                "reference_leak" if leak else "cites_text",
                f"{match.group()!r} speaks of a given text; describe what the image shows instead.",
                step=position,
                span=match.span(),
            )
        elif (match := _OUTSIDE.search(text)) and match["source"].lower() not in study.report.lower():
            yield find(
                "outside_source",
                f"{match.group()!r} speaks of what no image shows; describe what is seen.",
                step=position,
                span=match.span(),
            )


PASSES = (
    Case(ten()),
    Case(ten({10: "Overall impression: a normal chest, with nothing to report."})),
    Case(ten({9: "As noted above, the lungs are clear; this is best described as a normal skeleton."})),
    Case(ten({3: "The upright posture gives the impression of a slender heart."})),
    Case(ten({10: "Synthesis: I report a normal chest."})),
)
FAILS = (
    Case(ten({6: "No pleural effusion, as the report states."}), "reference_leak"),
    Case(ten({10: "Synthesis: normal chest, in agreement with the impression."}), "reference_leak"),
    Case(ten({2: "No catheter is mentioned."}), "cites_text"),
    Case(ten({10: "Synthesis: the impression reads no acute abnormality."}), "reference_leak"),
    Case(ten({5: "The lungs are clear according to the findings."}), "reference_leak"),
    Case(ten({5: "The radiologist saw clear lungs."}), "reference_leak"),
    Case(ten({5: "Clear lungs, which fits the ground truth."}), "reference_leak"),
    Case(ten({9: "The request asks for a cause of her cough, and none is seen."}), "outside_source"),
)
