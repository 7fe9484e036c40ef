"""What every noun shares: frozen, no unknown fields, and a schema version in every stored record."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

SCHEMA_VERSION: Literal[1] = 1

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]  # of a file, a folder or a model
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]  # that a person wrote: not blank
Status = Literal["present", "absent", "uncertain"]


class Noun(BaseModel):
    """A value inside a record."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Record(Noun):
    """Something that is stored on its own; `schema_version` says how to read it."""

    schema_version: Literal[1] = Field(SCHEMA_VERSION, description="Version of the record's form.")
