"""Placeholders: residue of de-identification or of a template in a step (`___`, XXXX, [side], <finding>, TBD).

It protects the student from learning words that stand for a missing word. The reference may have them; a step says less
instead.

On 20,702 sentences of real reports (Open-i), used as steps: 2,542 findings, all of them de-identified words.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .patterns import Patterns
from .rule import Case, Finder, Group, ten
from .steps import steps_of

GROUP: Group = "honesty"
CODES: Mapping[str, Severity] = {"placeholder": "error"}
find = Finder(__name__, CODES)

_HOLDER = Patterns(
    r"_{2,}|\bX{3,}\b|\[[^\]\n]{0,60}\]|<(?!\s)[A-Za-z][^<>\n]{0,40}>|\{[^{}\n]{0,60}\}|\b(?:TBD|TODO|FIXME"
    r"|lorem ipsum|N/A)\b|\b(?:insert|fill in) (?:the )?(?:finding|side|text|value|measurement|name|date)\b"
    r"|\.{4,}|…{2,}|\?{3,}|#{3,}",
    flags=0,
)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """The first placeholder of each step."""
    for position, text in steps_of(candidate):
        if match := _HOLDER.search(text):
            yield find(
                "placeholder",
                f"{match.group()!r} stands for a missing word; say it without, or not at all.",
                step=position,
                span=match.span(),
            )


PASSES = (Case(ten()), Case(ten({3: "The heart (on this PA view) is normal in size."})))
FAILS = (
    Case(ten({3: "The XXXX is normal in size."}), "placeholder"),
    Case(ten({3: "The heart is normal since ___."}), "placeholder"),
    Case(ten({3: "The [organ] is normal."}), "placeholder"),
    Case(ten({3: "TBD"}), "placeholder"),
)
