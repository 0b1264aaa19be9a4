"""One mention in the ledger: how it is let in, its record, and the right to work on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from bot.messages import Mention, Verdict

State = Literal["new", "judging", "ready", "sending", "sent", "skipped", "failed", "expired"]


@dataclass(frozen=True)
class Policy:
    """What the operator decides about time."""

    promise_seconds: float = 60
    """A mention that has not been judged so long after it was heard is late."""
    apologise: bool = True
    """Late mentions get an apology; False: silence."""
    retention_seconds: int = 30 * 24 * 3600
    """How long the outcome of a mention is kept."""


@dataclass(frozen=True)
class Limit:
    """A quota: how many mentions are let in, in any so many seconds."""

    of: Literal["author", "thread", "all"]
    """Whose mentions are counted together."""
    most: int
    seconds: int
    excess: Verdict | None = None
    """What the first one too many gets, once in that time; None, like all further ones: silence."""

    @property
    def reason(self) -> str:
        """Why a mention is not let in."""
        return f"more than {self.most} in {self.seconds} s ({self.of})"


@dataclass(frozen=True)
class Admission:
    """A mention, and what the rules make of it before the ledger has counted anything."""

    mention: Mention
    skip: str = ""
    """Why it is not answered; empty if it is."""
    verdict: Verdict | None = None
    """What it gets at once; None if its photos have to be judged."""
    limits: tuple[Limit, ...] = ()
    """What it counts against."""


class Fate(NamedTuple):
    """What the ledger made of a mention that it had not known."""

    queue: str
    """Where it has to be put now; empty if it was skipped."""
    reason: str
    """Why it was skipped, or is not judged; empty if neither."""


@dataclass(frozen=True)
class Record:
    """All that is known of one mention."""

    state: State
    mention: Mention | None
    """None once the mention is over: what its author wrote is not kept."""
    verdict: Verdict | None
    ends: State | None
    """The state in which this mention will end, if that is not `sent`."""
    deadline: float | None
    score: float | None
    label: str | None
    is_leased: bool
    """Somebody holds it, or did when this was read."""
    reply_id: str | None
    deleted: float | None
    """When the reply was deleted because its author asked for it, in seconds since the epoch."""
    reason: str | None
    wordings: int
    """How often the reply had to be put into other words."""
    tries: dict[str, int]
    """How often the mention was claimed for `judging` and for `sending`."""
    times: dict[str, float]
    """When each state was entered, in seconds since the epoch, the first first."""


@dataclass(frozen=True)
class Lease:
    """The right to do one step for one mention."""

    key: str
    state: State
    token: int
    tries: int
    before: Record
    """The record as it was when the lease was taken."""

    @property
    def mention(self) -> Mention:
        """The mention; every open record has one."""
        assert self.before.mention
        return self.before.mention


def record_from(raw: dict[bytes, bytes]) -> Record:
    """A record as Redis keeps it, as what it means."""
    fields: dict[str, Any] = {name.decode(): value.decode() for name, value in raw.items()}
    mention, verdict = fields.get("mention"), fields.get("verdict")
    times = {name: float(fields[name]) for name in get_args(State) if name in fields}
    return Record(
        state=fields["state"],
        mention=Mention.model_validate_json(mention) if mention else None,
        verdict=Verdict.model_validate_json(verdict) if verdict else None,
        ends=fields.get("ends"),
        deadline=float(fields["deadline"]) if "deadline" in fields else None,
        score=float(fields["score"]) if "score" in fields else None,
        label=fields.get("label"),
        is_leased="lease" in fields,
        reply_id=fields.get("reply_id"),
        deleted=float(fields["deleted"]) if "deleted" in fields else None,
        reason=fields.get("reason"),
        wordings=int(fields.get("wordings", 0)),
        tries={
            name: int(fields[f"tries_{name}"]) for name in ("judging", "sending") if f"tries_{name}" in fields
        },
        times=dict(sorted(times.items(), key=lambda pair: pair[1])),
    )
