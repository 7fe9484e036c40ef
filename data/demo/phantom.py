"""Demo radiographs: frontal chest phantoms in which everything the report names can be seen, and nothing else.

Made here from formulas, not from any patient. Coordinates run from 0 to 1, x to the image's right (the patient's
left) and y downward, so that a phantom looks the same at every size. Brightness runs from 0 (air) to 1 (bone, metal).
"""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from .truth import Side, Truth, draw

SIZE = 128
Field = npt.NDArray[np.float64]
_FLUID, _HEART = 0.69, 0.82  # different, so that a heart's size can be seen through fluid
# where fluid begins next to the heart, and how far it climbs toward the chest wall
_LEVEL = {"small": (0.695, 0.11), "large": (0.47, 0.16)}


def phantom(seed: int, size: int = SIZE) -> tuple[Image.Image, Truth]:
    """The radiograph and the findings of one seed.

    Returns:
        a grey image of `size` x `size` pixels (mode L), and what is on it. The same seed gives the same findings at
        every size, and the same pixels at the same size.
    """
    truth = draw(seed)
    return render(truth, seed, size), truth


def render(truth: Truth, seed: int = 0, size: int = SIZE) -> Image.Image:
    """Draw given findings; the seed decides build, position and noise only."""
    rng = np.random.default_rng((seed, 2))
    shift_x, shift_y, build = rng.uniform(-0.015, 0.015), rng.uniform(-0.015, 0.015), rng.uniform(0.96, 1.04)
    grid = (np.arange(size) + 0.5) / size
    x = ((grid[None, :] - shift_x) - 0.5) / build + 0.5 + np.zeros((size, 1))
    y = (grid[:, None] - shift_y) + np.zeros((1, size))
    film = _body(x, y)
    lungs: dict[Side, Field] = {"right": _lung(x, y), "left": _lung(1 - x, y - 0.02)}
    for lung in lungs.values():
        film += (0.13 + 0.12 * film - film) * lung
    film += _vessels(x, y, rng) * (lungs["right"] + lungs["left"])
    _findings_of_side(film, truth, "right", x, y, lungs["right"])
    _findings_of_side(film, truth, "left", 1 - x, y, lungs["left"])
    film = _heart(film, x, y, enlarged=truth.heart == "enlarged")
    film = _bones(film, x, y)
    if truth.device:
        film = _device(film, truth.device, size)
    film = film * 0.72 + 0.2 if truth.view == "AP" else film  # portable films are flatter and brighter
    grain = np.asarray(rng.normal(0, 0.022, film.shape))
    film = _marker(np.clip(film + grain, 0.0, 1.0), truth.view, size)
    return Image.fromarray((np.clip(film, 0, 1) * 255).round().astype(np.uint8))


def _soft(value: Field, width: float = 0.012) -> Field:
    """0 where value is well below zero, 1 where well above, with an edge of about `width`."""
    return np.asarray(1 / (1 + np.exp(-np.clip(value / width * 4, -60, 60))))


def _ellipse(x: Field, y: Field, cx: float, cy: float, rx: float, ry: float, width: float = 0.012) -> Field:
    radius = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
    return _soft((1 - radius) * min(rx, ry), width)


def _band(distance: Field, half_width: float) -> Field:
    """1 along a curve, falling to 0 steeply beyond `half_width` of it."""
    return np.asarray(np.exp(-(((distance / half_width) ** 2) ** 2)))


def _body(x: Field, y: Field) -> Field:
    """Trunk with shoulders and neck, the abdomen brighter, the spine and mediastinum in the middle."""
    d = np.abs(x - 0.5)
    half_width = 0.11 + 0.37 * _soft(y - 0.09, 0.17)
    trunk = _soft(half_width - d, 0.03)
    film = trunk * (0.53 + 0.16 * _soft(y - 0.72, 0.1)) + 0.02
    film += trunk * 0.15 * np.exp(-((d / 0.085) ** 2))
    film += trunk * 0.035 * np.exp(-((d / 0.045) ** 2)) * np.cos(y * 2 * np.pi / 0.062)
    film -= 0.16 * _soft(0.022 - d, 0.02) * _soft(0.34 - y, 0.04)  # trachea
    film -= 0.2 * _ellipse(x, y, 0.70, 0.93, 0.06, 0.035, 0.03)  # gas in the stomach
    return np.asarray(film)


