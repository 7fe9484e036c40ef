"""What every recipe holds whose command asks a model. An unknown key is an error, and so is a wrong value."""

from datetime import date
from typing import Any, Literal

from pydantic import Field

from .base import Name, Noun, Words


class TeacherSpec(Noun):
    """One teacher; `kind` is the name of a file in curation/teachers, which checks `options` itself."""

    kind: Name = Field(description='Which teacher: a name under "Options of teachers", or a plugin\'s.')
    name: Name | None = Field(None, description="What records call it; its kind if not given.")
    options: dict[str, Any] = Field(default_factory=dict, description="Keys of this kind.")


class Budget(Noun):
    """Where spending stops, over all calls on one run folder; the bound that is reached first stops the run."""

    usd: float | None = Field(None, ge=0, allow_inf_nan=False, description="Needs a price for every teacher.")
    calls: int | None = Field(None, ge=0, description="Requests that are sent, whatever becomes of them.")
    tokens: int | None = Field(None, ge=0, description="Input and output together.")


class Rate(Noun):
    """What one endpoint and model may be asked in a minute, where the provider says so."""

    requests_per_minute: float | None = Field(None, gt=0, allow_inf_nan=False, description="None: no limit.")
    tokens_per_minute: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Input and output together. None: no limit."
    )


class TrainingTerms(Noun):
    """A person's word that an endpoint's terms allow training on what it answers."""

    endpoint: str = Field(description="As in the teacher: scheme, host and port decide.")
    attested_by: Words = Field(description="A person, by name.")
    attested_on: date = Field(description="The day, as YYYY-MM-DD.")
    basis: Words = Field(description="The terms: title, version, clause.")


class Policy(Noun):
    """Who vouches for endpoints that are not this machine."""

    attestations: tuple[str, ...] = Field((), description="Attestation files, for restricted data.")
    training_terms: tuple[TrainingTerms, ...] = Field(
        (), description="Without one for each such endpoint, nothing of the run may be exported for training."
    )


class RequestOptions(Noun):
    """How requests are sent, whatever they ask: what every recipe with a teacher, judge or verifier holds."""

    kind: str = Field(description="Which kind of recipe this is.")
    name: Name = Field(description="The recipe's name: letters, digits, '.', '_' and '-'.")
    resend_unknown: Literal["ask", "yes", "unanswered", "no"] = Field(
        "ask",
        description="Requests that were sent and brought no answer that can be read: yes sends them again; unanswered: "
        "only those to which nothing came; ask is no, and says so.",
    )
    budget: Budget = Budget()
    prices: str | None = Field(None, description="A price table whose entries go before those that are shipped.")
    policy: Policy = Policy()
    concurrency: int = Field(8, ge=1, le=4096, description="Most requests under way to one endpoint and model.")
    rate: Rate = Rate()
    retries: int = Field(5, ge=0, le=20, description="How often a request that the server turned away is sent again.")
    seed: int = Field(0, description="Of everything that is drawn by chance.")
