"""How a process learns that it has to stop, and that nothing holds it up then."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import ClassVar

from redis import ConnectionError  # noqa: A004
from redis.backoff import ExponentialWithJitterBackoff

from bot.logs import Log

LOOK_SECONDS = 0.1
# Less than Redis may take to answer (queues.TIMEOUT_SECONDS), more than it takes to hang up again and again.
SILENT_SECONDS = 2

LOG = Log(__name__)


class Stop:
    """Whether SIGTERM or SIGINT came. A second one means: now.

    Args:
        at_once: The second one ends the process on the spot, as a crash would, which the ledger survives.
            False: whoever works looks at `hurried`.
    """

    listening: ClassVar[Stop | None] = None
    """Who is told of this process's signals."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.requested = False
        self.hurried = False
        self.since = 0.0
        """When the first one came, on the monotonic clock."""
        self._at_once = at_once

    def listen(self) -> None:
        """Be told of signals. From the first one on, nothing in this process asks a silent Redis twice."""
        Stop.listening = self
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.request)

    def request(self, number: int, _: FrameType | None = None) -> None:
        """Take note of a signal."""
        if not self.requested:
            # In this order: other threads look at both.
            self.since, self.requested = time.monotonic(), True
        elif self._at_once:
            os._exit(128 + number)
        else:
            self.hurried = True


class Pauses(ExponentialWithJitterBackoff):
    """How long to wait before Redis is asked again; who is told to stop does not wait for a silent one."""

    _began = 0.0

    def reset(self) -> None:
        """It is asked for the first time."""
        self._began = time.monotonic()

    def compute(self, failures: int) -> float:
        """As the base does.

        Raises:
            ConnectionError: This process ends, and Redis was silent; one that hung up is asked once more.
        """
        is_silent = time.monotonic() - self._began > SILENT_SECONDS
        if is_silent and Stop.listening and Stop.listening.requested:
            raise ConnectionError("it does not answer, and this process ends")
        return super().compute(failures)


def end_by(stop: Stop, seconds: float) -> None:
    """End the process, whatever it waits for, so long after it was told to stop; the ledger survives that."""

    def watch() -> None:
        while not stop.requested or time.monotonic() < stop.since + seconds:
            time.sleep(LOOK_SECONDS)
        LOG.warning("ended in the middle of it", seconds=seconds)
        sys.stdout.flush()
        os._exit(0)

    # Begun before it is needed: a signal handler can start no thread safely.
    threading.Thread(target=watch, name="end", daemon=True).start()
