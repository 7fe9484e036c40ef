"""What a training step and an answer cost: `python -m benchmarks.qlora`.

On CUDA: Llama-3.2-11B-Vision's shape with random nf4 weights, for the recipes stage1 and stage2. Elsewhere the tiny
shape, which shows the overhead of our loop and says nothing about a GPU. In one run, in turns, on the same batch:

    ours              what `tenstep distill` does at each step: its trainer, its callbacks, TensorBoard
    plain TRL         SFTTrainer, with no setting that it does not need
    plain, no hooks   the same, kept out of what is frozen (distill/train/frozen.py): what is left is our overhead

What a step of the true shape costs in operations is counted without weights by `python -m benchmarks.step_flops`.

"share of the matrix rate" is the arithmetic of a step (2 operations a weight and token forward, 2 backward, 2 more
with checkpointing; none for the gradients of frozen weights) over what plain matrix products reach here.
unsloth loads checkpoints only, so it is timed with --base DIR, on CUDA, where it is installed.

    python -m benchmarks.qlora                    this machine's shape
    python -m benchmarks.qlora --tiny             the tiny shape, also on CUDA
"""

import argparse
import importlib.util
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tenstep.data.recipes import read_recipe
from tenstep.distill.libraries import quiet
from tenstep.distill.load import Loaded, device
from tenstep.distill.shape import processor_of, shipped_config
from tenstep.distill.student import student_of
from tenstep.distill.train import trainer as trainers
from tenstep.distill.train.backend import Choice
from tenstep.distill.train.callbacks import follow
from tenstep.distill.train.frozen import keep_frozen
from tenstep.distill.train.lora import config as lora_config
from tenstep.distill.train.ranks import Ranks
from tenstep.distill.train.tiny import build
from tenstep.distill.train.tracking import board
from tenstep.schemas.distill_recipe import DistillRecipe

from .random_nf4 import batch_of, random_nf4

ROOT = Path(__file__).resolve().parent.parent


class Clock:
    """Seconds of each step, the first ones left out; on a CPU those of this process, whatever else runs."""

    def __init__(self, where: str) -> None:
        self.marks: list[float] = []
        self._where = where

    def __call__(self, _step: int = 0) -> None:
        if self._where == "cuda":
            import torch

            torch.cuda.synchronize()
        self.marks.append(time.perf_counter() if self._where == "cuda" else time.process_time())

    @property
    def median(self) -> float:
        """Of one step."""
        return statistics.median(b - a for a, b in zip(self.marks[2:], self.marks[3:], strict=False))


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--tiny", action="store_true")
    words.add_argument("--steps", type=int, default=20)
    words.add_argument("--turns", type=int, default=3)
    words.add_argument("--base", type=Path, help="a checkpoint for unsloth")
    args = words.parse_args()
    where = device()
    tiny = args.tiny or where == "cpu"
    with quiet(), tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / "tiny"
        build(base, ["The heart is normal.", "There is a small left pleural effusion."] * 3)
        print(f"{'tiny shape' if tiny else 'Llama-3.2-11B-Vision shape'} on {_name()}, random nf4 weights")
        if tiny:
            print("no CUDA or --tiny: this shows the loop's overhead, not what an 11B model costs")
        for name in ("stage1", "stage2"):
            recipe = read_recipe(ROOT / "examples" / "recipes" / f"{name}.yaml", DistillRecipe)
            _measure(name, recipe, base, where, tiny=tiny, steps=args.steps, turns=args.turns, scratch=Path(scratch))
        _unsloth(args.base, where)


def _measure(
    name: str, recipe: DistillRecipe, base: Path, where: str, *, tiny: bool, steps: int, turns: int, scratch: Path
) -> None:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(base) if tiny else shipped_config()
    tokens, learned = (256, 160) if tiny else (768, 420)
    if tiny and recipe.lora.top_layers:
        recipe = recipe.model_copy(update={"lora": recipe.lora.model_copy(update={"top_layers": 1})})
    recipe = recipe.model_copy(update={"accumulate": 1, "report_to": ("tensorboard",), "save_every": 10_000})
    batch = batch_of(config, recipe.batch, tokens, where, learned=learned)
    seconds: dict[str, list[float]] = {"ours": [], "plain TRL": [], "plain, no hooks": []}
    peak = 0.0
    for turn in range(turns):
        for contender, measured in seconds.items():
            model = random_nf4(config, where)
            _reset(where)
            trainer = (_ours if contender == "ours" else _plain)(
                recipe, model, base, batch, scratch / f"{name}{turn}{contender[-1]}", steps
            )
            if contender == "plain, no hooks":
                trainer.add_callback(keep_frozen())
            clock = Clock(where)
            trainer.add_callback(follow(clock, lambda _step: None, None))
            trainer.train()
            measured.append(clock.median)
            if contender == "ours":
                peak = _peak()
            del trainer
    medians = {who: statistics.median(some) for who, some in seconds.items()}
    ours, plain, bare = medians.values()
    rate = _matrix_rate(where)
    share = _operations(config, model, recipe, tokens) / ours / rate
    print(f"\n{name}: batch {recipe.batch} x {tokens} tokens")
    for who, step in medians.items():
        per = f"{recipe.batch * tokens / step:10,.0f} tokens/s  {recipe.batch / step:7.2f} samples/s"
        print(f"  {who:16} {step * 1e3:9.1f} ms/step  {per}")
    print(f"  plain TRL / ours {plain / ours:.2f}; ours / plain without hooks {ours / bare:.3f} (at most 1.05)")
    print(f"  peak memory {peak:,.0f} MB")
    print(f"  {share:.1%} of the matrix rate ({rate / 1e12:.2f} T operations/s)")
    if name == "stage2":
        _generation(model, batch, where)


