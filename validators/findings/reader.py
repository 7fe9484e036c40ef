"""Reading: a text to the claims of its sentences, and a sentence to the part of the reading checklist it is about."""

import re
from dataclasses import replace

from .attach import quantifies
from .claim import Claim, Region, Side, Status
from .lexicon import CUES, lexicon, word_set
from .scope import tagged_sentence
from .sentence import read_sentence
from .tagging import Tagged, tag
from .text import NOT_ASSERTED, headed_sentences, lower, sentences

_SUPPOSES = re.compile(r"\b(?:would|could|should|might|can)\b", re.I)
_ANSWERS = re.compile(r"\b(?:yes|no|none|not|but|there|do (?:find|see)|(?:is|are) (?:present|visible|seen))\b", re.I)
_TAKES_BACK = re.compile(
    r"\b(?:there (?:is|are|was|were) (?:none|no such|nothing)|none|no such|nothing (?:of|like)"
    r" (?:the|that|this|such)|(?:finds?|found|sees?|seen"
    r"|detect|identify) (?:none|nothing)|not (?:find|see|detect|identify|make out|show)"
    r" (?:one|it|any|them|such|that)"
    r"|(?:it|this|that|they|these|which|one) (?:has|have|is|are|does|do|was|were|can|could)(?:n't| ?not)"
    r"|without success|in vain|to no avail|(?:is|are) (?:missing|lacking|absent|nowhere)|neither (?:is|of))\b",
    re.I,
)
# every phrase of it has one of these
_SURE = re.compile(r"\b(?:certain|proven|definite|sure|established|everything|all of)\b", re.I)
_MAY_TAKE_BACK = re.compile(r"n[o'][nt]|no such|neither|vain|avail|missing|lacking|absent|success", re.I)
_LISTED = 6  # characters from one item of a list to the next, at most (", and a")
SENTENCE_LIMIT = 1200  # characters; a longer "sentence" is read in pieces of this size
_STANDS_FOR = word_set("stands_for")
_POINTS = frozenset({"this", "that", "these"})
_VERBAL = CUES["verb"] | CUES["unc_pre"] | CUES["unc_post"] | CUES["break"]
_HEALTHY = frozenset({"normal", "clear", "expanded", "sharp", "intact"})
_ELSEWHERE = word_set("elsewhere")
_NOT_SAID = CUES["neg_pre"] | CUES["neg_post"] | CUES["hyp_pre"] | CUES["hyp_post"] | CUES["alt_post"] | CUES["alt_pre"]
_YES, _NO = ("yes",), ("no", "none", "not", "neither", "nothing")
_NOT_YET = frozenset({"directly", "necessarily", "beyond", "entirely", "quite", "yet", "always", "only", "by"})


def claims(text: str) -> tuple[Claim, ...]:
    """What a report or a step asserts, in order, with spans in `text`.

    Sentences under headings that assert nothing of the image (indication, history, comparison) are passed over. A
    question asserts nothing unless the next sentence answers it with yes or no.
    """
    found: list[Claim] = []
    spans = headed_sentences(text)
    asks = False
    for number, (start, end, heading) in enumerate(spans):
        if heading.startswith(NOT_ASSERTED):
            continue
        for left in range(start, end, SENTENCE_LIMIT):
            read = read_sentence(text[left : min(end, left + SENTENCE_LIMIT)])
            if read and text[end - 1] == "?":
                following = text[spans[number + 1][0] :][:24] if number + 1 < len(spans) else ""
                read = _answered(read, following.lower().split(), text[start:end])
            elif (
                read and asks and _ANSWERS.search(text, left, end) is None
            ):  # "What would count as positive? A cavity, an effusion"
                read = tuple(claim._replace(soft=True) if claim.status == "present" else claim for claim in read)
            found.extend(_moved(claim, left) for claim in read)
        asks = text[end - 1] == "?" and _SUPPOSES.search(text, start, end) is not None
    if any(claim.status == "present" for claim in found) and _MAY_TAKE_BACK.search(text) and _TAKES_BACK.search(text):
        return tuple(_retracted(found, text))
    return tuple(found)


def _retracted(found: list[Claim], text: str) -> list[Claim]:
    """The claim before "there is none", "I do not find one", "in vain", with those listed beside it, is no plain
    assertion: it was looked for, in the same sentence or the one before."""
    spans = sentences(text)
    for match in _TAKES_BACK.finditer(text):
        here = next((number for number, (start, end) in enumerate(spans) if start <= match.start() < end), 0)
        floor = spans[max(0, here - 1)][0] if spans else 0
        before = [
            c.span[0] for c in found if c.status == "present" and floor <= c.span[0] and c.span[1] <= match.start()
        ]
        nearest = max(before, default=0)
        found = [
            claim._replace(soft=True)
            if claim.status == "present" and claim.span[0] in before and nearest - claim.span[1] <= _LISTED
            else claim
            for claim in found
        ]
    return found


