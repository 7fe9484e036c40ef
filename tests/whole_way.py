"""A family of students through the whole line, tiny: preflight, training, labels, sampled answers, merged weights.

As a program it takes several families through it, in a process of their own, and writes what became of each:
python whole_way.py FOLDER FAMILY ... > {"family": "" or what went wrong}
"""

import json
import sys
import traceback
from pathlib import Path

from distill_parts import accepted_run, filmed, steps
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.distill.libraries import import_torchvision, quiet
from tenstep.distill.pixels import open_image
from tenstep.distill.publish.merge import merge
from tenstep.distill.sample import plan, sample
from tenstep.distill.shape import processor_of
from tenstep.distill.train.collator import IGNORED, CompletionCollator
from tenstep.distill.train.preflight import preflight
from tenstep.distill.train.train import distill
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.learning import Lora, Optimizer
from tiny_students import BUILDERS
from tiny_video_students import WITH_VIDEO

BOTH = Lora(r=4, parts=("vision", "language"))


def whole_way(family: str, store: StudyStore, run: Path, tmp_path: Path, gguf: Path | None = None) -> None:
    """See the module.

    Raises:
        MissingExtraError: its processor wants torchvision.
    """
    base = tmp_path / "base"
    (BUILDERS | WITH_VIDEO)[family](base, [text for study in store for text in (study.report, steps(study))] * 2)
    processor = processor_of(str(base), None)
    recipe = DistillRecipe(
        kind="distill",
        name=family.replace("_", "-"),
        base=str(base),
        steps=6,
        optimizer=Optimizer(learning_rate=0.02),
        batch=2,
        log_every=1,
        max_new_tokens=220,
        lora=BOTH,
        report_to=(),
    )
    looked = preflight(recipe, run)
    card = distill(recipe, run, tmp_path / "out")
    assert looked.unchecked == ()
    assert card.preflight.trainable == looked.trainable and set(looked.trainable) == {"vision", "language"}
    assert card.preflight.conversation == looked.conversation
    assert min(one.loss for one in card.losses) < card.losses[0].loss

    assert processor is not None
    collate = CompletionCollator(processor, None, open_image)
    study = next(iter(store))
    with quiet():
        batch = collate(
            [{"study": "s", "image": str(store.path_of(study.images[0])), "prompt": "Report.", "target": study.report}]
        )
    learned = batch["labels"][0][batch["labels"][0] != IGNORED]
    assert processor.tokenizer.decode(learned, skip_special_tokens=True).strip() == study.report.strip()

    asked = plan(tmp_path / "out", name="s", temperatures=[0.0, 0.8], n=2, max_new_tokens=8, limit=2, seed=0)
    for batch, answers in ((8, tmp_path / "samples"), (1, tmp_path / "alone")):
        assert sample(asked, store, answers, batch=batch).counts["attempts"] == 8
    with RunFolder.read(tmp_path / "samples") as samples, RunFolder.read(tmp_path / "alone") as alone:
        texts = [{one.candidate.key: one.candidate.text for one in run.judged()} for run in (samples, alone)]
    assert texts[0] == texts[1]  # whether the answers to a study share its encoding or not

    merged = merge(tmp_path / "out", tmp_path / "merged", rows=1, gguf=gguf)
    assert merged.model_type == family and merged.top1 is not None and merged.top1 > 0.97


if __name__ == "__main__":
    import_torchvision()
    folder, outcomes = Path(sys.argv[1]), {}
    films = filmed(folder / "films", 4)
    traces = accepted_run(films, folder / "run")
    for name in sys.argv[2:]:
        try:
            whole_way(name, films, traces, folder / name)
            outcomes[name] = ""
        except Exception:  # noqa: BLE001  the test that started this says which family failed, and goes on
            outcomes[name] = traceback.format_exc()
    sys.stdout.write("\n" + json.dumps(outcomes) + "\n")
