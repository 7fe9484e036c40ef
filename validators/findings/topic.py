"""Topic: what a sentence is about, whatever it says of it."""

from .claim import Region
from .claims import read_sentence
from .lexicon import lexicon, word_set
from .modifiers import parsed

_TECHNIQUE = word_set("technique")
_READING = word_set("reading")
_STANDS_FOR = word_set("stands_for")  # pronouns, for what was named before
_CONTENT, _STRANGE = 4, 2  # letters of a word that is about something; words that make a text strange, at least


def region_of(text: str) -> Region:
    """The part of the reading checklist that a sentence is about: its first finding's, else its first organ's."""
    read = read_sentence(text)
    explicit = [claim for claim in read if not claim.implied]
    for claim in explicit or read:
        if claim.region != "other" or len(explicit) == 1:
            return claim.region
    if read:
        return read[0].region
    book, found = lexicon(), parsed(text)[0]
    for entry in found.entries:
        if entry.finding:
            return book.regions[entry.finding]
    organs = [entry.organ for entry in found.entries if entry.organ]
    technique = not _TECHNIQUE.isdisjoint(found.words)
    if not organs or organs[0] == "chest":
        return "technique" if technique or not organs else "other"
    return "technique" if technique and len(set(organs)) > 1 else book.organ_regions[organs[0]]


def is_off_topic(text: str) -> bool:
    """Whether a text names no part, finding, device, view or reading of a film, stands for none ("it has healed"), and
    has more words that the lexicon has never seen than others; function words count for neither."""
    found, book = parsed(text)[0], lexicon()
    if any(not words.isdisjoint(found.words) for words in (book.topics, _READING, _TECHNIQUE, _STANDS_FOR)):
        return False
    if any(entry.finding or entry.organ or entry.place or entry.tip for entry in found.entries):
        return False
    content = [word for word in found.words if len(word) >= _CONTENT and word.isalpha()]
    strange = sum(word not in book.vocabulary for word in content)
    return strange >= _STRANGE and 2 * strange > len(content)
