"""What goes wrong in a run of benchmarks.faults, and when: drawn from a seed before the run begins."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bot.chaos import Protection

Fault = dict[str, Any]

# Where faults strike; each network has its own addresses for these.
POST = "post"
MENTIONS = "mentions"
THREAD = "thread"
STREAM = "stream"
LOGIN = "login"

# How often each is killed, of a hundred times.
TARGETS = {"worker": 34, "responder": 32, "listener": 14, "sandbox": 10, "redis": 10}

KILLS_PER_STOP = 4
# The moment between looking at the lease and posting is short: it takes many stops to hit it.
KILLS_PER_STOP_WITHOUT_FENCING = 2
KILLS_PER_OUTAGE = 75
OUTAGE_SECONDS = 45
WEATHER_SECONDS = 4.0
# A POST that a dead responder left behind must be over before the bot's quarantine is: 6 seconds.
LONGEST_LATENCY = 3.0

# What a server that dies while it writes leaves at the end of its file: one command, or one transaction, of
# which the end is missing. Never more: what was acknowledged stands before it, and stays.
WHOLE_COMMAND = b"*3\r\n$3\r\nSET\r\n$16\r\ndeepselfie:never\r\n$10\r\ntorn apart\r\n"
WHOLE_TRANSACTION = b"*1\r\n$5\r\nMULTI\r\n" + WHOLE_COMMAND + b"*1\r\n$4\r\nEXEC\r\n"


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    mentions: int
    kills: int
    seed: int = 1
    without: Protection | None = None
    rate: float = 25.0
    """Mentions a second."""
    only: str | None = None
    """Kill only these, evenly, and let nothing else go wrong."""
    json: bool = False
    network: str = "mastodon"

    @property
    def seconds(self) -> float:
        """How long mentions are posted."""
        return self.mentions / self.rate

    @property
    def copies(self) -> dict[str, int]:
        """How many there are of those that there are several of."""
        # Without fencing one responder after the other is stopped, and somebody has to take over.
        return {"worker": 2, "responder": 6 if self.without == "fencing" else 2}


@dataclass(frozen=True)
class Action:
    """One thing that is done to the bot."""

    at: float
    """Seconds after the first mention."""
    kind: Literal["kill", "stop", "wake", "weather"]
    target: str = "sandbox"
    seconds: float = 0.0
    """How long a killed process stays away, or a stopped one stopped."""
    faults: tuple[Fault, ...] = ()
    """The network's weather from now on."""
    torn: bytes = b""
    """What a killed Valkey leaves at the end of its append-only file."""


def plan(options: Options) -> list[Action]:
    """Everything that is going to happen, in order."""
    dice = random.Random(options.seed)
    if options.only:
        every = options.seconds / max(options.kills, 1)
        targets = [_one_of(dice, options, options.only) for _ in range(options.kills)]
        return [Action((number + 0.5) * every, "kill", name) for number, name in enumerate(targets)]
    outages = _outages(options)
    actions = [*_kills(dice, options, outages), *_stops(dice, options), *_weather(dice, options)]
    actions += [Action(at, "kill", "redis", OUTAGE_SECONDS, torn=_torn(dice)) for at in outages]
    return sorted(actions, key=lambda action: action.at)


