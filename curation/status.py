"""Status: where a run stands, what it cost, and what it may have cost beyond that. It reads, and changes nothing."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from ..data.run import RunFolder
from ..data.sharding import Shard, count
from ..data.statistics import wilson
from ..data.sums import Author
from ..schemas.base import Noun
from ..schemas.outcome import Table
from ..schemas.policy import PolicyDecision
from ..schemas.run import State
from .judging.agreement import TeacherAgreement, agreements
from .requests.forecast import Forecast, forecast
from .requests.history import History


class Acceptance(Noun):
    """Accepted candidates among judged ones, with the 95 % interval."""

    name: str
    judged: int
    accepted: int
    doubted: int
    share: float
    low: float
    high: float


class TeacherShare(Acceptance):
    """The same by study, for one teacher, with what it took."""

    calls: int
    usd: float | None = Field(description="What its answers cost; none if a price is unknown.")
    usd_per_accepted: float | None


class Unknown(Noun):
    """Requests that were sent and whose answers were never read whole."""

    now: int = Field(description="Requests that stand so, and are not sent again unless the recipe says so.")
    ever: int = Field(description="Sendings that ended so, also where a later one was answered.")
    tokens_at_most: int
    usd_at_most: float | None = Field(description="None if a price is unknown.")


class Status(Noun):
    """The contract of `tenstep status --json`."""

    run: str
    name: str
    kind: str
    started: str
    finished: str | None
    studies: int
    touched: int = Field(description="Studies that something was judged for.")
    accepted: int = Field(description="Studies with an accepted trace.")
    doubted: int = Field(
        description="Studies without one that have a trace in doubt: it waits for a verifier or a reader."
    )
    rejected: int = Field(description="Studies that were judged, and have neither.")
    resolved: dict[str, int] = Field(description="Candidates by who settled them: verifier, reader, recipe.")
    checked: dict[str, int] = Field(description="Requests by a role that writes no trace, such as a verifier.")
    states: dict[str, int] = Field(
        description="Requests by their last state; waiting: for an answer in a file or a batch."
    )
    calls: int
    tokens: int
    spend_usd: float | None = Field(description="What answers say; none if a price is unknown.")
    usd_per_accepted: float | None
    unknown: Unknown
    reasons: dict[str, int] = Field(description="Why requests stand without an answer, the commonest first.")
    unread: int = Field(description="Of the unknown ones, those whose answer came and cannot be read.")
    budget: dict[str, Any]
    by_attempt: tuple[Acceptance, ...]
    by_teacher: tuple[TeacherShare, ...]
    agreement: tuple[TeacherAgreement, ...]
    forecast: Forecast | None
    policy: PolicyDecision | None


def status(run: RunFolder) -> Status:
    """Read a run folder, also while another process writes to it."""
    with run.journal.sums() as sums:
        history = History.of(sums).close()
        standing = sums.standing()
        studies, authors, attempts, resolved = sums.studies(), sums.authors(), sums.attempts(), sums.resolved()
        overlap = len(authors) > 1 and sums.overlap()
    usd = history.settled.usd  # of a student, what its candidates say
    calls = {teacher: count for teacher, count in history.calls_by.items() if teacher and count}
    manifest, recipe = run.manifest, run.manifest.recipe
    states = Counter({str(state): count for state, count in standing.items()})
    states += Counter(waiting=history.waiting)
    states[State.FAILED] -= history.waiting  # in the journal they have failed: nothing was sent
    total = _studies(run)
    names = [str(spec.get("name") or spec.get("kind")) for spec in recipe.get("teachers", ())] or list(authors)
    goal = (recipe.get("goal") or {}).get("accepted")
    return Status(
        run=str(run.path),
        name=manifest.name,
        kind=manifest.kind,
        started=manifest.started,
        finished=manifest.finished,
        studies=total,
        touched=studies.touched,
        accepted=studies.accepted,
        doubted=studies.doubted,
        rejected=studies.touched - studies.accepted - studies.doubted,
        resolved=resolved,
        checked={name: count for name, count in calls.items() if name not in names and name not in authors},
        states={state: n for state, n in states.items() if n},
        calls=history.calls,
        tokens=history.settled.tokens,
        spend_usd=usd,
        usd_per_accepted=_per(usd, studies.accepted),
        unknown=Unknown(
            now=states[State.UNKNOWN] + states[State.IN_FLIGHT],
            ever=history.uncertain_calls,
            tokens_at_most=history.uncertain.tokens,
            usd_at_most=history.uncertain.usd,
        ),
        reasons=run.journal.reasons(),
        unread=run.journal.unread(),
        budget={key: value for key, value in (recipe.get("budget") or {}).items() if value is not None},
        by_attempt=tuple(_share(f"attempt {n}", found) for n, found in sorted(attempts.items())),
        by_teacher=tuple(
            _teacher(name, authors.get(name, Author(0, 0, 0, 0.0)), calls.get(name, 0))
            for name in dict.fromkeys((*names, *authors))
            if name in authors or name in calls
        ),
        agreement=agreements(run.judged(), names) if overlap else (),
        forecast=forecast(
            goal=goal,
            accepted=studies.accepted,
            studies=studies.touched,
            calls=history.calls,
            usd=usd,
            studies_left=max(0, total - studies.touched),
        )
        if goal
        else None,
        policy=manifest.policy,
    )


def _studies(run: RunFolder) -> int:
    """How many studies the run may use: by its recipe and, if it can still be read, its store."""
    recipe = run.manifest.recipe
    return count(run.studies, recipe.get("limit"), Shard.parse(recipe.get("shard")))


def _share(name: str, outcomes: Mapping[str, int]) -> Acceptance:
    of, accepted = sum(outcomes.values()), outcomes.get("accept", 0)
    interval = wilson(accepted, of)
    return Acceptance(name=name, judged=of, accepted=accepted, doubted=outcomes.get("doubt", 0), **interval._asdict())


def _teacher(name: str, author: Author, calls: int) -> TeacherShare:
    rejected = author.studies - author.accepted - author.doubted
    share = _share(name, {"accept": author.accepted, "doubt": author.doubted, "reject": rejected})
    return TeacherShare(
        **share.model_dump(), calls=calls, usd=author.usd, usd_per_accepted=_per(author.usd, author.accepted)
    )


def _per(usd: float | None, accepted: int) -> float | None:
    return None if usd is None or not accepted else usd / accepted


def tables(found: Status) -> tuple[Table, ...]:
    """The same for people."""
    return tuple(table for table in (_overview(found), _shares(found), _pairs(found)) if table.rows)


def notes(found: Status) -> tuple[str, ...]:
    """What a reader must know with the numbers."""
    lines = []
    if found.doubted:
        lines.append(
            f"studies in doubt: {found.doubted} (doubted.jsonl; a verifier or a reader settles them); "
            f"look at them with: tenstep review {found.run}"
        )
    if nothing_came(found):
        why = "; ".join(f"{reason} ({n} times)" for reason, n in list(found.reasons.items())[:3])
        lines.append(f"not one request was answered: {why}")
    if found.unknown.ever:
        bound = money(found.unknown.usd_at_most)
        what = "sent and never answered" if not found.unread else "sent and brought no answer that can be read"
        line = (
            f"{found.unknown.ever} requests were {what}; they may have cost {bound} at most beyond the spend "
            f"({found.unknown.tokens_at_most} tokens)"
        )
        if unanswered := found.unknown.now - found.unread:
            word = "unanswered" if found.unread else "yes"
            line += f". {unanswered} stand unanswered; to send those again: tenstep curate ... --resend-unknown {word}"
        if found.unread:
            line += f". {found.unread} were answered; every later call reads those answers again and sends nothing"
        lines.append(line)
    if found.states.get(State.IN_FLIGHT):
        lines.append(f"{found.states[State.IN_FLIGHT]} requests are under way, if the process still runs")
    if found.forecast is not None:
        lines.append(found.forecast.text)
    if found.policy is not None and not found.policy.training:
        lines.append(f"nothing of this run may be exported for training: {found.policy.reason}")
    if found.finished is None:
        lines.append("this run is under way, or was interrupted; the same command goes on")
    return tuple(lines)


def nothing_came(found: Status) -> bool:
    """Whether requests were made and not one was answered."""
    answered = found.touched or found.states.get(State.RECEIVED) or found.states.get("waiting")
    return bool(found.reasons) and not answered


def money(usd: float | None) -> str:
    """Dollars for people; small sums keep two digits that say something."""
    if usd is None:
        return "an unknown sum"
    return f"${usd:.2f}" if usd >= 1 or usd == 0 else f"${usd:.2g}"


def _overview(found: Status) -> Table:
    rows = [("studies judged", f"{found.touched} of {found.studies}"), ("accepted", str(found.accepted))]
    rows += [("in doubt", str(found.doubted)), ("rejected", str(found.rejected))]
    rows += [(f"resolved by {who}", str(n)) for who, n in found.resolved.items()]
    rows += [(f"calls of {name}", str(n)) for name, n in found.checked.items()]
    rows += [(f"requests {state}", str(n)) for state, n in sorted(found.states.items())]
    rows += [("calls sent", str(found.calls)), ("tokens", str(found.tokens)), ("spend", money(found.spend_usd))]
    if found.usd_per_accepted is not None:
        rows.append(("per accepted", money(found.usd_per_accepted)))
    if found.unknown.ever:
        rows.append(("may have cost beyond", f"at most {money(found.unknown.usd_at_most)}"))
    used: Mapping[str, str] = {"usd": money(found.spend_usd), "calls": str(found.calls), "tokens": str(found.tokens)}
    rows += [(f"budget, {key}", f"{used[key]} of {value:g}") for key, value in found.budget.items()]
    return Table(title=f"status {found.run}", columns=("", ""), rows=tuple(rows))


def _shares(found: Status) -> Table:
    rows = [*_rows(found.by_attempt), *_rows(found.by_teacher)]
    return Table(
        title="acceptance",
        columns=("", "judged", "accepted", "in doubt", "share", "95 % interval", "calls", "cost per accepted"),
        rows=tuple(rows),
    )


def _rows(shares: Sequence[Acceptance]) -> Iterator[tuple[str, ...]]:
    for share in shares:
        more = ("", "")
        if isinstance(share, TeacherShare):
            more = (str(share.calls), money(share.usd_per_accepted) if share.accepted else "")
        interval = f"{share.low:.0%} to {share.high:.0%}"
        yield (
            share.name,
            str(share.judged),
            str(share.accepted),
            str(share.doubted),
            f"{share.share:.0%}",
            interval,
            *more,
        )


def _pairs(found: Status) -> Table:
    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    rows = tuple(
        (" and ".join(p.teachers), str(p.studies), shown(p.same_verdict), shown(p.kappa), shown(p.same_claims))
        for p in found.agreement
    )
    columns = ("teachers", "studies", "same verdict", "kappa", "same claims")
    return Table(title="agreement on first attempts", columns=columns, rows=rows)
