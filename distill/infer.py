"""Images to reports, one each: greedy, as in sampling and evaluation, at once or streamed.

Steps and report are separated by the same parser as everywhere. Three modes:

    report    the report alone is requested
    steps     ten steps, then the report; both are shown
    hidden    ten steps, then the report; the steps are not shown
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from PIL import Image

from ..data.intake.images import SUFFIXES, admit
from ..data.intake.reports import Refusal
from ..schemas.errors import ImageError, InputError, LayoutError
from ..schemas.layout import parse
from ..schemas.trace import STEPS
from ..validators.headers import HEADERS, sections
from . import prompt as prompts
from .generate import Request, generate
from .infer_load import Ready
from .load import Loaded
from .pixels import open_image
from .prompt import Prompt
from .publish.model_card import DISCLAIMER as DISCLAIMER

Mode = Literal["report", "steps", "hidden"]


class DecodedImage(NamedTuple):
    """An image, decoded."""

    image: Image.Image
    sha256: str  # of the file that was decoded, or of its conversion
    view: str
    width: int
    height: int
    warnings: tuple[str, ...]


def read_image(path: Path) -> DecodedImage:
    """Decode an image file.

    Raises:
        ImageError: it is missing, damaged, too large or no image.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "images"
        found = admit(path, path.parent, root)
        if isinstance(found, Refusal):
            raise ImageError(found.detail or found.reason, file=path)
        ref = found.ref
        place = Path(ref.path) if Path(ref.path).is_absolute() else Path(folder) / ref.path
        image = open_image(place)
    warnings = tuple(detail for _, detail in found.warnings)
    return DecodedImage(image, ref.sha256, ref.view, ref.width, ref.height, warnings)


class InferredReport(NamedTuple):
    """The student's answer about an image."""

    report: str | None  # none if there is no readable one
    steps: tuple[str, ...]  # also when they are hidden; whoever shows a reading decides
    text: str  # all of it
    tokens: int
    complete: bool  # the student ended it; else it was cut at the limit
    prompt: str
    fault: str | None = None  # what the report lacks of what the prompt asks for, in words


def infer(
    ready: Ready,
    film: DecodedImage,
    mode: Mode,
    *,
    max_new_tokens: int | None = None,
    repetition_penalty: float = 1.0,
    on_text: Callable[[str], object] | None = None,
) -> InferredReport:
    """Ask a student about an image.

    Args:
        ready: the student.
        film: the image.
        mode: as above.
        max_new_tokens: where the answer is cut; what the student was trained for if not given.
        repetition_penalty: see generate.py.
        on_text: called with pieces of what may be shown, while they are generated.

    Raises:
        InputError: steps are wanted of a student that was trained without.
    """
    prompt = prompt_for(ready.prompt, mode)
    limit = max_new_tokens or ready.max_new_tokens
    request = Request(film.image, prompt.text)
    pieces = None if on_text is None else Pieces(on_text, hidden=mode == "hidden")
    loaded = ready.loaded if pieces is None else _streaming(ready.loaded, pieces)
    (answer,) = generate(loaded, [request], max_new_tokens=limit, repetition_penalty=repetition_penalty)
    if pieces is not None:
        pieces.close()
    report, steps = split_answer(answer.text, steps=prompt.steps)
    fault = None if report is None else fault_of(report, prompt)
    return InferredReport(report, steps, answer.text, len(answer.tokens), answer.complete, prompt.name, fault)


def prompt_for(trained: Prompt, mode: Mode) -> Prompt:
    """The prompt of a mode: the one that the student was trained with, wherever that fits.

    Raises:
        InputError: steps are wanted of a student that was trained to write reports alone.
    """
    if trained.steps == (mode != "report"):
        return trained
    if mode == "report":
        return prompts.read(prompts.path_of(prompts.report_name_for(trained.report_form)))
    raise InputError("this student was trained to write reports alone; use --mode report", field="mode")


def split_answer(text: str, *, steps: bool) -> tuple[str | None, tuple[str, ...]]:
    """Report and steps of an answer; no report if it cannot be parsed."""
    if not steps:
        return text.strip() or None, ()
    try:
        trace = parse(text)
    except LayoutError:
        return None, ()
    return trace.report, trace.texts


def fault_of(report: str, prompt: Prompt) -> str | None:
    """Why a text is not the report that a prompt asks for; none if it is.

    Where four headers are requested, exactly these must be there, in their order, with something below each.
    """
    if not prompt.steps and len(split_answer(report, steps=True)[1]) >= STEPS:
        return f"the answer is {STEPS} steps, not a report alone"
    if prompt.report_form != "four-header":
        return None
    before, found = sections(report)
    if absent := [name for name in HEADERS if name not in (one.name for one in found if one.has_content)]:
        return f"the answer is not the report that was requested: nothing stands under {', '.join(absent)}"
    if before.strip() or tuple(one.name for one in found) != HEADERS:
        return (
            f"the answer is not the report that was requested: it holds more than {', '.join(HEADERS)}, in this order"
        )
    return None


def images_in(paths: Sequence[Path]) -> list[Path]:
    """Image files, and those in folders, at any depth, by name.

    Raises:
        ImageError: a folder holds none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        files = [path]
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            if not files:
                raise ImageError(f"there is no image here ({', '.join(SUFFIXES)})", file=path)
        found |= dict.fromkeys(files)
    return list(found)


class Pieces:
    """Passes a growing answer on line by line; with `hidden`, only lines of its report.

    A line is passed on when it is whole, because only then it is known whether it is a step, a tag or part of the
    report.
    """

    def __init__(self, on_text: Callable[[str], object], *, hidden: bool) -> None:
        self._on_text = on_text
        self._hidden = hidden
        self._text = ""
        self._shown = 0

    def put(self, text: str) -> None:
        """More of the answer."""
        self._text += text
        if not self._hidden:
            self._on_text(text)
        elif "\n" in text:
            self._show(self._text[: self._text.rindex("\n") + 1])

    def close(self) -> None:
        """The answer is whole."""
        if self._hidden:
            self._show(self._text, whole=True)

    def _show(self, text: str, *, whole: bool = False) -> None:
        report, steps = split_answer(text, steps=True)
        if report is not None and not whole:
            report = report.rstrip("\n")  # the last line break may belong to a tag that follows
        if report is not None and (whole or len(steps) >= STEPS) and len(report) > self._shown:
            self._on_text(report[self._shown :])
            self._shown = len(report)


class StreamingModel:
    """Passes a model's answers on while they are generated; everything else is the model's own."""

    def __init__(self, model: Any, streamer: Any) -> None:
        self._model, self._streamer = model, streamer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, **settings: Any) -> Any:
        return self._model.generate(**settings, streamer=self._streamer)


def _streaming(loaded: Loaded, pieces: Pieces) -> Loaded:
    from transformers import TextStreamer

    class Streamer(TextStreamer):  # type: ignore[misc]  # transformers is not typed
        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            pieces.put(text)

    words = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    streamer = Streamer(loaded.processor.tokenizer, skip_prompt=True, **words)
    return Loaded(StreamingModel(loaded.model, streamer), loaded.processor, loaded.student)