def _ours(recipe: DistillRecipe, model: Any, base: Path, batch: dict[str, Any], out: Path, steps: int) -> Any:
    loaded = Loaded(model, processor_of(str(base), None), student_of("mllama"))
    rows: Any = [{"study": "s", "image": "", "prompt": "", "target": ""}] * recipe.batch
    collate: Any = lambda _rows: dict(batch)  # noqa: E731  the batch is the same for both, so collating is left out
    choice = Choice("hf", "a benchmark")
    trainer = trainers.build(recipe, loaded, rows, (), collate, out, steps=steps, choice=choice, ranks=Ranks())
    trainer.add_callback(board(out / "board", from_step=0))
    return trainer


def _plain(recipe: DistillRecipe, model: Any, base: Path, batch: dict[str, Any], out: Path, steps: int) -> Any:
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    cuda = device() == "cuda"
    arguments = SFTConfig(
        output_dir=str(out),
        max_steps=steps,
        per_device_train_batch_size=recipe.batch,
        optim=recipe.optimizer.name,
        learning_rate=recipe.optimizer.learning_rate,
        **trainers.checkpointing(on=recipe.gradient_checkpointing),
        bf16=cuda,
        use_cpu=not cuda,
        save_strategy="no",
        report_to=[],
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        dataloader_pin_memory=cuda,
        max_length=None,
        disable_tqdm=True,
    )
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list([{"image": "", "prompt": ""}] * recipe.batch),
        processing_class=processor_of(str(base), None),
        data_collator=lambda _rows: dict(batch),
        peft_config=lora_config(model, student_of("mllama"), recipe.lora),
    )
    trainer.remove_callback(PrinterCallback)
    if not cuda:
        for weight in trainer.model.parameters():
            if weight.requires_grad:
                weight.data = weight.data.to(torch.float32)
    return trainer


def _generation(model: Any, batch: dict[str, Any], where: str) -> None:
    """New tokens a second of eight answers at once, and of one."""
    import torch

    new = 64
    given = {name: value[:1] for name, value in batch.items() if name != "labels"}
    for rows in (8, 1):
        asked = {name: value.repeat(rows, *[1] * (value.dim() - 1)) for name, value in given.items()}
        seconds = []
        for _ in range(3):
            clock = Clock(where)
            clock()
            with torch.inference_mode():
                model.eval().generate(**asked, max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0)
            clock()
            seconds.append(clock.marks[1] - clock.marks[0])
        print(f"  generation, {rows} at once: {rows * new / statistics.median(seconds):,.0f} tokens/s")


def _operations(config: Any, model: Any, recipe: DistillRecipe, tokens: int) -> float:
    """Of one step, in matrix products; attention's own products are left out."""
    import torch

    seen = {"vision": 0, "language": 0}
    for name, part in model.named_modules():
        if isinstance(part, torch.nn.Linear) and "lora_" not in name:
            seen["vision" if "vision" in name else "language"] += part.in_features * part.out_features
    vision = config.vision_config
    patches: int = vision.max_num_tiles * ((vision.image_size // vision.patch_size) ** 2 + 1)
    again = 2 if recipe.gradient_checkpointing else 0
    back = 2 + again if "vision" in recipe.lora.parts else 0
    rows: int = recipe.batch
    return rows * tokens * seen["language"] * (4.0 + again) + rows * patches * seen["vision"] * (2.0 + back)


def _matrix_rate(where: str) -> float:
    import torch

    size, dtype = (8192, torch.bfloat16) if where == "cuda" else (1024, torch.float32)
    one = torch.randn(size, size, dtype=dtype, device=where)
    clock = Clock(where)
    for _ in range(12):
        one @ one
        clock()
    return float(2 * size**3 / clock.median)


def _unsloth(base: Path | None, where: str) -> None:
    if where != "cuda" or importlib.util.find_spec("unsloth") is None:
        print("\nunsloth: not measured (it needs CUDA, and to be installed)")
    elif base is None:
        print("\nunsloth: not measured (it loads checkpoints only; give --base DIR)")
    else:
        from tenstep.distill.train.backend import adapted, load_base

        recipe = read_recipe(ROOT / "examples" / "recipes" / "stage2.yaml", DistillRecipe)
        choice = Choice("unsloth", "a benchmark")
        loaded = load_base(choice, str(base), recipe)
        model, _ = adapted(choice, loaded.model, loaded.student, recipe)
        batch = batch_of(loaded.model.config, recipe.batch, 768, where, learned=420)
        clock = Clock(where)
        for _ in range(10):
            model(**batch).loss.backward()
            clock()
        print(f"\nunsloth: {clock.median * 1e3:.1f} ms forward and backward, {_peak():,.0f} MB")


def _reset(where: str) -> None:
    if where == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()


def _peak() -> float:
    from tenstep.distill.train.run_card import peak_memory_mb

    return peak_memory_mb()


def _name() -> str:
    from tenstep.distill.train.run_card import hardware

    return hardware()


if __name__ == "__main__":
    main()
