"""One image to one report: greedy, as in sampling and evaluation, whole or piece by piece.

What was thought (the ten steps) and what is reported are told apart by the same parser as everywhere. Three ways:

    report    the student is asked for the report alone
    steps     ten steps, then the report; both are shown
    hidden    ten steps, then the report; the steps are not shown
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from ..schemas.errors import InputError, LayoutError
from ..schemas.layout import parse
from ..schemas.trace import STEPS
from . import prompt as prompts
from .generate import Request, generate
from .infer_image import Film
from .infer_load import Ready
from .load import Loaded
from .prompt import Prompt
from .publish.model_card import DISCLAIMER as DISCLAIMER

Mode = Literal["report", "steps", "hidden"]


class Reading(NamedTuple):
    """What the student said of an image."""

    report: str | None  # none if there is no readable one
    steps: tuple[str, ...]  # also when they are hidden; whoever shows a reading decides
    text: str  # all of it
    tokens: int
    complete: bool  # the student ended it; else it was cut at the limit
    prompt: str


def infer(
    ready: Ready,
    film: Film,
    mode: Mode,
    *,
    max_new_tokens: int | None = None,
    tell: Callable[[str], object] | None = None,
) -> Reading:
    """Ask a student about an image.

    Args:
        ready: the student.
        film: the image.
        mode: as above.
        max_new_tokens: where the answer is cut; what the student was trained for if not given.
        tell: given, it is called with pieces of what may be shown, as they come.

    Raises:
        InputError: the student writes no steps, and they were asked for.
    """
    asked = asked_for(ready.prompt, mode)
    limit = max_new_tokens or ready.max_new_tokens
    request = Request(film.image, asked.text, 0)
    pieces = None if tell is None else Pieces(tell, hidden=mode == "hidden")
    loaded = ready.loaded if pieces is None else _told(ready.loaded, pieces)
    (answer,) = generate(loaded, [request], max_new_tokens=limit, temperature=0.0)
    if pieces is not None:
        pieces.close()
    report, steps = apart(answer.text, steps=asked.steps)
    return Reading(report, steps, answer.text, len(answer.tokens), answer.complete, asked.name)


def asked_for(trained: Prompt, mode: Mode) -> Prompt:
    """The prompt of a mode: the one that the student was trained with, wherever that fits.

    Raises:
        InputError: a student that writes reports alone is asked for steps.
    """
    if trained.steps == (mode != "report"):
        return trained
    if mode == "report":
        return prompts.read(prompts.path_of("report-only"))
    raise InputError("this student was trained to write reports alone; ask it with --mode report", field="mode")


def apart(text: str, *, steps: bool) -> tuple[str | None, tuple[str, ...]]:
    """Report and steps of an answer; what cannot be read has no report."""
    if not steps:
        return text.strip() or None, ()
    try:
        trace = parse(text)
    except LayoutError:
        return None, ()
    return trace.report, trace.texts


class Pieces:
    """Passes a growing answer on line by line; with `hidden`, only lines of its report.

    A line is passed on when it is whole, because only then it is known whether it is a step, a tag or part of the
    report.
    """

    def __init__(self, tell: Callable[[str], object], *, hidden: bool) -> None:
        self._tell = tell
        self._hidden = hidden
        self._text = ""
        self._told = 0

    def put(self, text: str) -> None:
        """More of the answer."""
        self._text += text
        if not self._hidden:
            self._tell(text)
        elif "\n" in text:
            self._show(self._text[: self._text.rindex("\n") + 1])

    def close(self) -> None:
        """The answer is whole."""
        if self._hidden:
            self._show(self._text, whole=True)

    def _show(self, text: str, *, whole: bool = False) -> None:
        report, steps = apart(text, steps=True)
        if report is not None and not whole:
            report = report.rstrip("\n")  # the last line break may belong to a tag that follows
        if report is not None and (whole or len(steps) >= STEPS) and len(report) > self._told:
            self._tell(report[self._told :])
            self._told = len(report)


class _Told:
    """A model whose answers are passed on while they are generated; everything else is the model's own."""

    def __init__(self, model: Any, streamer: Any) -> None:
        self._model, self._streamer = model, streamer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, **settings: Any) -> Any:
        return self._model.generate(**settings, streamer=self._streamer)


def _told(loaded: Loaded, pieces: Pieces) -> Loaded:
    from transformers import TextStreamer

    class Streamer(TextStreamer):  # type: ignore[misc]  # transformers is not typed
        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            pieces.put(text)

    words = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    streamer = Streamer(loaded.processor.tokenizer, skip_prompt=True, **words)
    return Loaded(_Told(loaded.model, streamer), loaded.processor, loaded.student)
