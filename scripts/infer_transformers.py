#!/usr/bin/env python3
"""One chest X-ray to one report with plain transformers; nothing of tenstep is installed or imported.

    pip install torch transformers pillow            and bitsandbytes for 4 bits, peft for an adapter, pydicom for DICOM
    python infer_transformers.py chest.png --model merged
    python infer_transformers.py chest.dcm --model adapter --base BASE --mode steps --stream

MODEL is what `tenstep merge` wrote, or an adapter's folder. Nothing is fetched, only safetensors are loaded, and no
code of a checkpoint is run. For research and education. Not a medical device, and no medical advice.
"""

import argparse
import json
import re
import sys
from pathlib import Path

DISCLAIMER = "For research and education. Not a medical device, and no medical advice."
REPORT_ONLY = {
    "four-header": (
        "Read this chest radiograph and write the report, without comparison to other studies.\n"
        "Use exactly four headers, each on a line of its own: Technique:, View:, Findings:, Impression:.\n"
        "Write nothing else."
    ),
    "verbatim": (
        "Read this chest radiograph and write the report, without comparison to other studies.\nWrite nothing else."
    ),
}
STEP = re.compile(r"^\s*(\d{1,2})\.\s+(.*)$")
TAG = re.compile(r"^\s*<<[A-Z_0-9]+>>\s*$")


def main():
    args = arguments()
    image = open_image(args.image)
    model, processor, precision = load(args.model, args.base, args.precision)
    answer, complete = ask(model, processor, image, prompt_of(args.model, args.mode), args)
    steps, report = ([], answer.strip()) if args.mode == "report" else parsed(answer)
    if args.json:
        found = {"model": str(args.model), "precision": precision, "mode": args.mode, "report": report or None}
        if args.mode == "steps":
            found["steps"] = steps
        print(json.dumps({**found, "complete": complete, "disclaimer": DISCLAIMER}, ensure_ascii=False))
    elif not args.stream:
        print(answer if args.mode == "steps" else report)
    if not complete:
        print("the answer was cut off; raise --max-new-tokens", file=sys.stderr)
    print(DISCLAIMER, file=sys.stderr)
    return 0 if report else 1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--base", help="an adapter's base: a folder; the one that its config names if not given")
    parser.add_argument("--mode", choices=("hidden", "steps", "report"), default="hidden")
    parser.add_argument("--precision", choices=("auto", "nf4", "bf16", "fp32"), default="auto")
    parser.add_argument("--max-new-tokens", type=int, default=512)
    parser.add_argument("--stream", action="store_true", help="print while it is written (not with --mode hidden)")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.stream and (args.json or args.mode == "hidden"):
        parser.error("--stream goes with --mode steps or report, and without --json")
    return args


def open_image(path):
    """PNG, JPEG or DICOM as RGB, in the greys that the student was trained on: DICOM PS3.3 C.11, else percentiles."""
    from PIL import Image, ImageOps

    data = path.read_bytes()
    if data[128:132] == b"DICM":
        return Image.fromarray(film_of(data)).convert("RGB")
    with Image.open(path, formats=("PNG", "JPEG")) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):
            return Image.fromarray(grey(values_of(upright))).convert("RGB")
        if image.format == "PNG" and data[24] == 16:
            sys.exit("a PNG of 16 bits in colour or with transparency; save it as 16-bit grey")
        if upright.has_transparency_data:
            black = Image.new("RGBA", upright.size, (0, 0, 0, 255))
            upright = Image.alpha_composite(black, upright.convert("RGBA"))
        return upright.convert("RGB")


def film_of(data):
    """A DICOM film in 8 bits of grey: rescale, then the first lookup table or window, inversion; padding is black."""
    import io

    import numpy
    import pydicom
    from pydicom.pixels import apply_voi

    film = pydicom.dcmread(io.BytesIO(data))
    if film.get("ModalityLUTSequence") or not film.PhotometricInterpretation.startswith("MONOCHROME"):
        sys.exit("a film in colour, or with a modality lookup table; convert it to PNG")

    def first(name, default):
        value = film.get(name)
        value = value[0] if isinstance(value, pydicom.multival.MultiValue) else value
        return default if value is None or value == "" else float(value)

    stored = film.pixel_array.astype("float64")
    values = stored * (first("RescaleSlope", 1) or 1) + first("RescaleIntercept", 0)
    center, width = first("WindowCenter", None), first("WindowWidth", None)
    padding = first("PixelPaddingValue", None)
    ends = sorted((padding, first("PixelPaddingRangeLimit", padding))) if padding is not None else (1, 0)
    shown = (stored < ends[0]) | (stored > ends[1])
    inverted = film.PhotometricInterpretation == "MONOCHROME1" or film.get("PresentationLUTShape") == "INVERSE"
    tables = [item for item in film.get("VOILUTSequence") or () if "LUTDescriptor" in item and "LUTData" in item]
    if tables:
        bits = tables[0].LUTDescriptor[2]
        greys = apply_voi(values.astype("int32"), film) * (255 / (2**bits - 1))
    elif center is not None and width is not None and width > 1:
        kind = "_".join(str(film.get("VOILUTFunction") or "LINEAR").upper().split())
        if kind == "SIGMOID":
            greys = 255 / (1 + numpy.exp(-4 * (values - center) / width))
        elif kind == "LINEAR_EXACT":
            greys = 255 * ((values - center) / width + 0.5)
        else:
            greys = 255 * ((values - (center - 0.5)) / (width - 1) + 0.5)
    else:
        greys = grey(values, shown).astype("float64")
    greys = numpy.clip(greys, 0, 255)
    greys = 255 - greys if inverted else greys
    return numpy.round(numpy.where(shown, greys, 0)).astype("uint8")


