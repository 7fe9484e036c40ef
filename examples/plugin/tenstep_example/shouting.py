"""Shouting: a step in capitals was not written by a reader of films."""

from tenstep.validators.rule import Case, Finder, ten, trace_of

GROUP = "form"
CODES = {"shouting": "warning"}
find = Finder(__name__, CODES)


def rule(study, candidate):
    """Steps in capitals."""
    for position, step in enumerate(trace_of(candidate).steps, 1):
        if step.text.isupper():
            yield find("shouting", "Write in sentence case.", step=position)


PASSES = (Case(ten()),)
FAILS = (Case(ten({5: "THE LUNGS ARE CLEAR."}), "shouting"),)
