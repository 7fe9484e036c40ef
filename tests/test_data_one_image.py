"""What a report is about and its images show, by a table; and the one image that is made of several."""

from pathlib import Path

import pytest
from layouts.mimic import film
from PIL import Image
from tenstep.data.intake.images import ImageFile, admit_all
from tenstep.data.intake.one_image import fewer, one_image
from tenstep.schemas.study import ImageRef


@pytest.mark.parametrize(
    ("told", "text", "shown", "lacks"),
    [
        (("PA", "lateral"), "", ("PA", "lateral"), False),
        (("PA", "lateral"), "", ("AP", "LL"), False),
        (("PA", "lateral"), "", ("PA",), True),
        (("PA", "lateral"), "", ("lateral",), True),
        (("PA", "lateral"), "", ("PA", "PA"), True),
        (("PA", "lateral"), "", ("unknown", "unknown"), False),
        (("PA", "lateral"), "", ("PA", "unknown"), False),
        (("PA", "lateral"), "", ("unknown",), True),
        ((), "CHEST, TWO VIEWS", ("AP",), True),
        ((), "CHEST 2 VIEWS", ("AP", "lateral"), False),
        ((), "CHEST", ("AP",), False),
        (("AP",), "portable AP", ("AP",), False),
        (("AP",), "portable AP", ("PA",), False),  # what metadata says goes before words
        (("AP",), "", ("lateral",), True),
    ],
)
def test_a_report_about_more_than_is_shown_is_told(
    told: tuple[str, ...], text: str, shown: tuple[str, ...], lacks: bool
) -> None:
    found = fewer(told, text, shown)
    assert (found is not None) == lacks
    if found:
        assert ", ".join(shown) in found


def refs(folder: Path, *views: str) -> tuple[ImageRef, ...]:
    images = []
    for number, view in enumerate(views):
        path = folder / f"{number}.png"
        path.write_bytes(film(number, ".png", (40 + 20 * number, 30 + 30 * number)))
        images.append(ImageFile(path, view))
    admitted = admit_all(images, folder, None)
    assert isinstance(admitted, tuple)
    return admitted[0]


def test_the_first_frontal_view_is_chosen_and_the_others_are_named(tmp_path: Path) -> None:
    found = one_image(refs(tmp_path, "lateral", "AP", "PA"), "frontal-first", lambda ref: Path(ref.path), None)
    assert found is not None
    assert (found.ref.view, found.mark) == ("AP", "image=frontal-first")
    ((code, detail),) = found.warnings
    assert code == "one_of_several_views"
    assert "lateral, AP, PA" in detail


def test_without_a_frontal_view_the_first_is_chosen(tmp_path: Path) -> None:
    found = one_image(refs(tmp_path, "lateral", "LL"), "frontal-first", lambda ref: Path(ref.path), None)
    assert found is not None
    assert found.ref.view == "lateral"


def test_a_canvas_holds_all_views_at_one_height(tmp_path: Path) -> None:
    images = refs(tmp_path, "PA", "lateral")  # 40 x 30 and 60 x 60
    store = tmp_path / "store"
    found = one_image(images, "canvas", lambda ref: Path(ref.path), store / "images")
    assert found is not None
    assert (found.ref.view, found.ref.width, found.ref.height) == ("PA+lateral", 70, 30)
    with Image.open(store / found.ref.path) as canvas, Image.open(images[0].path) as left:
        assert canvas.crop((0, 0, 40, 30)).tobytes() == left.tobytes()
    again = one_image(images, "canvas", lambda ref: Path(ref.path), store / "images")
    assert again == found


def test_a_single_image_stays_as_it_is(tmp_path: Path) -> None:
    assert one_image(refs(tmp_path, "PA"), "canvas", lambda ref: Path(ref.path), tmp_path / "images") is None
