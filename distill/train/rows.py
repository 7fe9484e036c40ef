"""Training examples to rows of the trainer's table. Whatever would stop the run at step 500 stops it here.

Texts are held in memory, images stay on disk until their batch is made.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Self

from ...schemas.errors import ImageError, TrainingError
from ..pixels import check_all, choose
from ..prompt import Prompt
from .collator import TrainingRow
from .examples import TrainingExample, TrainingExamples


class TrainingData(NamedTuple):
    """Examples, and the rows of both sides."""

    examples: TrainingExamples
    train: list[TrainingRow]
    validation: list[TrainingRow]

    @classmethod
    def of(cls, examples: TrainingExamples, prompt: Prompt, *, reward: bool) -> Self:
        """As `rows_of`."""
        return cls(examples, *(rows_of(side, prompt, reward=reward) for side in (examples.train, examples.validation)))

    @property
    def rows(self) -> list[TrainingRow]:
        """Of both sides."""
        return [*self.train, *self.validation]

    def without(self, studies: Collection[str]) -> "TrainingData":
        """The others."""
        sides = ([row for row in some if row["study"] not in studies] for some in (self.train, self.validation))
        return TrainingData(self.examples.without(studies), *sides)


def rows_of(examples: Sequence[TrainingExample], prompt: Prompt, *, reward: bool = False) -> list[TrainingRow]:
    """One row an example, or one a rejected text of it, in their order; every image is there, as it was ingested.

    Args:
        examples: training or validation examples.
        prompt: what the student will be asked.
        reward: rows also hold what a reward compares with.

    Raises:
        TrainingError: a study has no image, or its report has another form than the prompt asks for.
        ImageError: an image is missing, changed or damaged.
    """
    without = [example.study.id for example in examples if not example.study.images]
    if without:
        raise TrainingError(
            f"{len(without)} of {len(examples)} studies have no image (the first is '{without[0]}'), and a student "
            "learns from images; ingest them with their images instead of --text-only"
        )
    other = [example.study.id for example in examples if example.study.report_form != prompt.report_form]
    if other:
        raise TrainingError(
            f"prompt {prompt.name} asks for a {prompt.report_form} report, but {len(other)} studies have another form "
            f"(the first is '{other[0]}'); ingest with that form, or choose another prompt",
            field="prompt",
        )
    images = [(example.store, example.study, image) for example in examples if (image := choose(example.study))]
    rows: list[TrainingRow] = []
    for (_, _, image), example, path in zip(images, examples, check_all(images), strict=True):
        if isinstance(path, ImageError):
            raise path
        row = TrainingRow(study=example.study.id, image=str(path), prompt=prompt.text, target=example.target)
        row["image_sha256"] = image.sha256
        if reward:
            study = example.study
            views = list(study.views) or [image.view for image in study.images]
            row |= {"reference_report": study.report, "views": views, "has_prior": study.has_prior}
        rows += [{**row, "rejected": one.text} for one in example.rejected] or [row]
    return rows


def sizes_of(examples: Sequence[TrainingExample]) -> list[tuple[int, int]]:
    """Width and height of the image of each row, in pixels, as they were when it was ingested."""
    images = [choose(example.study) for example in examples for _ in example.rejected or (None,)]
    return [(image.width, image.height) for image in images if image is not None]
