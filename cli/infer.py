"""`tenstep infer`."""

import argparse
import sys
import time
from pathlib import Path

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome
from ..schemas.trace import STEPS
from .output import printable

_EXAMPLES = """\
examples:
  tenstep infer chest.png --model merged                      the report
  tenstep infer chest.dcm --model student --mode steps        ten steps, then the report
  tenstep infer chest.jpg --model student --stream            as it is written
  tenstep infer chest.png --model merged --precision nf4 --json

for research and education; not a medical device, and no medical advice
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep infer`."""
    parser = commands.add_parser("infer", help="ask a student about one image", epilog=_EXAMPLES)
    parser.add_argument("image", type=Path, metavar="IMAGE", help="PNG, JPEG or DICOM")
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="a trained or merged student")
    parser.add_argument(
        "--mode",
        choices=("hidden", "steps", "report"),
        default="hidden",
        help="ten steps thought and not shown, thought and shown, or the report alone (hidden)",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "nf4", "bf16", "fp32"),
        default="auto",
        help="of the weights (auto: 4-bit on CUDA; on a CPU as trained, or fp32)",
    )
    parser.add_argument("--max-new-tokens", type=int, metavar="N", help="what the student was trained for")
    parser.add_argument("--stream", action="store_true", help="print while it is written")
    parser.set_defaults(run=_infer, json_keys=(frozenset({"image", "report"}),))


def _infer(args: argparse.Namespace) -> Outcome:
    from ..distill.infer import DISCLAIMER, infer, read_image
    from ..distill.infer_load import open_student
    from ..distill.libraries import quiet

    if args.max_new_tokens is not None and args.max_new_tokens < 1:
        raise InputError("give at least one token", field="max-new-tokens")
    if args.stream and args.json == "-":
        raise InputError("--json prints one object; leave --stream out", field="stream")
    film = read_image(args.image)
    with quiet():
        ready = open_student(args.model, args.precision)
        since = time.monotonic()
        reading = infer(
            ready, film, args.mode, max_new_tokens=args.max_new_tokens, on_text=_print if args.stream else None
        )
        seconds = time.monotonic() - since
    shown = args.mode == "steps"
    if args.stream:
        _print("\n")
    problems = [*film.warnings]
    if reading.report is None:
        problems.append("the answer holds no readable report" + ("" if shown else "; look at it with --mode steps"))
    if reading.steps and len(reading.steps) != STEPS:
        problems.append(f"{len(reading.steps)} steps were thought, not {STEPS}: the answer is malformed")
    if not reading.complete:
        problems.append("the answer was cut off; raise --max-new-tokens")
    payload = {
        "image": str(args.image),
        "image_sha256": film.sha256,
        "view": film.view,
        "model": ready.name,
        "precision": ready.precision,
        "mode": args.mode,
        "prompt": reading.prompt,
        "report": reading.report,
        **({"steps": list(reading.steps), "text": reading.text} if shown else {}),
        "complete": reading.complete,
        "tokens": reading.tokens,
        "seconds": round(seconds, 3),
        "warnings": problems,
        "disclaimer": DISCLAIMER,
    }
    text = reading.text if shown else reading.report
    body = () if args.stream or text is None else (text, "")
    summary = f"{ready.name}, {ready.precision}: {reading.tokens} tokens in {seconds:.1f} s"
    return Outcome(
        payload=payload,
        notes=(*body, *problems, summary, DISCLAIMER),
        private=True,  # a report of an image of unknown class
        exit_code=0 if reading.report is not None else 1,
    )


def _print(text: str) -> None:
    sys.stdout.write(printable(text))
    sys.stdout.flush()
