"""Age and sex taken out of a history, for texts that a prompt may show: both can be read off few films; and texts
compared without the surrogates that de-identification put in.

Works on words and patterns, on any text: `67 yo M with cough`, `___-year-old woman`, `She had`. What stands in
their place is `patient` or nothing. Names and dates are the sources' own duty: they come de-identified.
"""

import re

_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_NUMBER = rf"(?:_{{2,}}|\d{{1,3}}|(?:{_TENS})(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?)"
_UNIT = r"(?:year|yr|month|mo|week|wk|day)s?"
_ADULT = "women|woman|men|man|females?|males?|lady|ladies|gentlem[ae]n|girls?|boys?"
_AS_SEX = rf"(?i:{_ADULT})\b|[MF]\b"
_AGE = rf"{_NUMBER}[- ]*(?:{_UNIT}[- ]*(?:old|of age)|y/?o|y\.o\.|m/o)(?!\w)|aged? {_NUMBER}\b"
# An age, perhaps with a sex; a time only with one (`3 days of cough` is none); a number with a letter: 67M, ___ F.
_AGE_AND_SEX = re.compile(
    rf"\b(?:[Aa]n? +)?(?:(?i:{_AGE})[ ,]*(?:{_AS_SEX})?|(?i:{_NUMBER}[- ]*{_UNIT}) (?:{_AS_SEX})"
    rf"|(?:{_NUMBER}|_+)[MF]\b|(?:_{{2,}}|\d{{2,3}}) [MF]\b)"
)
_LETTER = re.compile(r"\s*(?:_{2,}\s*)?[MF](?=[ ,]|$)")
_WORD = re.compile(
    r"\b(?:(?P<title>(?:mrs?|ms|miss)\b\.?\s*)|(?P<own>his|hers|her(?= \w))\b"
    rf"|(?P<self>he|she|him|her|himself|herself)\b|(?P<sex>(?:an? +)?(?:{_ADULT}))\b)",
    re.I,
)
_BECOMES = {"title": "", "own": "the patient's", "self": "the patient", "sex": "patient"}
_TWICE = re.compile(r"\b(?:the +)?patient(?: +patient)+\b")
_SPACE = re.compile(r"[ \t]+([,.;:)])|[ \t]{2,}")


def without_age_and_sex(text: str) -> str:
    """The text with every mention of age and sex replaced by `patient`, or left out.

    Titles go, `he` and `she` become `the patient`, `his` and `her` become `the patient's`.
    """
    plain = _AGE_AND_SEX.sub(" patient ", text)
    if found := _LETTER.match(plain):
        plain = f"patient{plain[found.end() :]}"
    plain = _WORD.sub(lambda found: _BECOMES[found.lastgroup or ""], plain)
    if plain == text:
        return text.strip()
    return _SPACE.sub(lambda found: found[1] or " ", _TWICE.sub("patient", plain)).strip()


_MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
_MONTH += r"|nov(?:ember)?|dec(?:ember)?)"
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_DATE = re.compile(
    rf"(?i)\b(?:{_DAY},? )?(?:{_MONTH}\.?,? \d[\d,]*(?: \d+)?|\d+(?:st|nd|rd|th)? {_MONTH}\b(?:,? \d+)?)|\b{_DAY}\b"
)
_MEASURED = re.compile(r"(?i)[ -]?(?:mm|cm|%|french|fr\b)")
_DIGITS = re.compile(r"\d[\d,./:-]*(?<=\d)")
_PERSON = r"(?:[A-Z][\w'’-]*\.?)"
_NAMED = re.compile(
    r"(?i:\b(?:dr|drs|doctor|mr|mrs|ms|miss|nurse|physician|resident|attending|fellow|radiologist|technologist"
    r"|(?:sign|dictat|review|interpret|transcrib|approv|verif|read|perform|order)\w* by"
    r"|(?:discussed|spoke|communicated|conveyed|reported|relayed|called|paged) (?:with|to))\b[.:]?)"
    rf"(?:[ \t]+(?!(?i:right|left|the|a|an|no)\b){_PERSON}){{1,3}}"
    rf"|(?<![\w'’-]){_PERSON}(?:[ \t]+{_PERSON}){{0,2}},? (?:M\.?D\.?|D\.?O\.?|R\.?N\.?|N\.?P\.?)(?!\w)"
)
_PROPER = re.compile(r"(?<=[a-z,] )(?!(?:Right|Left|No|Not)\b)[A-Z][a-z'’-]+(?: [A-Z][a-z'’-]+)*")


def without_surrogates(text: str) -> str:
    """The text with dates, names and numbers masked, and white space collapsed: what de-identification leaves alone.

    Measurements (`4 mm`) are no surrogates and stay. Names are known by a title or a role next to them, or as
    capitalised words inside a sentence.
    """
    plain = _DATE.sub("#", " ".join(text.split()))
    plain = _PROPER.sub("@", _NAMED.sub("@", plain))
    return _DIGITS.sub(lambda found: found[0] if _MEASURED.match(plain, found.end()) else "#", plain)
