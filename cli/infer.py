"""`tenstep infer`."""

import argparse
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.errors import ImageError, InputError
from ..schemas.outcome import Outcome
from ..schemas.trace import STEPS
from .arguments import penalty, positive
from .output import printable
from .progress import progress

if TYPE_CHECKING:
    from ..distill.infer_load import Ready

_EXAMPLES = """\
examples:
  tenstep infer chest.png --model merged                      the report
  tenstep infer chest.dcm --model student --mode steps        ten steps, then the report
  tenstep infer chest.jpg --model student --stream            as it is written
  tenstep infer chest.png --model merged --precision nf4 --json
  tenstep infer films/ more.png --model merged --json out.json      many, with the model loaded once

exit code 1: an answer is not the report that was requested, or an image of several cannot be read

for research and education; not a medical device, and no medical advice
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep infer`."""
    parser = commands.add_parser("infer", help="ask a student about images", epilog=_EXAMPLES)
    parser.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE", help="PNG, JPEG or DICOM files, or folders of them"
    )
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="a trained or merged student")
    parser.add_argument(
        "--mode",
        choices=("hidden", "steps", "report"),
        default="hidden",
        help="ten steps written but not shown, written and shown, or the report alone (hidden)",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "nf4", "bf16", "fp32"),
        default="auto",
        help="of the weights (auto: 4-bit on CUDA; on a CPU as trained, or fp32)",
    )
    parser.add_argument("--max-new-tokens", type=positive, metavar="N", help="what the student was trained for")
    parser.add_argument(
        "--repetition-penalty",
        type=penalty,
        default=1.0,
        metavar="P",
        help="of tokens that the answer has already (1: none)",
    )
    parser.add_argument("--stream", action="store_true", help="print the answer while it is written")
    parser.set_defaults(run=_infer, json_keys=(frozenset({"image", "report"}), frozenset({"images", "readings"})))


def _infer(args: argparse.Namespace) -> Outcome:
    from ..distill.infer import DISCLAIMER, images_in, read_image
    from ..distill.infer_load import open_student
    from ..distill.libraries import quiet

    if args.stream and (len(args.images) > 1 or args.images[0].is_dir()):
        raise InputError("--stream shows one image; leave it out for several", field="--stream")
    if args.stream and args.json == "-":
        raise InputError("--json prints one object; leave --stream out", field="--stream")
    paths = images_in(args.images)
    if len(paths) == 1:
        read_image(paths[0])  # an unreadable image is refused before the model is loaded
    outcomes: list[Outcome] = []
    with quiet():
        ready = open_student(args.model, args.precision)
        with progress(len(paths) if len(paths) > 1 else None, "infer") as bar, suppress(KeyboardInterrupt):
            for path in paths:
                try:
                    outcomes.append(_read(ready, path, args))
                except ImageError as error:
                    if len(paths) == 1:
                        raise
                    outcomes.append(_unreadable(path, error))
                bar.advance()
    summary = f"{ready.name}, {ready.precision}"
    if len(paths) == 1 and outcomes:
        (one,) = outcomes
        return one.model_copy(update={"notes": (*one.notes, summary, DISCLAIMER)})
    stopped = len(outcomes) < len(paths)
    counts = f"{sum(not one.exit_code for one in outcomes)} of {len(paths)} images have the report that was requested"
    return Outcome(
        payload={"images": len(paths), "readings": [one.payload for one in outcomes], "disclaimer": DISCLAIMER},
        notes=(
            *(line for one in outcomes for line in (f"{one.payload['image']}:", *one.notes, "")),
            *([f"stopped after {len(outcomes)} images"] if stopped else []),
            f"{summary}: {counts}",
            DISCLAIMER,
        ),
        private=True,  # reports of images of unknown class
        exit_code=130 if stopped else max(one.exit_code for one in outcomes),
    )


def _unreadable(path: Path, error: ImageError) -> Outcome:
    return Outcome(payload={"image": str(path), "report": None, "error": str(error)}, notes=(str(error),), exit_code=1)


def _read(ready: "Ready", path: Path, args: argparse.Namespace) -> Outcome:
    from ..distill.infer import DISCLAIMER, infer, read_image

    film = read_image(path)
    since = time.monotonic()
    reading = infer(
        ready,
        film,
        args.mode,
        max_new_tokens=args.max_new_tokens,
        repetition_penalty=args.repetition_penalty,
        on_text=_print if args.stream else None,
    )
    seconds = time.monotonic() - since
    shown = args.mode == "steps"
    if args.stream:
        _print("\n")
    problems = [*film.warnings]
    if reading.report is None:
        problems.append("the answer holds no readable report" + ("" if shown else "; look at it with --mode steps"))
    if reading.fault is not None:
        problems.append(reading.fault)
    if reading.steps and len(reading.steps) != STEPS:
        problems.append(f"{len(reading.steps)} steps were thought, not {STEPS}: the answer is malformed")
    if not reading.complete:
        problems.append("the answer was cut off; raise --max-new-tokens")
    payload = {
        "image": str(path),
        "image_sha256": film.sha256,
        "view": film.view,
        "model": ready.name,
        "precision": ready.precision,
        "mode": args.mode,
        "prompt": reading.prompt,
        "repetition_penalty": args.repetition_penalty,
        "report": reading.report,
        "as_requested": reading.report is not None and reading.fault is None,
        **({"steps": list(reading.steps), "text": reading.text} if shown else {}),
        "complete": reading.complete,
        "tokens": reading.tokens,
        "seconds": round(seconds, 3),
        "warnings": problems,
        "disclaimer": DISCLAIMER,
    }
    text = reading.text if shown else reading.report
    body = () if args.stream or text is None else (text, "")
    return Outcome(
        payload=payload,
        notes=(*body, *problems, f"{reading.tokens} tokens in {seconds:.1f} s"),
        private=True,  # a report of an image of unknown class
        exit_code=0 if payload["as_requested"] else 1,
    )


def _print(text: str) -> None:
    sys.stdout.write(printable(text))
    sys.stdout.flush()
