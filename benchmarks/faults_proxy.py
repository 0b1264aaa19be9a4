"""A process between the bot and a network, where faults strike: `python -m benchmarks.faults_proxy`.

It passes all calls on, and drops answers, fails before and after the deed, limits and delays, as a file says
that may change at any time: a list of faults as PUT /sandbox/faults takes it, by the last part of the path.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from bot.sandbox.faults import Fault
from tests.middleman import Middleman, standing


class Weather(Middleman):
    """A middleman with whom things go wrong by chance.

    Args:
        upstream: The network.
        faults: The file.
    """

    def __init__(self, upstream: str, faults: Path) -> None:
        super().__init__(upstream)
        self._file = faults
        self._read = 0
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def serve(self, call: str, ask: Callable[[], httpx.Response]) -> httpx.Response | None:
        """What a call gets; None if its answer is lost."""
        if fault := self._draw(call, "latency"):
            time.sleep(fault.seconds)
        if fault := self._draw(call, "rate_limited"):
            return _limited(fault.seconds)
        if self._draw(call, "server_error"):
            return _broken()
        answer = ask()
        if self._draw(call, "error_after_success"):
            return _broken()
        return None if self._draw(call, "dropped_answer") else answer

    def _draw(self, call: str, kind: str) -> Fault | None:
        with self._lock:
            if (written := self._file.stat().st_mtime_ns) != self._read:
                self._read = written
                self._faults = [_parsed(one) for one in json.loads(self._file.read_text())]
            fitting = (fault for fault in self._faults if (fault.endpoint, fault.kind) == (call, kind))
            return next((fault for fault in fitting if fault.strikes()), None)


def _parsed(one: dict[str, Any]) -> Fault:
    rest = {name: value for name, value in one.items() if name != "seed"}
    return Fault(**{"seconds": 1.0, **rest}, dice=random.Random(one.get("seed")))


def _limited(seconds: float) -> httpx.Response:
    headers = {"ratelimit-reset": str(int(time.time() + seconds))}
    return httpx.Response(429, headers=headers, json={"error": "RateLimitExceeded", "message": "slow down"})


def _broken() -> httpx.Response:
    return httpx.Response(502, json={"error": "UpstreamFailure", "message": "no"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.faults_proxy", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--faults", type=Path, required=True)
    options = parser.parse_args()
    with standing(Weather(options.upstream, options.faults), options.port) as weather:
        sys.stdout.write(f"listening at {weather.url}\n")
        sys.stdout.flush()
        threading.Event().wait()
