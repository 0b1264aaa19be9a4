"""Which judge each worker has: the workers say it every few seconds, `deepselfie status` reads it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from redis import Redis

from bot.keys import PREFIX

JUDGES = f"{PREFIX}judges"

# Some missed reports; longer than a Redis takes that is started again.
STALE_SECONDS = 15
# When the last worker has gone, its traces go as well.
FORGOTTEN_SECONDS = 3600


class Seat(BaseModel):
    """A judge and the file it came from. What a newer worker adds, an older reader passes over."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    file: str
    put: int | None = None
    """When its file was written or touched, nanoseconds; None for one that lies in no judges' folder."""
    provider: str = ""
    """What it runs on: cpu, cuda or tensorrt; empty where a worker is too old to say so."""

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.file})"


class Report(Seat):
    """What one worker says."""

    since: float
    """When it began to judge with this one, seconds since 1970."""
    shadow: Seat | None = None
    refused: dict[str, str] = {}
    """Files that are not used, and why."""
    at: float = 0
    """When it was said, by Redis's clock."""


def report(redis: Redis, worker: str, words: Report) -> None:
    """Say what a worker has."""
    now = _now(redis)
    pipe = redis.pipeline(transaction=False)
    pipe.hset(JUDGES, worker, words.model_copy(update={"at": now}).model_dump_json())
    pipe.expire(JUDGES, FORGOTTEN_SECONDS)
    pipe.execute()


def reports(redis: Redis) -> dict[str, Report]:
    """What each worker that is alive said last. What is stale is removed."""
    said: Any = redis.hgetall(JUDGES)
    now = _now(redis)
    found = {}
    for worker, text in sorted(said.items()):
        try:
            words = Report.model_validate_json(text)
        except ValidationError:
            continue
        if now - words.at <= STALE_SECONDS:
            found[worker.decode()] = words
        else:
            redis.hdel(JUDGES, worker)
    return found


def in_words(found: dict[str, Report]) -> list[str]:
    """The reports for people: one line for each judge in use, one for each shadow."""
    said = []
    for seat in sorted({_seat(words) for words in found.values()}, key=repr):
        theirs = [words for words in found.values() if _seat(words) == seat]
        refused = {file: why for words in theirs for file, why in words.refused.items()}
        reasons = "".join(f"; refused {file}: {why}" for file, why in sorted(refused.items()))
        provider = f", {seat.provider}" if seat.provider else ""
        said.append(f"judge      {seat} on {_workers(len(theirs))}{provider}{reasons}")
    shadows = [words.shadow for words in found.values() if words.shadow]
    return said + [
        f"shadow     {shadow} on {_workers(shadows.count(shadow))}"
        for shadow in sorted(set(shadows), key=str)
    ]


def _seat(words: Report) -> Seat:
    return Seat.model_validate(words.model_dump(include=set(Seat.model_fields)))


def _workers(number: int) -> str:
    return f"{number} worker{'' if number == 1 else 's'}"


def _now(redis: Redis) -> float:
    """Redis's clock: those of the workers' machines may differ."""
    time: Any = redis.time()
    seconds, microseconds = time
    return float(seconds + microseconds / 1e6)
