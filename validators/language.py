"""Language: a step that is not English, or that switches away from it.

It protects an English data set from teachers that change language. It counts letters of other scripts and the small
words of German, Spanish, French, Portuguese, Italian and Dutch, and those of English; anatomical Latin counts as
neither.

On 20,702 sentences of real reports (Open-i), used as steps: no finding.
"""

import re
from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .rule import Case, Finder, Group, ten
from .steps import steps_of, vocabulary, words_of

GROUP: Group = "form"
CODES: Mapping[str, Severity] = {"wrong_language": "error"}
find = Finder(__name__, CODES)

# compiled when the first such text comes: large sets of characters take as long as the rest of the module
_OTHER_SCRIPT = r"[\u0370-\u1fff\u2c00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00010000-\U0003ffff]"
_ENGLISH = frozenset(
    re.findall(
        r"\w+",
        "the a an of and or is are was were in on at to with without no not there this that it its as for from by be "
        "both which but so any has have can may within over normal clear seen lung lungs heart right left ",
    )
)
_FOREIGN = frozenset(
    re.findall(
        r"\w+",
        "der das den dem ein eine einen einem und oder ist sind nicht kein keine keinen mit ohne im am auf zu zur zum "
        "bei von vom auch wird werden beide beiden nach nur sich el los las del una uno unos es son con sin por para "
        "se lo hay ni como más muy está están ambos le les un et ou est sont dans sur avec sans pas ne ce cette aux "
        "au elle deux os da dos em na nos nas um uma é são com sem não há gli della dello dei delle nel nella di che "
        "sono senza alla het een zijn niet geen met zonder te door ook voor pulmones corazón derrame herz lunge "
        "lungen pleuraerguss herzgröße poumons coeur épanchement pulmões coração polmoni cuore normales claros "
        "normaux pulmón pulmonar cardíaco cardiaca silueta neumotórax derecho izquierdo droit gauche rechts links "
        "unauffällig frei rechte linke rechten linken ",
    )
)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Steps with words of another language."""
    for position, text in steps_of(candidate):
        if text.isascii() and _FOREIGN.isdisjoint(vocabulary(text)):
            continue
        words = words_of(text)
        foreign = sum(word in _FOREIGN for word in words)
        english = sum(word in _ENGLISH for word in words)
        letters = 0 if text.isascii() else len(re.findall(_OTHER_SCRIPT, text))
        if letters >= 3 or (foreign >= 2 and foreign > english) or foreign >= 4:
            yield find(
                "wrong_language", "The step is not in English, or not all of it; write English only.", step=position
            )


PASSES = (Case(ten()), Case(ten({9: "No pectus excavatum, no spina bifida; situs solitus."})))
FAILS = (
    Case(ten({5: "Beide Lungen sind frei, kein Erguss ist zu sehen."}), "wrong_language"),
    Case(ten({5: "Los pulmones están claros y sin derrame pleural."}), "wrong_language"),
    Case(ten({5: "双肺清晰，未见实变。"}), "wrong_language"),
    Case(
        ten({5: "The lungs are clear, et il y a pas de pneumothorax dans les poumons avec le coeur normal."}),
        "wrong_language",
    ),
)
