"""Quality: an order of accepted examples by what rules, verifier and readers said. No learned score.

Compared from the front: a reader accepted it; doubts that only the recipe let through (a verifier's answer counts as an
answer); warnings that stand, a judge's among them; repairs that it took. Nothing here looks at style or length.
"""

from ...schemas.example import Provenance

NAMES = ("not read by a reader", "doubts let through", "warnings", "repairs")


def quality(provenance: Provenance) -> tuple[float, ...]:
    """The key: smaller is better, position by position as in NAMES."""
    by = None if provenance.resolution is None else provenance.resolution.by
    return (
        0.0 if by == "reader" else 1.0,
        float(len(provenance.doubts)) if by == "recipe" else 0.0,
        float(len(provenance.warnings)),
        float(provenance.attempt - 1),
    )


def in_words(key: tuple[float, ...]) -> str:
    """The key in words, e.g. `warnings 2, repairs 1`."""
    words = [f"{name} {value:g}" for name, value in zip(NAMES[1:], key[1:], strict=True) if value]
    return ", ".join((["read by a reader"] if not key[0] else []) + words) or "no warning, first attempt"
