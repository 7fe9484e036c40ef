"""Ids compared: the one place that says when two ids, written by different hands, name the same study or patient.

    plain_id       "\\ufeff1000.0 " is 1000: no mark, no blanks around it, accents composed, a whole number without `.0`
    patient_key    the same behind a source's name: csv/1000.0 is csv/1000, and jsonl/1000 is another patient
    native_key     the same without the source: what may be one patient in two sources
    join_ids       a list of ids against studies that are known: each entry that matches none is named

Spreadsheets, data frames, editors and file systems write ids so; two that differ in nothing else are one.
"""

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator

# With a full stop, as people write it, `None.` is a sentence.
MISSING_WORDS = frozenset({"nan", "none", "null", "n/a", "na", "nat", "nil", "<na>", "#n/a", "(null)", "undefined"})
_AROUND = re.compile(r"^[\s\ufeff\u200b-\u200f\u2060]+|[\s\ufeff\u200b-\u200f\u2060]+$")
_WHOLE = re.compile(r"([0-9]+)\.0+")
_LETTERED = re.compile(r"[a-z]{1,4}([0-9]+)")


def plain_id(text: str) -> str:
    """An id as it is stored and compared."""
    if text.isascii() and text.isalnum():  # nearly all
        return text
    plain = unicodedata.normalize("NFC", _AROUND.sub("", text))
    whole = _WHOLE.fullmatch(plain)
    return whole[1] if whole else plain


def patient_key(patient_id: str) -> str:
    """A patient's id, `<source>/<native id>` or native alone, as it is compared."""
    source, slash, native = patient_id.partition("/")
    return f"{source}/{plain_id(native)}" if slash else plain_id(patient_id)


def native_key(patient_id: str) -> str:
    """A patient's id without its source, and without letters before a number: csv/10000032 is mimic-cxr/p10000032.

    Equal ones are perhaps the same patient: one file's rows that were ingested as two kinds, or two hospitals'.
    """
    return _number(patient_id) or _native(patient_id)


def native_text(value: object) -> str | None:
    """An id of a JSON object: a text, or a whole number however it is written; none for null, NaN and blanks.

    Raises:
        ValueError: it is something else.
    """
    if value is None or value != value:
        return None
    if isinstance(value, str):
        return None if is_missing(value) else plain_id(value) or None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf and value == int(value):
        return str(int(value))
    raise ValueError("a text or a whole number is wanted")


def is_missing(text: str) -> bool:
    """Whether a cell holds nothing, or a word that tables and programs write for a missing value."""
    plain = text.strip()
    return not plain or (len(plain) < 10 and plain.lower() in MISSING_WORDS)


Native = Annotated[str, BeforeValidator(native_text)]
OptionalNative = Annotated[str | None, BeforeValidator(native_text)]


class Joined(NamedTuple):
    """What a list came to."""

    found: frozenset[str]  # ids of known studies that the list names
    missing: tuple[str, ...]  # entries that name none of them, as they are written
    of: int  # entries


def join_ids(listed: Iterable[str], known: Iterable[str]) -> Joined:
    """Find the studies that a list names.

    An entry is compared as a whole id (`open-i/CXR1`), then without the source (`CXR1`, or `csv/CXR1`), then a bare
    number with one behind letters (`50414267` and `s50414267`); what an earlier way finds is not looked for in a later
    one.

    Args:
        listed: its entries.
        known: ids of studies.
    """
    entries = tuple(dict.fromkeys(listed))
    ids = tuple(known)
    found: set[str] = set()
    left = list(entries)
    for of_entry, of_id in _FORMS:
        index: dict[str, list[str]] = defaultdict(list)
        for id_ in ids:
            if (key := of_id(id_)) is not None:
                index[key].append(id_)
        matched = {entry: index[key] for entry in left if (key := of_entry(entry)) in index}
        found.update(id_ for ids_ in matched.values() for id_ in ids_)
        left = [entry for entry in left if entry not in matched]
        if not left:
            break
    return Joined(frozenset(found), tuple(left), len(entries))


def _whole_id(id_: str) -> str:
    return patient_key(plain_id(id_))


def _native(id_: str) -> str:
    return plain_id(plain_id(id_).rpartition("/")[2]).casefold()


def _number(id_: str) -> str | None:
    lettered = _LETTERED.fullmatch(_native(id_))
    return lettered[1] if lettered else None


_Form = Callable[[str], str | None]
# Letters are left out on one side only: the studies NY001 and LA001 of two hospitals are not one.
_FORMS: tuple[tuple[_Form, _Form], ...] = (
    (_whole_id, _whole_id),
    (_native, _native),
    (_number, _native),
    (_native, _number),
)
