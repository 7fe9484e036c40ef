"""Outcome: what a command has to say. Commands return it; cli/ prints it, for people or as JSON."""

from typing import Any

from pydantic import Field

from .base import Noun


class Table(Noun):
    """A table for people."""

    title: str = ""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = ()


class Outcome(Noun):
    """The result of one command."""

    payload: dict[str, Any] = Field(default_factory=dict, description="What --json prints.")
    records: tuple[dict[str, Any], ...] | None = Field(
        None, description="If given, --json prints these, one object a line, instead of the payload."
    )
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = Field((), description="Lines for people: where things are, what to do next.")
    exit_code: int = 0
    private: bool = Field(
        True,
        description="Whether a file that --json writes is its owner's alone; false where the data is known public.",
    )