def _moved(claim: Claim, by: int) -> Claim:
    if not by:
        return claim
    size = claim.measurement
    if size is not None:
        size = replace(size, span=(size.span[0] + by, size.span[1] + by))
    return claim._replace(
        measurement=size,
        span=(claim.span[0] + by, claim.span[1] + by),
        sentence=(claim.sentence[0] + by, claim.sentence[1] + by),
    )


def _answered(read: tuple[Claim, ...], answer: list[str], asked_in: str) -> tuple[Claim, ...]:
    word = answer[0].strip(",.;:") if answer else ""
    if _SURE.search(asked_in):
        return ()  # "is failure certain?": whichever the answer, it may be there
    if word == "not" and answer[1:] and answer[1].strip(",.;:") in _NOT_YET:
        return ()
    status: Status | None = "present" if word in _YES else "absent" if word in _NO else None
    if status is None:
        return ()
    asked = tuple(
        claim._replace(status=status, soft=False) for claim in read if claim.status == "present" and not claim.implied
    )
    return (
        tuple(c for c in asked if not (c.device and len(asked) > 1) and not _taken_for_granted(c, asked_in))[:1]
        if status == "absent"
        else asked
    )  # "is there pneumonia on top of the emphysema? No"


def _taken_for_granted(claim: Claim, sentence: str) -> bool:
    return sentence[max(0, claim.span[0] - 4) : claim.span[0]].lower().endswith(("the ", "this ", "its "))


def location_of(sentence: str, answers: bool = False) -> tuple[Side | None, tuple[str, ...]] | None:
    """The side and place that a sentence speaks of without naming a finding ("it lies in the right lower lobe").

    None if it names or denies something, if it gives no location, or if no pronoun or noun stands for a finding; one
    that answers a question ("Where? At the base.") needs none.
    """
    tagged, _ = tagged_sentence(sentence)
    entries = tagged.entries
    if not _ELSEWHERE.isdisjoint(tagged.words) or (not answers and not _refers(tagged)):
        return None
    if any(entry.finding or entry.cues & _NOT_SAID or not _HEALTHY.isdisjoint(entry.qualities) for entry in entries):
        return None
    sides = {entry.side for at, entry in enumerate(entries) if entry.side and not quantifies(tagged, at)}
    places = tuple(dict.fromkeys(entry.place for entry in entries if entry.place))
    if not sides and not places:
        return None
    side: Side | None = None
    if sides:
        side = "left" if sides == {"left"} else "right" if sides == {"right"} else "bilateral"
    return side, places


def _refers(tagged: Tagged) -> bool:
    """Whether a pronoun or a noun stands for a finding: "this lies", and not "this region"."""
    words = tagged.words
    return any(
        word in _STANDS_FOR and (word not in _POINTS or words[at + 1 : at + 2] == [] or _acts(tagged, at + 1))
        for at, word in enumerate(words)
    )


def _acts(tagged: Tagged, at: int) -> bool:
    return any(first == at and entry.cues & _VERBAL for first, entry in zip(tagged.first, tagged.entries, strict=True))


def region_of(sentence: str) -> Region:
    """The part of the reading checklist that a sentence is about: its first finding's, else its first organ's."""
    read = read_sentence(sentence)
    explicit = [claim for claim in read if not claim.implied]
    for claim in explicit or read:
        if claim.region != "other" or len(explicit) == 1:
            return claim.region
    if read:
        return read[0].region
    book = lexicon()
    tagged, _ = tagged_sentence(sentence)
    for entry in tagged.entries:
        if entry.finding:
            return book.regions[entry.finding]
    organs = [entry.organ for entry in tagged.entries if entry.organ]
    if not organs or organs[0] == "chest":
        return "technique" if _technique(tagged) or not organs else "other"
    return "technique" if _technique(tagged) and len(set(organs)) > 1 else book.organ_regions[organs[0]]


_TECHNIQUE = word_set("technique")


def names_anything(text: str) -> bool:
    """Whether a text names a part, a finding, a device or a view of a chest film; whatever it says of it."""
    low = lower(text)
    tagged = tag(low, 0, len(low))
    if not (lexicon().topics | word_set("reading")).isdisjoint(tagged.words):
        return True
    return _technique(tagged) or any(
        entry.finding or entry.organ or entry.place or entry.tip or "abnormal" in entry.qualities
        for entry in tagged.entries
    )


def _technique(tagged: Tagged) -> bool:
    return not _TECHNIQUE.isdisjoint(tagged.words)
