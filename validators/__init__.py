"""The rules: pure functions of a study and a candidate. `check` asks them all about one text."""

from .check import check

__all__ = ["check"]
