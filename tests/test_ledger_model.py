"""The ledger against a model of it: whatever happens in whatever order, both agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, ClassVar

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from bot.keys import OPEN
from bot.ledger import GRACE_SECONDS, JUDGE_TRIES, LEASE_SECONDS, Ledger
from bot.messages import APOLOGY, Command, Mention, Verdict
from bot.record import Admission, Lease, Limit, Policy, State
from tests.clock import let_pass, let_quotas_pass

TOO_LONG = 5.0
PROMISE = 60.0
WINDOW = 60
LIMIT = Limit("author", most=2, seconds=WINDOW, excess=Verdict(notice="slow_down"))

AUTHORS = ["ann", "ann", "bob", "eve", "ann"]
COMMANDS: list[tuple[str, Command]] = [("ann", "stop"), ("ann", "start"), ("ann", "delete"), ("bob", "stop")]
CALLS: list[tuple[str, Command | None]] = [*((author, None) for author in AUTHORS), *COMMANDS]
MENTIONS = [
    Mention(network="mastodon", id=str(number), author=author, created_at=datetime.now(UTC), command=command)
    for number, (author, command) in enumerate(CALLS)
]
QUEUES: dict[State, str] = {"new": "photos", "judging": "photos", "ready": "replies", "sending": "replies"}
OPEN_STATES = set(QUEUES)
STARTS: dict[str, list[str]] = {
    "unknown": [],
    "new": [],
    "judging": ["claim"],
    "judged once": ["claim", "run out", "claim"],
    "ready": ["claim", "pass on"],
    "sending": ["claim", "pass on", "claim"],
    "sent": ["claim", "pass on", "claim", "close"],
    "failed": ["claim", "pass on", "claim", "refuse"],
    "apologised": ["claim", "run out", "claim", "run out", "claim", "close"],
}

mentions = st.sampled_from(MENTIONS)
keys = mentions.map(lambda mention: mention.key)
starts = st.sampled_from(sorted(STARTS))
queues = st.sampled_from(["", "photos", "replies"])


@dataclass
class Life:
    """What the model knows of one mention."""

    author: str
    state: State = "new"
    token: int = 0
    is_leased: bool = False
    due: float = GRACE_SECONDS
    """Seconds until somebody has to look after it."""
    deadline: float = PROMISE
    judged: int = 0
    ends: State | None = None
    answers: int = 0
    """How many it was given, by what the ledger took."""
    needs_judge: bool = True

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    def holds(self, lease: Lease) -> bool:
        """Whether what the holder of a lease writes is taken."""
        return self.token == lease.token and self.state == lease.state


@dataclass
class Model:
    """The ledger as a dictionary."""

    apologise: bool = True
    lives: dict[str, Life] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    cursor: str | None = None
    stopped: set[str] = field(default_factory=set)
    accepted: dict[str, list[float]] = field(default_factory=dict)
    """For each author, how long ago each mention was that counts."""
    told: dict[str, float] = field(default_factory=dict)
    """For each author, how long ago they were told that it is enough."""

    def admit(self, mention: Mention, skip: str, *, limited: bool) -> State:
        author, command = mention.author, mention.command
        is_stopped = author in self.stopped
        if command == "stop":
            self.stopped.add(author)
        elif command == "start":
            self.stopped.discard(author)
        if skip or (is_stopped and command not in {"start", "delete"}):
            return "skipped"
        counted = [age for age in self.accepted.get(author, []) if age < WINDOW]
        if limited and len(counted) >= LIMIT.most:
            if self.told.get(author, WINDOW) < WINDOW:
                return "skipped"
            self.told[author] = 0
            return "ready"
        if limited:
            self.accepted[author] = [*counted, 0]
        return "ready" if command else "new"

    def close(self, life: Life, state: State) -> None:
        life.state, life.is_leased, life.ends = state, False, None
        self.counts[state] = self.counts.get(state, 0) + 1

    def rescue(self, key: str, waits: str) -> str | None:
        """The queue that a mention has to be put into; None for none."""
        life = self.lives[key]
        if not life.is_open or life.due > 0:
            return None
        is_late, before = life.deadline < 0, life.state
        life.token += 1
        life.is_leased = False
        if before == "judging" and life.judged >= JUDGE_TRIES:
            life.state, life.ends = "ready", "failed"
        elif before in {"new", "judging"} and is_late and not self.apologise:
            self.close(life, "expired")
            return None
        elif before in {"new", "judging"} and is_late:
            life.state, life.ends = "ready", "expired"
        elif before == "judging":
            life.state = "new"
        life.due = GRACE_SECONDS
        if life.ends and before in {"new", "judging"}:
            return "replies"
        return None if waits == QUEUES[life.state] else QUEUES[life.state]


class LedgerMachine(RuleBasedStateMachine):
    """Does at random what listeners, workers, responders, sweepers and operators do."""

    leases: Bundle[Lease] = Bundle("leases")
    """All that were ever given out, void or not: their holders may have been asleep."""

    redis: ClassVar[Redis]

    def __init__(self) -> None:
        super().__init__()
        self.redis.flushall()
        self.numbers = count()

    @initialize(target=leases, apologise=st.booleans(), begins=st.tuples(*[starts] * len(AUTHORS)))
    def start(self, apologise: bool, begins: tuple[str, ...]) -> Any:
        """Begin in the middle: few steps then lead to each corner."""
        self.ledger = Ledger(self.redis, Policy(promise_seconds=PROMISE, apologise=apologise))
        self.model = Model(apologise)
        leases: list[Lease] = []
        for mention, begin in zip(MENTIONS, begins, strict=False):
            if begin != "unknown":
                self._ingest([mention], "", None, limited=False)
            for step in STARTS[begin]:
                leases += self._step(mention.key, step, leases)
        return multiple(*leases)

    def _step(self, key: str, step: str, leases: list[Lease]) -> list[Lease]:
        match step:
            case "claim":
                lease = self._claim(key)
                assert lease
                return [lease]
            case "pass on":
                self._pass_on(leases[-1], "ready", GRACE_SECONDS)
            case "run out":
                self._time_passes(key, TOO_LONG)
                self._rescue(key, "")
            case _:
                self._close(leases[-1], refused=step == "refuse")
        return []

    @rule(
        heard=st.lists(mentions, min_size=1, max_size=3),
        skip=st.sampled_from(["", "", "", "too old"]),
        cursor=st.none() | st.integers(1, 99).map(str),
        limited=st.booleans(),
    )
    def ingest(self, heard: list[Mention], skip: str, cursor: str | None, limited: bool) -> None:
        self._ingest(heard, skip, cursor, limited=limited)

    def _ingest(self, heard: list[Mention], skip: str, cursor: str | None, *, limited: bool) -> None:
        fresh = {}
        for mention in heard:
            if mention.key not in self.model.lives:
                state = self.model.admit(mention, skip, limited=limited)
                life = self.model.lives[mention.key] = Life(mention.author, state)
                life.needs_judge = state == "new"
                if state == "skipped":
                    self.model.close(life, "skipped")
                fresh[mention.key] = QUEUES.get(state, "")
        self.model.cursor = cursor or self.model.cursor
        admissions = [
            Admission(
                mention,
                skip,
                Verdict(notice="help") if mention.command and not skip else None,
                (LIMIT,) * limited,
            )
            for mention in heard
        ]

        fates = self.ledger.ingest("mastodon", admissions, cursor)

        assert {key: fate.queue for key, fate in fates.items()} == fresh

    @rule(
        author=st.sampled_from(["ann", "bob"]),
        says=st.lists(st.sampled_from([None, None, None, "stop", "start", "delete"]), min_size=1, max_size=4),
    )
    def somebody_comes_again_and_again(self, author: str, says: list[Command | None]) -> None:
        for command in says:
            number = len(MENTIONS) + next(self.numbers)
            plain = {"network": "mastodon", "id": str(number), "author": author, "command": command}
            mention = Mention.model_validate(plain | {"created_at": datetime.now(UTC)})
            self._ingest([mention], "", None, limited=True)

    @rule(target=leases, key=keys)
    def claim(self, key: str) -> Any:
        return self._claim(key) or multiple()

    @rule(key=keys)
    def claim_out_of_turn(self, key: str) -> None:
        """A job that was left over."""
        life = self.model.lives.get(key)
        if life is None or life.state not in {"ready", "sending"}:
            assert self.ledger.claim(key, ["ready", "sending"], "sending") is None
        if life is None or life.state != "new":
            assert self.ledger.claim(key, ["new"], "judging") is None

    def _claim(self, key: str) -> Lease | None:
        life = self.model.lives.get(key)
        to_judge = life is None or QUEUES.get(life.state) == "photos"
        leave: list[State] = ["new"] if to_judge else ["ready", "sending"]
        enter: State = "judging" if to_judge else "sending"
        lease = self.ledger.claim(key, leave, enter)
        if life is None or life.state not in leave or (life.is_leased and life.due > 0):
            assert lease is None
            return None
        assert lease
        assert (lease.before.state, lease.before.ends) == (life.state, life.ends)
        life.token += 1
        life.judged += to_judge
        assert lease.token == life.token
        assert lease.tries == life.judged or not to_judge
        life.state, life.is_leased, life.due = enter, True, LEASE_SECONDS
        return lease

    @rule(lease=leases)
    def renew(self, lease: Lease) -> None:
        life = self.model.lives.get(lease.key)
        is_held = life is not None and life.token == lease.token and life.is_leased

        assert self.ledger.renew(lease) == is_held

        if life and is_held:
            life.due = LEASE_SECONDS

    @rule(lease=leases, unsure=st.booleans(), pause=st.sampled_from([GRACE_SECONDS, 30.0]))
    def pass_on(self, lease: Lease, unsure: bool, pause: float) -> None:
        """A verdict, or a reply that was refused for now, or one of which nobody knows."""
        self._pass_on(lease, "sending" if lease.state == "sending" and unsure else "ready", pause)

    def _pass_on(self, lease: Lease, enter: State, pause: float) -> None:
        self._settle(lease, self.ledger.pass_on(lease, enter, {"reason": "some"}, after=pause))
        life = self.model.lives.get(lease.key)
        if life and life.holds(lease):
            life.state, life.is_leased, life.due = enter, False, pause

    @rule(lease=leases, refused=st.booleans())
    def close(self, lease: Lease, refused: bool) -> None:
        if lease.state == "sending":
            self._close(lease, refused=refused)

    def _close(self, lease: Lease, *, refused: bool) -> None:
        end: State = "failed" if refused else lease.before.ends or "sent"
        fields = {"reason": "refused"} if refused else {"reply_id": "8"}
        self._settle(lease, self.ledger.close(lease, end, fields))
        life = self.model.lives.get(lease.key)
        if life and life.holds(lease):
            self.model.close(life, end)
            life.answers += not refused

    def _settle(self, lease: Lease, was_taken: bool) -> None:
        life = self.model.lives.get(lease.key)
        assert was_taken == (life is not None and life.holds(lease))

    @rule(lease=consumes(leases))
    def a_holder_dies(self, lease: Lease) -> None:
        """And is never heard of again."""

    @rule(key=keys, seconds=st.sampled_from([2.0, TOO_LONG, PROMISE + 1]))
    def time_passes(self, key: str, seconds: float) -> None:
        self._time_passes(key, seconds)

    def _time_passes(self, key: str, seconds: float) -> None:
        let_pass(self.redis, key, seconds)
        if life := self.model.lives.get(key):
            life.due -= seconds
            life.deadline -= seconds

    @rule(seconds=st.sampled_from([25, WINDOW + 1]))
    def windows_slide(self, seconds: int) -> None:
        let_quotas_pass(self.redis, seconds)
        self.model.accepted = {
            author: [age + seconds for age in ages] for author, ages in self.model.accepted.items()
        }
        self.model.told = {author: age + seconds for author, age in self.model.told.items()}

    @rule(waits=queues)
    def sweep(self, waits: str) -> None:
        overdue = self.ledger.overdue()
        lives = self.model.lives
        assert set(overdue) == {key for key, life in lives.items() if life.is_open and life.due <= 0}

        expected = {key: queue for key in overdue if (queue := self.model.rescue(key, waits))}
        assert self.ledger.rescue(dict.fromkeys(overdue, waits)) == expected

    @rule(key=keys, seconds=st.sampled_from([TOO_LONG, PROMISE + 1]), waits=queues)
    def nobody_looks_after_it(self, key: str, seconds: float, waits: str) -> None:
        self._time_passes(key, seconds)
        self._rescue(key, waits)

    @rule(key=keys, waits=queues)
    def rescue_at_any_time(self, key: str, waits: str) -> None:
        """A second sweeper, that has looked before and comes late."""
        self._rescue(key, waits)

    def _rescue(self, key: str, waits: str) -> None:
        queue = self.model.rescue(key, waits) if key in self.model.lives else None

        assert self.ledger.rescue({key: waits}) == ({key: queue} if queue else {})

    @rule(key=keys)
    def retry(self, key: str) -> None:
        life = self.model.lives.get(key)
        may = life is not None and life.state == "failed" and not life.answers

        queue = self.ledger.retry(key)

        assert queue == ("" if not (life and may) else "photos" if life.needs_judge else "replies")
        if life and may:
            life.state = "new" if life.needs_judge else "ready"
            life.due, life.deadline, life.judged = GRACE_SECONDS, PROMISE, 0
            self.model.counts["retried"] = self.model.counts.get("retried", 0) + 1

    @rule(author=st.sampled_from(["ann", "bob", "eve"]), sure=st.integers(1, 5))
    def forget(self, author: str, sure: int) -> None:
        if sure < 5:
            return  # seldom, or little else would come about
        theirs = [key for key, life in self.model.lives.items() if life.author == author]

        assert self.ledger.people.forget("mastodon", author) == len(theirs)

        self.model.accepted.pop(author, None)
        self.model.told.pop(author, None)
        for key in theirs:
            # What is left is only that this post has been dealt with.
            self.model.lives[key] = Life(author="", state="skipped", token=-1)

    @invariant()
    def nothing_is_answered_twice(self) -> None:
        assert all(life.answers <= 1 for life in self.model.lives.values())

    @invariant()
    def both_tell_the_same(self) -> None:
        for mention in MENTIONS:
            life, record = self.model.lives.get(mention.key), self.ledger.read(mention.key)
            if life is None:
                assert record is None
                continue
            assert record
            assert (record.state, record.ends) == (life.state, life.ends)
            assert record.is_leased == life.is_leased
            assert (record.mention is None) == (
                not life.is_open and (life.state != "failed" or life.answers > 0)
            )
            if life.ends:
                assert record.verdict == APOLOGY

    @invariant()
    def what_is_open_cannot_be_lost_and_what_is_closed_is_over(self) -> None:
        due: Any = self.redis.zrange(OPEN, 0, -1, withscores=True)
        assert {key.decode() for key, _ in due} == {
            key for key, life in self.model.lives.items() if life.is_open
        }
        for mention in MENTIONS:
            if life := self.model.lives.get(mention.key):
                lives_on = self.redis.ttl(f"deepselfie:mention:{mention.key}") == -1
                assert lives_on == life.is_open

    @invariant()
    def counts_and_cursor_agree(self) -> None:
        assert self.ledger.counts() == self.model.counts
        assert self.ledger.cursor("mastodon") == self.model.cursor


def test_the_ledger_does_what_its_model_does(redis: Redis) -> None:
    LedgerMachine.redis = redis
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=200,
            stateful_step_count=20,
            derandomize=True,
            database=None,
            # Failures are short enough as they come, and shrinking one takes minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