def _lung(x: Field, y: Field, inset: float = 0.0) -> Field:
    """The right lung (on the image's left); give 1 - x for the left one. `inset` shrinks it from wall and apex."""
    dome = 0.76 + 0.09 * np.clip(np.abs(x - 0.31) / 0.17, 0, 1.4) ** 2
    wall = _ellipse(x, y, 0.30, 0.53, 0.185 - inset, 0.42 - 1.6 * inset)
    return wall * _soft(dome - y) * _soft(0.445 - x)


def _vessels(x: Field, y: Field, rng: np.random.Generator) -> Field:
    """Hila, and branches that thin out toward the wall."""
    field = np.zeros_like(x)
    for cx, cy in ((0.41, 0.45), (0.59, 0.43)):
        field += 0.2 * np.exp(-(((x - cx) / 0.03) ** 2 + ((y - cy) / 0.06) ** 2))
        outward = -1.0 if cx < 0.5 else 1.0
        for angle in np.linspace(-1.15, 1.25, 9) + rng.uniform(-0.08, 0.08, 9):
            dx, dy = (x - cx) * outward, y - cy
            along = dx * np.cos(angle) + dy * np.sin(angle)
            across = dy * np.cos(angle) - dx * np.sin(angle) + 0.012 * np.sin(along * 26 + angle * 9)
            width = 0.004 + 0.007 * np.exp(-np.clip(along, 0, None) / 0.1)
            field += (
                0.13 * np.exp(-((across / width) ** 2) - np.clip(along, 0, None) / 0.13) * _soft(along - 0.02, 0.03)
            )
    return np.asarray(field)


def _findings_of_side(film: Field, truth: Truth, side: Side, x: Field, y: Field, lung: Field) -> None:
    """Add one hemithorax's pneumothorax, nodule and fluid, in place; x is mirrored for the left."""
    y = y if side == "right" else y - 0.02
    if truth.pneumothorax == side:
        collapsed = _lung(x, y, inset=0.055) * _soft(y - 0.24, 0.03)
        edge = collapsed * (1 - collapsed) * 4
        film -= np.clip(film - 0.03, 0, None) * lung * (1 - collapsed)
        film += lung * (0.22 * edge + 0.08 * collapsed)
    if truth.nodule and truth.nodule.side == side:
        cx, cy = (0.27, 0.31) if truth.nodule.zone == "upper" else (0.25, 0.57)
        film += 0.5 * _ellipse(x, y, cx, cy, 0.045, 0.045, 0.02)
    if size := truth.fluid(side):
        medial, climb = _LEVEL[size]
        level = medial - climb * np.clip((0.33 - x) / 0.2, 0, 1) ** 2
        # the whole space of the lower lung, dome and angle included
        space = _ellipse(x, y, 0.30, 0.53, 0.195, 0.44) * _soft(0.47 - x) * _soft(y - level, 0.03)
        film += (_FLUID - film) * space


def _heart(film: Field, x: Field, y: Field, *, enlarged: bool) -> Field:
    """The heart with its apex down to the patient's left, the great vessels above it, and the aortic knob."""
    turn = 0.45
    u = (x - 0.54) * np.cos(turn) + (y - 0.675) * np.sin(turn)
    v = (y - 0.675) * np.cos(turn) - (x - 0.54) * np.sin(turn)
    if enlarged:
        heart = np.maximum(_ellipse(u, v, 0.03, 0.0, 0.235, 0.165, 0.03), _ellipse(x, y, 0.44, 0.65, 0.10, 0.125, 0.03))
    else:
        heart = np.maximum(_ellipse(u, v, 0.0, 0.0, 0.14, 0.118, 0.03), _ellipse(x, y, 0.475, 0.68, 0.055, 0.105, 0.03))
    great = np.maximum(_ellipse(x, y, 0.515, 0.46, 0.068, 0.19, 0.03), _ellipse(x, y, 0.55, 0.325, 0.04, 0.05, 0.025))
    film = film + np.clip(0.66 - film, 0, None) * great
    return np.asarray(film + np.clip(_HEART - film, 0, None) * heart)


