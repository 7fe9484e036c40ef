"""Age and sex taken out of a history, for texts that a prompt may show: both can be read off few films.

Works on words and patterns, on any text: `67 yo M with cough`, `___-year-old woman`, `She had`. What stands in
their place is `patient` or nothing. Names and dates are the sources' own duty: they come de-identified.
"""

import re

_NUMBER = r"(?:_{2,}|\d{1,3}|\w+ty(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?)"
_UNIT = r"(?:year|yr|month|mo|week|wk|day)s?"
_ADULT = "women|woman|men|man|females?|males?|lady|ladies|gentlem[ae]n|girls?|boys?"
_AS_SEX = rf"(?i:{_ADULT})\b|[MF]\b"
_AGE = rf"{_NUMBER}[- ]*(?:{_UNIT}[- ]*(?:old|of age)|y/?o|y\.o\.|m/o)(?!\w)|aged? {_NUMBER}\b"
# An age, perhaps with a sex; a time only with one (`3 days of cough` is none); a number with a letter: 67M, ___ F.
_AGE_AND_SEX = re.compile(
    rf"\b(?:[Aa]n? +)?(?:(?i:{_AGE})[ ,]*(?:{_AS_SEX})?|(?i:{_NUMBER}[- ]*{_UNIT}) (?:{_AS_SEX})"
    rf"|(?:{_NUMBER}|_+)[MF]\b|(?:_{{2,}}|\d{{2,3}}) [MF]\b)"
)
_SEX = re.compile(rf"(?i:\b(?:an? +)?(?:{_ADULT})\b)")
_SEX_LETTER = re.compile(r"^\s*(?:_{2,}\s*)?[MF](?=[ ,]|$)")
_OWN = re.compile(r"\b(?:his|hers?(?= \w)|hers)\b", re.I)
_SELF = re.compile(r"\b(?:he|she|him|her|himself|herself)\b", re.I)
_TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Miss)\b\.?\s*", re.I)


def without_age_and_sex(text: str) -> str:
    """The text with every mention of age and sex replaced by `patient`, or left out.

    Titles go, `he` and `she` become `the patient`, `his` and `her` become `the patient's`.
    """
    text = _AGE_AND_SEX.sub(" patient ", text)
    text = _SEX_LETTER.sub("patient", text)
    text = _SEX.sub("patient", _TITLE.sub("", text))
    text = _SELF.sub("the patient", _OWN.sub("the patient's", text))
    text = re.sub(r"\b(?:the +)?patient(?: +patient)+\b", "patient", text)
    return re.sub(r"[ \t]+([,.;:)])", r"\1", re.sub(r"[ \t]{2,}", " ", text)).strip()
