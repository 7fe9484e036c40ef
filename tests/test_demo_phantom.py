"""The demo radiographs: reproducible, and what the report says can be read off the pixels."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tenstep.data.demo.phantom import phantom, render
from tenstep.data.demo.truth import Nodule, Truth, draw

EXAMPLES = Path(__file__).parents[1] / "examples"
NORMAL = Truth("PA", "none", None, "normal", None, None, None)


def brightness(truth: Truth, box: tuple[float, float, float, float]) -> float:
    """Mean grey value, 0 to 255, of a box given in shares of the edge (left, top, right, bottom)."""
    pixels = np.asarray(render(truth, seed=7), dtype=np.float64)
    left, top, right, bottom = (round(share * pixels.shape[0]) for share in box)
    return float(pixels[top:bottom, left:right].mean())


def test_a_seed_gives_the_same_film_and_findings() -> None:
    first, second = phantom(11), phantom(11)
    assert first[0].tobytes() == second[0].tobytes()
    assert first[1] == second[1] == phantom(11, 56)[1]
    assert first[0].tobytes() != phantom(12)[0].tobytes()
    assert (first[0].mode, first[0].size) == ("L", (128, 128))


@pytest.mark.parametrize(
    ("truth", "box"),
    [
        # the image's left is the patient's right
        (Truth("PA", "right", "small", "normal", None, None, None), (0.15, 0.66, 0.28, 0.76)),
        (Truth("PA", "left", "large", "normal", None, None, None), (0.72, 0.55, 0.85, 0.75)),
        (Truth("PA", "none", None, "enlarged", None, None, None), (0.70, 0.68, 0.75, 0.74)),
        (Truth("PA", "none", None, "normal", Nodule("right", "lower"), None, None), (0.23, 0.54, 0.28, 0.60)),
        (Truth("PA", "none", None, "normal", Nodule("left", "upper"), None, None), (0.70, 0.31, 0.75, 0.36)),
        (Truth("PA", "none", None, "normal", None, None, "pacemaker"), (0.77, 0.21, 0.88, 0.30)),
        (Truth("PA", "none", None, "normal", None, None, "central line"), (0.45, 0.3, 0.47, 0.45)),
    ],
)
def test_each_finding_whitens_its_place(truth: Truth, box: tuple[float, float, float, float]) -> None:
    assert brightness(truth, box) > brightness(NORMAL, box) + 25


def test_a_pneumothorax_darkens_the_edge_of_its_lung() -> None:
    left = Truth("PA", "none", None, "normal", None, "left", None)
    assert brightness(left, (0.83, 0.4, 0.86, 0.6)) < brightness(NORMAL, (0.83, 0.4, 0.86, 0.6)) - 12
    assert brightness(left, (0.14, 0.4, 0.17, 0.6)) == brightness(NORMAL, (0.14, 0.4, 0.17, 0.6))


def test_findings_that_hide_each_other_are_not_combined() -> None:
    for seed in range(3000):
        truth = draw(seed)
        if truth.nodule:
            assert truth.nodule.side != truth.pneumothorax
            assert not (truth.nodule.zone == "lower" and truth.fluid(truth.nodule.side) == "large")
        assert (truth.effusion == "none") == (truth.effusion_size is None)


def test_a_linear_reader_trained_on_other_films_reads_every_finding() -> None:
    """The image decides the report: a ridge regression from 350 films of 56 pixels reads 100 unseen ones."""
    films = [phantom(seed, 56) for seed in range(450)]
    pixels = np.array([np.asarray(image, dtype=np.float64).ravel() / 255 for image, _ in films])
    train, unseen = pixels[:350] - pixels[:350].mean(0), pixels[350:] - pixels[:350].mean(0)
    kernel = np.linalg.inv(train @ train.T + 10 * np.eye(350))

    def right(fact: Callable[[Truth], object]) -> float:
        facts = [str(fact(truth)) for _, truth in films]
        kinds = sorted(set(facts))
        wanted = np.array([[float(kind == seen) for kind in kinds] for seen in facts[:350]])
        guess = (unseen @ (train.T @ (kernel @ (wanted - wanted.mean(0)))) + wanted.mean(0)).argmax(1)
        return float(np.mean([kinds[at] == seen for at, seen in zip(guess, facts[350:], strict=True)]))

    assert right(lambda truth: truth.effusion) > 0.85
    assert right(lambda truth: truth.effusion_size) > 0.9
    for fact in ("view", "heart", "nodule", "pneumothorax", "device"):
        assert right(lambda truth, fact=fact: getattr(truth, fact)) > 0.93, fact


def test_the_sample_film_is_ours() -> None:
    with Image.open(EXAMPLES / "sample_cxr.png") as sample:
        kept = np.asarray(sample, dtype=np.float64)
    drawn = np.asarray(phantom(252, 512)[0], dtype=np.float64)
    assert np.abs(kept - drawn).max() <= 2  # other processors round the last bit differently
