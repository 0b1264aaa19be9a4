"""Settings for this machine, from what was measured on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from model.engine import Engine, suited
from worker.speed import Rate

# Of what decoders and judge do alone; the rest goes into downloads, Redis and the ledger.
SHARE = 0.85
# One process's Python does no more: what a mention costs besides decoding and judging runs one at a time.
MENTIONS_A_PROCESS = 300
# For so long a photo is in hand, most of it waiting for somebody else's server.
SECONDS_IN_HAND = 1.0
PHOTOS_AT_ONCE = (64, 2000)
# Less than that is notable. On a CPU, the judge alone says little: in a worker, decoding comes in between.
WORTH_IT = 0.8


@dataclass(frozen=True)
class Advice:
    """What to set, and what to expect."""

    workers: int
    """Processes on this machine."""
    batch: int
    """WORKER_BATCH."""
    decoders: int
    """WORKER_DECODERS, of each worker."""
    photos_at_once: int
    """WORKER_PHOTOS_AT_ONCE, of each worker."""
    mentions_per_s: float
    """Of all workers together, a photo each."""
    limit: str
    """What there is too little of: "decoding", "judging" or "cores", which both share."""

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables of each worker."""
        return {
            "WORKER_BATCH": str(self.batch),
            "WORKER_DECODERS": str(self.decoders),
            "WORKER_PHOTOS_AT_ONCE": str(self.photos_at_once),
        }


def best(found: Mapping[Engine, Rate], cores: int) -> Engine:
    """The engine to use: what the fastest provider has by default, unless another batch does notably more."""
    provider = max(found, key=lambda engine: found[engine].per_s).provider
    # A worker chooses threads and calls itself.
    rates = {
        engine.most: rate.per_s
        for engine, rate in found.items()
        if engine == suited(provider, cores, engine.most)
    }
    enough = [size for size, per_s in rates.items() if per_s >= WORTH_IT * max(rates.values())]
    usual = suited(provider, cores).most
    return suited(provider, cores, usual if usual in enough else min(enough))


def advise(engine: Engine, decode: Rate, judge: Rate, together: float, cores: int) -> Advice:
    """Settings for a machine.

    Args:
        engine: What is to be used.
        decode: What all decoders at once do.
        judge: What the judge alone does with that engine.
        together: Photos a second that went through both, in one process.
        cores: That the workers may use.
    """
    mentions = together * SHARE
    workers = max(1, math.ceil(mentions / MENTIONS_A_PROCESS))
    least, most = PHOTOS_AT_ONCE
    in_hand = mentions * SECONDS_IN_HAND / workers + engine.calls * engine.most
    return Advice(
        workers=workers,
        batch=engine.most,
        decoders=math.ceil(cores / workers),
        photos_at_once=min(most, max(least, 32 * math.ceil(in_hand / 32))),
        mentions_per_s=mentions,
        limit=_limit(engine, decode, judge),
    )


def _limit(engine: Engine, decode: Rate, judge: Rate) -> str:
    if engine.provider == "cpu":
        return "cores"
    return "decoding" if decode.per_s < judge.per_s else "judging"
