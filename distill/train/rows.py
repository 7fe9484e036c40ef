"""Lessons to rows of the trainer's table. Whatever would stop the run at step 500 stops it here.

Texts are held in memory, images stay on disk until their batch is made.
"""

from collections.abc import Sequence

from ...schemas.errors import TrainingError
from ..pixels import check, choose
from ..prompt import Prompt
from .collator import Row
from .examples import Lesson


def rows_of(lessons: Sequence[Lesson], prompt: Prompt) -> list[Row]:
    """One row a lesson, in their order; every image is there, is the one that was ingested, and decodes.

    Args:
        lessons: what is to be learned or watched.
        prompt: what the student will be asked.

    Raises:
        TrainingError: a study has no image, or its report has another form than the prompt asks for.
        ImageError: an image is missing, changed or damaged.
    """
    blind = [lesson.study.id for lesson in lessons if not lesson.study.images]
    if blind:
        raise TrainingError(
            f"{len(blind)} of {len(lessons)} studies have no image (the first is '{blind[0]}'), and a student learns "
            "from images; ingest them with their images instead of --text-only"
        )
    other = [lesson.study.id for lesson in lessons if lesson.study.report_form != prompt.report_form]
    if other:
        raise TrainingError(
            f"prompt {prompt.name} asks for a {prompt.report_form} report, but {len(other)} studies have another form "
            f"(the first is '{other[0]}'); ingest with that form, or choose another prompt",
            field="prompt",
        )
    return [_row(lesson, prompt) for lesson in lessons]


def sizes_of(lessons: Sequence[Lesson]) -> list[tuple[int, int]]:
    """Width and height of the image of each row, in pixels, as they were when it was ingested."""
    images = [choose(lesson.study) for lesson in lessons]
    return [(image.width, image.height) for image in images if image is not None]


def _row(lesson: Lesson, prompt: Prompt) -> Row:
    image = choose(lesson.study)
    assert image is not None  # studies without one were refused above
    path = check(lesson.store, lesson.study, image)
    return Row(study=lesson.study.id, image=str(path), prompt=prompt.text, target=lesson.target)
