"""The questions of a `file` teacher, answered by vLLM engines on the GPUs of a Ray cluster, without a server.

    tenstep curate examples/recipes/by-file.yaml --studies studies --out runs/by-file
    python examples/answer_vllm.py runs/by-file/handover/file google/medgemma-27b-it --engines 16 --gpus 1
    tenstep curate examples/recipes/by-file.yaml --studies studies --out runs/by-file

The second curate reads answers.jsonl, judges, and writes the repairs as new questions: run this script once more. A
question that has an answer is not asked again; one whose answer failed has none, and is asked again the next time.

Needs `pip install 'ray[data,llm]'` and a GPU. The nodes read images under the paths that questions.jsonl names.
Restricted data stays on machines that you run; name them in the recipe if they are not this one
(teachers.options.endpoint).

The engine part was written against Ray 2.60 and has not been run by us, for want of a GPU. What goes in and what
comes out (`messages`, `line`, `left`) is tested.
"""

import argparse
import base64
import json
from pathlib import Path
from typing import Any


def messages(question: dict[str, Any]) -> list[dict[str, Any]]:
    """A question as chat messages; images as data URLs."""
    parts: list[dict[str, Any]] = []
    for image in map(Path, question["images"]):
        kind = "image/png" if image.suffix.lower() == ".png" else "image/jpeg"
        url = f"data:{kind};base64,{base64.b64encode(image.read_bytes()).decode()}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    parts.append({"type": "text", "text": question["prompt"]})
    system = [{"type": "text", "text": question["system"]}]  # lists on both sides: one type of column
    return [{"role": "system", "content": system}, {"role": "user", "content": parts}]


def line(row: dict[str, Any], model: str) -> dict[str, Any]:
    """An engine's row as a line of answers.jsonl."""
    usage = {"input_tokens": row["num_input_tokens"], "output_tokens": row["num_generated_tokens"]}
    return {"id": row["id"], "text": row["generated_text"], "model": model, "usage": usage, "cost_usd": 0.0}


def whole(path: Path) -> list[str]:
    """The lines of a file, without what a kill has left of one."""
    texts = path.read_text("utf-8").split("\n") if path.exists() else []
    return [text for text in texts if text.startswith("{") and text.endswith("}")]


def left(folder: Path) -> list[dict[str, Any]]:
    """Questions without an answer."""
    known = {json.loads(text)["id"] for text in whole(folder / "answers.jsonl")}
    questions = [json.loads(text) for text in whole(folder / "questions.jsonl")]
    return [question for question in questions if question["id"] not in known]


def main() -> None:
    """Ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with questions.jsonl")
    parser.add_argument("model")
    parser.add_argument("--engines", type=int, default=1, help="replicas of the model")
    parser.add_argument("--gpus", type=int, default=1, help="GPUs of a replica (tensor parallel)")
    parser.add_argument("--max-tokens", type=int, default=4096)
    parser.add_argument("--max-model-len", type=int, default=16384)
    args = parser.parse_args()

    import ray
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    questions = left(args.folder)
    if not questions:
        raise SystemExit("every question has an answer")

    def asked(row: dict[str, Any]) -> dict[str, Any]:
        question = json.loads(row["question"])
        sampling = {"max_tokens": args.max_tokens, "structured_outputs": {"json": json.dumps(question["schema"])}}
        return {"id": question["id"], "messages": messages(question), "sampling_params": sampling}

    config = vLLMEngineProcessorConfig(
        model_source=args.model,
        engine_kwargs={"tensor_parallel_size": args.gpus, "max_model_len": args.max_model_len},
        concurrency=args.engines,
        batch_size=16,  # small blocks: what a kill loses
        should_continue_on_error=True,
        prepare_multimodal_stage={"enabled": any(question["images"] for question in questions)},
    )
    processor = build_processor(
        config, preprocess=asked, postprocess=lambda row: {"line": json.dumps(line(row, args.model))}
    )
    rows = ray.data.from_items([{"question": json.dumps(question)} for question in questions])
    failed = 0
    before = whole(args.folder / "answers.jsonl")
    with (args.folder / "answers.jsonl").open("w", encoding="utf-8") as answers:
        answers.writelines(text + "\n" for text in before)
        for row in processor(rows).iter_rows():
            if row.get("__inference_error__") or not row.get("line"):
                failed += 1
                continue
            answers.write(row["line"] + "\n")
            answers.flush()
    print(f"{len(questions) - failed} answers; {failed} questions have none: run this again")  # noqa: T201 a script


if __name__ == "__main__":
    main()