def _bones(film: Field, x: Field, y: Field) -> Field:
    """Posterior and anterior ribs, and clavicles, screened over what lies below them."""
    d = np.abs(x - 0.5)
    inside = _soft(d - 0.04, 0.02) * _soft(0.44 - d, 0.03) * _soft(0.9 - y, 0.03)
    bone = np.zeros_like(x)
    drop = 2.1 * np.clip(d - 0.12, 0, None) ** 1.6
    for rib in range(9):
        reach = 0.25 + 0.17 * min(1.0, (rib + 1) / 4)
        top = 0.115 + 0.072 * rib
        posterior = top - 0.03 * np.sin(d * 9) + (0.5 + 0.10 * rib) * drop
        line = _band(y - posterior, 0.013) * _soft(reach - d, 0.04)
        bone = np.maximum(bone, line * inside)
    for rib in range(6):
        anterior = 0.30 + 0.085 * rib + 0.34 * (0.40 - d) * (1 + 0.1 * rib)
        line = _band(y - anterior, 0.014) * _soft(d - 0.15, 0.05) * _soft(0.42 - d, 0.03)
        bone = np.maximum(bone, 0.5 * line * inside)
    clavicle = 0.215 - 0.30 * (d - 0.05) + 0.02 * np.sin(d * 16)
    collar = _band(y - clavicle, 0.017) * _soft(d - 0.05, 0.02) * _soft(0.40 - d, 0.03)
    return np.asarray(film + (1 - film) * np.clip(0.17 * bone + 0.26 * collar, 0, 1))


def _device(film: Field, device: str, size: int) -> Field:
    """Metal: a line through the right neck into the caval vein, or a pacemaker under the left clavicle."""
    scale = 4 * size
    layer = Image.new("L", (scale, scale))
    pen = ImageDraw.Draw(layer)
    thick = max(1, round(0.013 * scale))

    def path(*points: tuple[float, float]) -> None:
        pen.line([(px * scale, py * scale) for px, py in points], fill=255, width=thick, joint="curve")

    if device == "central line":
        path((0.36, 0.0), (0.385, 0.08), (0.43, 0.17), (0.452, 0.26), (0.46, 0.36), (0.462, 0.47))
    else:
        box = (0.76 * scale, 0.2 * scale, 0.89 * scale, 0.31 * scale)
        pen.rounded_rectangle(box, radius=0.035 * scale, fill=255)
        path((0.77, 0.23), (0.68, 0.19), (0.57, 0.24), (0.49, 0.34), (0.475, 0.5), (0.52, 0.68), (0.6, 0.73))
    layer = layer.filter(ImageFilter.GaussianBlur(scale / 400)).resize((size, size), Image.Resampling.BOX)
    metal = np.asarray(layer, dtype=np.float64) / 255
    return np.asarray(film + (0.98 - film) * metal)


def _marker(film: Field, view: str, size: int) -> Field:
    """The lead letters: L on the patient's left, and the projection of a portable film."""
    layer = Image.fromarray((film * 255).astype(np.uint8))
    pen = ImageDraw.Draw(layer)
    font = ImageFont.load_default(size=0.075 * size)
    pen.text((0.955 * size, 0.025 * size), "L", fill=245, font=font, anchor="rt")
    if view == "AP":
        pen.text((0.035 * size, 0.025 * size), "AP", fill=245, font=font, anchor="lt")
    return np.asarray(layer, dtype=np.float64) / 255
