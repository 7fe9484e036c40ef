"""Where data may go: what a person attests of an endpoint, and what was decided for a run."""

from datetime import date
from typing import Literal

from pydantic import Field

from .base import Noun, Record, Sha256, Words
from .study import DataClass


class Attestation(Record):
    """A signed statement that restricted data may be sent to an endpoint; a YAML file next to the recipe.

    PhysioNet's policy of 2025-09-24 asks that the three practices be verified, and else that the service not be used.
    """

    endpoints: tuple[Words, ...] = Field(min_length=1, description="Scheme, host and port; paths are ignored.")
    contract: Words = Field(description="Reference of the contract that says so.")
    zero_retention: Literal[True] = Field(description="Nothing that is sent is kept.")
    no_training: Literal[True] = Field(description="Nothing that is sent trains a model.")
    no_human_review: Literal[True] = Field(description="No person at the provider reads it.")
    region: Words = Field(description="Where it is processed.")
    signed_by: Words = Field(description="The person who answers for this.")
    valid_until: date = Field(description="The last day on which it counts; days are those of UTC.")


class StorageAttestation(Record):
    """A signed statement that restricted data may lie at a remote place; a YAML file."""

    places: tuple[Words, ...] = Field(
        min_length=1, description="URLs (s3://bucket/folder); what lies under one counts."
    )
    contract: Words = Field(description="Reference of the agreement that covers it.")
    access: Words = Field(description="Who can read there: only people whom the data's terms cover.")
    not_public: Literal[True] = Field(description="Only people who were given access by name can read there.")
    region: Words = Field(description="Where it is stored.")
    signed_by: Words = Field(description="The person who answers for this.")
    valid_until: date = Field(description="The last day on which it counts; days are those of UTC.")


class EndpointDecision(Noun):
    """What was found of one teacher's endpoint."""

    teacher: str = Field(description="The teacher's name in the recipe.")
    endpoint: str | None = Field(description="None: the teacher runs in this process.")
    local: bool = Field(description="Nothing leaves this machine.")
    attestation: str | None = Field(None, description="The contract it rests on, for restricted data.")
    attestation_sha256: Sha256 | None = Field(None, description="Of the attestation file.")
    signed_by: str | None = Field(None, description="Who signed it.")
    valid_until: date | None = Field(None, description="Its last day, of UTC.")
    training_terms: str | None = Field(None, description="Who attests what, and since when.")


class PolicyDecision(Noun):
    """Why a run was allowed to send what it sends, and what may become of its answers."""

    data_class: DataClass = Field(description="Of the studies.")
    decided: str = Field(description="ISO 8601, UTC.")
    endpoints: tuple[EndpointDecision, ...] = Field(description="What was decided on each endpoint.")
    training: bool = Field(description="Whether accepted traces may be exported for training.")
    reason: str | None = Field(None, description="If not: why, and what would allow it.")
