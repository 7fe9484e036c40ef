"""The policy guard: decides before a report or an image is read whether a run's data may go where it would go.

Nothing leaves the machine through a teacher without an endpoint, or with a loopback one. For any other endpoint,
fail closed: restricted data needs a valid attestation file that names it, and never goes through batch, background
or stored modes; and unless a person attests that its terms allow training on the answers, the run is marked, and
nothing of it may be exported for training (`RunFolder.check_training`). Which hosts belong to a provider is not
guessed: a node of one's own cluster needs the same two statements, from whoever runs it.
A tunnel that ends elsewhere looks like this machine: what it forwards to must be attested by whoever opens it.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from ...data.recipes import read_recipe
from ...schemas.errors import PolicyError
from ...schemas.policy import Attestation, EndpointDecision, PolicyDecision
from ...schemas.recipe import Policy
from ...schemas.study import DataClass, Study
from ..clients.addresses import is_loopback, origin
from ..teacher import Teacher

_LOGS = ("OPENAI_LOG", "ANTHROPIC_LOG")  # at debug, an SDK logs whole requests


def decide(
    policy: Policy, teachers: Sequence[Teacher], data_class: DataClass, *, today: date | None = None
) -> PolicyDecision:
    """Decide.

    Args:
        policy: what the recipe says.
        teachers: loaded, not yet asked.
        data_class: of the store, as its head says; no study is read.
        today: the day on which attestations must be valid; this one if not given.

    Raises:
        PolicyError: the data may not go there; says what is missing.
        RecipeError: an attestation file cannot be read, or an endpoint is no URL.
    """
    today = today or datetime.now(UTC).date()
    attested = list(_attested(policy)) if data_class == "restricted" else []
    if data_class == "restricted":
        _check_logging()
    decisions: list[EndpointDecision] = []
    for teacher in teachers:
        if data_class == "restricted" and (mode := kept_by(teacher)):
            raise PolicyError(f"teacher '{teacher.name}': restricted data never goes through {mode} requests")
        for endpoint in teacher.endpoints or (None,):
            decisions.append(_decide(teacher, endpoint, policy, attested, data_class, today))
    silent = sorted({str(d.endpoint) for d in decisions if not d.local and d.training_terms is None})
    reason = (
        f"no attestation says that the terms of {', '.join(silent)} allow training on the answers; "
        "say who does, and since when, under policy.training_terms in the recipe, and run it again"
    )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return PolicyDecision(
        data_class=data_class,
        decided=now,
        endpoints=tuple(decisions),
        training=not silent,
        reason=reason if silent else None,
    )


def both(earlier: PolicyDecision, later: PolicyDecision) -> PolicyDecision:
    """Two decisions as one: where data went by the one and by the other; training needs the word of both."""
    known = {(one.teacher, one.endpoint) for one in later.endpoints}
    others = tuple(one for one in earlier.endpoints if (one.teacher, one.endpoint) not in known)
    return later.model_copy(
        update={
            "endpoints": (*others, *later.endpoints),
            "training": earlier.training and later.training,
            "reason": earlier.reason or later.reason,
        }
    )


def _decide(
    teacher: Teacher,
    endpoint: str | None,
    policy: Policy,
    attested: Sequence[tuple[str, str, Attestation]],
    data_class: DataClass,
    today: date,
) -> EndpointDecision:
    if endpoint is None or is_loopback(endpoint):
        return EndpointDecision(teacher=teacher.name, endpoint=endpoint, local=True)
    here = origin(endpoint)
    words = [t for t in policy.training_terms if origin(t.endpoint) == here and t.attested_on <= today]
    terms = f"{words[0].attested_by}, {words[0].attested_on}: {words[0].basis}" if words else None
    if data_class != "restricted":
        return EndpointDecision(teacher=teacher.name, endpoint=here, local=False, training_terms=terms)
    found = [(file, digest, a) for file, digest, a in attested if here in map(origin, a.endpoints)]
    if not found:
        raise PolicyError(
            f"teacher '{teacher.name}': restricted data may not go to {here}; use a teacher on this machine, or name "
            "a signed attestation of that endpoint under policy.attestations in the recipe"
        )
    file, digest, attestation = max(found, key=lambda one: one[2].valid_until)
    if attestation.valid_until < today:
        raise PolicyError(f"the attestation of {here} ended on {attestation.valid_until}; have it renewed", file=file)
    return EndpointDecision(
        teacher=teacher.name,
        endpoint=here,
        local=False,
        attestation=attestation.contract,
        attestation_sha256=digest,
        signed_by=attestation.signed_by,
        valid_until=attestation.valid_until,
        training_terms=terms,
    )


def check_study(decision: PolicyDecision, teacher: Teacher, study: Study, *, today: date | None = None) -> None:
    """Check one study before its request is made: its own class, and attestations that may have ended meanwhile.

    Args:
        decision: the run's.
        teacher: one of those it is about.
        study: to be sent.
        today: the day on which attestations must be valid; this one if not given.

    Raises:
        PolicyError: the study may not go there.
    """
    if study.data_class != "restricted":
        return
    if decision.data_class != "restricted":
        raise PolicyError(
            f"study '{study.id}' is restricted, and its store says that it holds public data; ingest it again"
        )
    if mode := kept_by(teacher):
        raise PolicyError(f"teacher '{teacher.name}': restricted data never goes through {mode} requests")
    today = today or datetime.now(UTC).date()
    for endpoint in decision.endpoints:
        if endpoint.teacher != teacher.name or endpoint.local:
            continue
        if endpoint.valid_until is None or endpoint.valid_until < today:
            raise PolicyError(
                f"the attestation of {endpoint.endpoint} ended on {endpoint.valid_until} while the run was going on; "
                "have it renewed, then run the same command again"
            )


def kept_by(teacher: Teacher) -> str | None:
    """The mode in which the other side keeps what it is sent, or none."""
    return next((mode for mode in ("batch", "background", "stored") if getattr(teacher, mode, False)), None)


def _attested(policy: Policy) -> Iterator[tuple[str, str, Attestation]]:
    for name in policy.attestations:
        path = Path(name)
        attestation = read_recipe(path, Attestation)
        yield name, hashlib.sha256(path.read_bytes()).hexdigest(), attestation


def _check_logging() -> None:
    for name in _LOGS:
        if os.environ.get(name, "").lower() == "debug":
            raise PolicyError(f"{name}=debug makes the SDK log whole requests; unset it to work on restricted data")
    for name in ("openai", "anthropic", "httpx2", "httpcore2"):
        logger = logging.getLogger(name)
        if logger.level < logging.INFO:  # unset, or opened to debug: then the root's level, which may be DEBUG, counts
            logger.setLevel(logging.INFO)
