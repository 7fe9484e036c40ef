"""Accepted examples to rows of the trainer's table. Whatever would stop the run at step 500 stops it here.

Texts are held in memory, images stay on disk until their batch is made.
"""

from collections.abc import Iterable

from ..data.store import StudyStore
from ..schemas.errors import TrainingError
from ..schemas.example import Example
from .collator import Row
from .pixels import check, choose
from .prompt import Prompt


def rows_of(examples: Iterable[Example], store: StudyStore, prompt: Prompt) -> list[Row]:
    """One row an example, in their order.

    Args:
        examples: what is to be learned.
        store: where their images lie.
        prompt: what the student will be asked.

    Raises:
        TrainingError: there is no example, one has no image, or its report has another form than the prompt asks for.
        ImageError: an image is missing, changed or damaged.
    """
    examples = list(examples)
    if not examples:
        raise TrainingError("no accepted example to learn from; curate more, or look at the rejected ones")
    blind = [example.study.id for example in examples if not example.study.images]
    if blind:
        raise TrainingError(
            f"{len(blind)} of {len(examples)} studies have no image (the first is '{blind[0]}'), and a student learns "
            "from images; ingest them with their images instead of --text-only"
        )
    other = [example.study.id for example in examples if example.study.report_form != prompt.report_form]
    if other:
        raise TrainingError(
            f"prompt {prompt.name} asks for a {prompt.report_form} report, but {len(other)} studies have another form "
            f"(the first is '{other[0]}'); ingest with that form, or choose another prompt",
            field="prompt",
        )
    return [_row(example, store, prompt) for example in examples]


def _row(example: Example, store: StudyStore, prompt: Prompt) -> Row:
    study = example.study
    image = choose(study)
    assert image is not None  # studies without one were refused above
    path = check(store, study, image)
    return Row(study=study.id, image=str(path), prompt=prompt.text, target=example.target)
