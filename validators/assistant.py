"""Assistant talk: refusals, apologies, talk about the task, advice. A step is a reading, not a conversation.

It protects the student from learning a chat model's manners.

On 20,702 sentences of real reports (Open-i), used as steps: 7 findings, six of them "please note" or "please see".
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .patterns import Patterns
from .rule import Case, Finder, Group, ten
from .steps import steps_of

GROUP: Group = "honesty"
CODES: Mapping[str, Severity] = {"refusal": "error", "assistant_talk": "error"}
find = Finder(__name__, CODES)

_REFUSES = Patterns(
    r"\b(?:i|we)(?:'m| am| are|'re)? (?:sorry|unable|not able|not allowed|not permitted|not qualified"
    r"|not in a position)\b"
    r"|\b(?:i|we) (?:cannot|can't|can not) (?:\w+ly )?(?:interpret|analy[sz]e|assist|help|provide|comply|fulfil|answer"
    r"|view|open|access|process|complete|continue|write|generate|produce|give|offer|diagnose|create|read (?:the"
    r"|this|these) images?"
    r"|see (?:the|this|these|that|images?)|look at|perform|discuss|reveal)\b"
    r"|\b(?:i|we) (?:won't|will not) (?:provide|do|help|answer|comply|assist|generate|write|give"
    r"|describe|read|be|analy[sz]e)"
    r"|\b(?:i|we) (?:must decline|am forced to decline"
    r"|do not have the ability|don't have the ability)\b"
    r"|\bsorry,|\bi apologi[sz]e\b|\bmy apologies\b|\bunable to (?:view|see|access|open|load|process"
    r"|analy[sz]e|interpret|comply|assist|provide) (?:the|this|any|images?|medical|an?|with)\b"
    r"|\bno image (?:was|is|has been) (?:provided|supplied|attached|given)\b",
)
_TALKS = Patterns(
    r"\bas an? (?:ai|a\.i\.|artificial|language model|llm|assistant|large|expert radiologist|radiologist)\b"
    r"|\b(?:language|ai) model\b|\bchat ?gpt\b|\bopenai\b|\banthropic\b|\bclaude\b|\bchatbot\b"
    r"|\b(?:your|the) (?:prompt|instructions?|user)\b"
    r"|\byour (?:request|task|query)\b|\byour question\b|\bas (?:requested|instructed"
    r"|asked|prompted)\b|\bthe user\b"
    r"|\bsystem prompt\b|(?:^|[.!:,;]\s*)here (?:are|is) (?:the|my|your|an?|ten|10)\b|\blet me know\b"
    r"|\b(?:let me|let's|let us|i'll|i will|i need to|i have to|i should|i shall|i am going to|i'm going to|we need to"
    r"|we have to)\s+(?:now |first |carefully |try to )?(?:think (?:step|aloud|this|it)|write|produce|generate"
    r"|provide|follow|break|answer|respond|format|draft|create|give you|explain (?:this|it|to|my)|analy[sz]e "
    r"(?:the|this)"
    r"|comply|number|output)\b"
    r"|\bi (?:hope|understand (?:that )?(?:you|the|your))\b|\bi(?: am|'m) (?:happy|glad|here|an?|ready|asked|supposed"
    r"|instructed|required)\b"
    r"|\b(?:hope this helps|feel free|happy to help|please (?:consult|let me|provide|see (?:an?|your)|refer|seek)"
    r"|certainly!|sure[,!]|of course[,!]|great question|you're welcome|thank you)"
    r"|\b(?:consult|seek|contact|see|ask) (?:with )?(?:a|an|your|the) (?:doctor|physician|healthcare"
    r"|health care|medical|qualified|licensed|professional|specialist|clinician)\b"
    r"|\b(?:medical advice|not a (?:doctor|substitute)|educational purposes|disclaimer|knowledge cut-?off"
    r"|training data)\b"
    r"|\b(?:step \d+ of \d+|ten[- ]steps?|10 steps|next step is to|previous instructions|ignore (?:all|the"
    r"|previous|above)|chain[- ]of[- ]thought|reasoning trace|reasoning steps?|word limit|output format|json"
    r"|markdown)\b"
    r"|</?(?:think|thinking|reasoning|answer|scratchpad)>|\bstep[- ]by[- ]step\b",
)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """A refusal, or the first words of each step that talk to a user."""
    for position, text in steps_of(candidate):
        match = _REFUSES.search(text)
        code = "refusal" if match else "assistant_talk"
        match = match or _TALKS.search(text)
        if match:
            advice = (
                "read the image, or leave the step to what can be seen"
                if code == "refusal"
                else "state the reading only"
            )
            yield find(code, f"{match.group()!r} talks to a reader; {advice}.", step=position, span=match.span())


PASSES = (
    Case(ten()),
    Case(ten({5: "We see clear lungs, and one looks for nodules last."})),
    Case(ten({3: "The heart cannot be called enlarged."})),
)
FAILS = (
    Case(ten({1: "I'm sorry, I cannot interpret medical images."}), "refusal"),
    Case(ten({1: "No image was provided."}), "refusal"),
    Case(ten({1: "As an AI language model: single frontal view."}), "assistant_talk"),
    Case(ten({10: "Synthesis: normal. Please consult a physician."}), "assistant_talk"),
    Case(ten({1: "Sure, here are the ten steps."}), "assistant_talk"),
    Case(ten({4: "Let's think step by step about the trachea."}), "assistant_talk"),
)