def values_of(image):
    import numpy

    return numpy.asarray(image)


def grey(values, shown=None):
    """Values to 8 bits, by the percentiles of those that are shown."""
    import numpy

    values = values.astype("float64")
    low, high = numpy.percentile(values if shown is None else values[shown], (0.5, 99.5))
    if high <= low:
        sys.exit("all pixels are alike")
    return numpy.round(255 * numpy.clip((values - low) / (high - low), 0, 1)).astype("uint8")


def load(folder, base, precision):
    """Model, processor and precision: 4 bits on CUDA or if it was trained so, else 32, unless it was said."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig

    cuda = torch.cuda.is_available()
    adapter = (folder / "adapter_config.json").is_file()
    source = (
        Path(base or json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"])
        if adapter
        else folder
    )
    if not any(source.glob("*.safetensors")):
        sys.exit(f"{source}: no safetensors here; only those are loaded, and nothing is fetched")
    stored = "quantization_config" in json.loads((source / "config.json").read_text())
    if stored and precision not in ("auto", "nf4"):
        sys.exit(f"{source}: 4-bit weights cannot be had as {precision}")
    student = folder / "student.json"
    trained = student.is_file() and json.loads(student.read_text())["quantize"] == "nf4"
    chosen = precision if precision != "auto" else "nf4" if cuda or stored or trained else "fp32"
    dtype = torch.bfloat16 if cuda or chosen == "bf16" else torch.float32
    settings = {"dtype": dtype, "device_map": {"": 0 if cuda else "cpu"}}
    if chosen == "nf4" and not stored:
        settings["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    local = {"local_files_only": True, "trust_remote_code": False}
    model = AutoModelForImageTextToText.from_pretrained(source, use_safetensors=True, **local, **settings)
    if adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, folder)
    return model.eval(), AutoProcessor.from_pretrained(folder, **local), chosen


def prompt_of(folder, mode):
    """The instruction that the student was trained with, from prompt.yaml; of ten steps, a report alone has another."""
    import yaml  # huggingface_hub brings it

    own = yaml.safe_load((folder / "prompt.yaml").read_text(encoding="utf-8"))
    return REPORT_ONLY[own["report_form"]] if mode == "report" and own.get("steps", True) else own["text"]


def ask(model, processor, image, prompt, args):
    """The answer, greedy, and whether the student ended it."""
    import torch
    from transformers import TextStreamer

    turn = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]
    text = processor.apply_chat_template(turn, add_generation_prompt=True)
    batch = processor(images=[[image]], text=[text], add_special_tokens=False, return_tensors="pt").to(model.device)
    batch = {name: value.to(model.dtype) if value.is_floating_point() else value for name, value in batch.items()}
    streamer = TextStreamer(processor.tokenizer, skip_prompt=True, skip_special_tokens=True) if args.stream else None
    with torch.inference_mode():
        out = model.generate(**batch, max_new_tokens=args.max_new_tokens, do_sample=False, streamer=streamer)
    new = out[0, batch["input_ids"].shape[1] :]
    ends = model.generation_config.eos_token_id
    complete = int(new[-1]) in (ends if isinstance(ends, list) else [ends])
    return processor.tokenizer.decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False), complete


def parsed(answer):
    """Steps and report: the report is what follows the last step of the block that the answer opens with."""
    lines = [line for line in answer.strip().splitlines() if not TAG.match(line)]
    steps = []
    for at, line in enumerate(lines):
        found = STEP.match(line)
        if found and int(found[1]) == len(steps) + 1 and len(steps) < 10:
            steps.append(found[2].strip())
        elif line.strip() and steps:
            return steps, "\n".join(lines[at:]).strip()
    return steps, ""


if __name__ == "__main__":
    raise SystemExit(main())