def _outages(options: Options) -> list[float]:
    """When Valkey goes away for long."""
    number = 0 if options.without else min(options.kills // KILLS_PER_OUTAGE, 2)
    return [options.seconds * (0.3 + 0.3 * place) for place in range(number)]


def _kills(dice: random.Random, options: Options, outages: Sequence[float]) -> Iterator[Action]:
    for number in range(options.kills - len(outages)):
        at, target, away = _moment(dice, options), _target(dice), 0.0
        if target == "redis" and any(begin - 1 < at < begin + OUTAGE_SECONDS + 1 for begin in outages):
            target = "worker"
        if options.without == "fencing" and target != "listener":
            # The network has to be there, and responders to take over, when one of them wakes up.
            target = "worker"
        if options.without == "cursor" and number % 4 == 0:
            # So many mentions pile up meanwhile that one page of notifications does not hold them.
            target, away = "listener", 120 / options.rate
        torn = _torn(dice) if target == "redis" and dice.random() < 0.5 else b""
        yield Action(at, "kill", _one_of(dice, options, target), away, torn=torn)


def _stops(dice: random.Random, options: Options) -> Iterator[Action]:
    per_stop = KILLS_PER_STOP_WITHOUT_FENCING if options.without == "fencing" else KILLS_PER_STOP
    for _ in range(max(options.kills // per_stop, 1)):
        target = dice.choice(["worker", "responder", "listener"])
        seconds = dice.uniform(5, 8)
        if options.without == "fencing":
            # Whoever took over has looked, waited out the quarantine and posted when this one wakes up.
            target, seconds = "responder", dice.uniform(14, 18)
        yield Action(_moment(dice, options), "stop", _one_of(dice, options, target), seconds)


def _weather(dice: random.Random, options: Options) -> Iterator[Action]:
    at = 0.0
    while at < options.seconds:
        yield Action(at, "weather", faults=tuple(_spell(dice, options.without)))
        at += dice.uniform(0.5, 1.5) * WEATHER_SECONDS
    # Whatever is still open when all are posted is answered by a network that works.
    yield Action(options.seconds, "weather")


def _spell(dice: random.Random, without: Protection | None) -> Iterator[Fault]:
    """The faults of a few seconds."""
    keys = dice.choice(["honoured", "idempotency_ignored", "idempotency_raced"])
    if without in {"reconcile", "fencing"}:
        keys = "idempotency_ignored"
    if keys != "honoured":
        yield {"endpoint": POST, "kind": keys}
    if without == "fencing":
        # Many look for a reply that is not there, and are stopped while they do.
        yield from (_some(dice, POST, "server_error", 0.06), _some(dice, THREAD, "latency", 1, seconds=2))
        return
    yield _some(dice, POST, "latency", 0.01, seconds=dice.uniform(0.2, LONGEST_LATENCY))
    for kind in ("dropped_answer", "error_after_success", "server_error", "rate_limited"):
        yield _some(dice, POST, kind, dice.choice([0, 0.02, 0.06]))
    for endpoint in (MENTIONS, THREAD):
        for kind in ("dropped_answer", "server_error", "rate_limited"):
            yield _some(dice, endpoint, kind, dice.choice([0, 0, 0, 0.02, 0.1]))
        yield _some(dice, endpoint, "latency", 0.1, seconds=dice.uniform(0.1, 1))
    yield _some(dice, LOGIN, "server_error", dice.choice([0, 0.3]))
    yield _some(dice, STREAM, "stream_repeats", dice.choice([0, 0.2]))
    yield _some(dice, STREAM, "stream_reorders", dice.choice([0, 0.2]), seconds=0.2)
    ending = dice.choice(["", "", "", "stream_closes", "stream_silent"])
    if ending:
        when = dice.choice(["event", "now"])
        yield _some(dice, STREAM, ending, 1, seconds=dice.uniform(2, 10), times=1) | {"when": when}


def _some(dice: random.Random, endpoint: str, kind: str, share: float, **more: float) -> Fault:
    return {"endpoint": endpoint, "kind": kind, "share": share, "seed": dice.randrange(1 << 30), **more}


def _target(dice: random.Random) -> str:
    return dice.choices(list(TARGETS), list(TARGETS.values()))[0]


def _moment(dice: random.Random, options: Options) -> float:
    return dice.uniform(0.02, 1) * options.seconds


def _one_of(dice: random.Random, options: Options, target: str) -> str:
    copies = options.copies.get(target)
    return f"{target}{dice.randint(1, copies)}" if copies else target


def _torn(dice: random.Random) -> bytes:
    whole = dice.choice([WHOLE_COMMAND, WHOLE_TRANSACTION])
    return whole[: dice.randint(1, len(whole) - 1)]
