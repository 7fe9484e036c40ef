"""Lines of a section that are no report: marks of the reporting system, signatures, phone numbers.

Only whole lines and what follows an end mark go; a sentence of the report is never cut.
"""

import re

# no part of the pattern but the last line end goes past a line: a column of empty lines costs no more than its length
_LINE = re.compile(
    r"""(?imx)^[ \t]*(?:
      i \s have \s personally \s reviewed \b .*
    | by \s this \s electronic \s signature \b .*
    | (?:this|the) \s report \s (?:has \s been|was) \s (?:anonymized|electronically \s signed|dictated) \b .*
    | (?:electronically \s)? signed \s (?:by|on|date) \b .*
    | (?:dictated|transcribed|interpreted|attending|verified|approved) \s by \b .*
    | physician \s to \s physician \b .*
    | [^\w\n]* summary [ \t]* [:\d] .*
    | accession \s (?:number|no\.?) \b .*
    | (?:end \s of \s impression|narrative|findings|impression) [ \t]* : [ \t]*
    )$\n?"""
)
_END = re.compile(r"(?i)\bend of impression\b.*", re.S)


def without_boilerplate(text: str) -> str:
    """The section without such lines, and without outer white space."""
    if not text:
        return text
    if "end of impression" in text.lower():  # five times as quick as the pattern, which most texts do not have
        text = _END.sub("", text)
    return _LINE.sub("", text).strip()
