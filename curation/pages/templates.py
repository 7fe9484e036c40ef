"""Pages that are one file: template files of this folder, filled, and hashed for the content security policy.

jinja2 with autoescape: what is no Markup is escaped, and a name that is not given is an error. Text of the data goes
through the filter `shown`, which also cuts it and names hidden characters (marked.py). The policy lets the browser
apply and run the style and script it names by hash, and nothing else. It knows nothing of what a page shows.
"""

import base64
import hashlib
from collections import Counter
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from .marked import shown

_PACKAGE = __package__ or ""


def part(*names: str) -> str:
    """Files of pages/, one after the other."""
    folder = resources.files(_PACKAGE)
    return "".join(folder.joinpath(name).read_text("utf-8") for name in names)


def render(template: str, **values: Any) -> Markup:
    """A template, filled.

    Args:
        template: a file of this folder, e.g. card.html.
        values: everything that it names; HTML only as Markup.
    """
    return Markup(_environment().get_template(template).render(values))  # noqa: S704 - jinja2 has escaped the values


def opening(body: str, *, title: str, style: str, script: str, **values: Any) -> Markup:
    """A page up to its cards: the head and the template `body`; the browser takes this style and script alone."""
    return render(
        "head.html",
        title=title,
        style=Markup(style),  # noqa: S704 - ours, and no text of a style may be escaped
        style_hash=_source_hash(style),
        script_hash=_source_hash(script),
    ) + render(body, title=title, **values)


def closing(script: str) -> str:
    """The end of a page, with the script that `opening` has named."""
    return f"<script>{script}</script></body></html>\n"


def ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    """Choices for a filter, the most frequent first."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(part),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"shown": shown, "commas": lambda number: f"{number:,}"}
    return environment


def _source_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
