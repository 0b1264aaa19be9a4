"""Keeps a network's stream open, and says so when it cannot.

The stream is only speed: whatever is lost here, the poller finds. So nothing that goes wrong with one event
may end it, and nothing that goes wrong with it may wear out the network.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from redis import Redis, RedisError

from bot import backoff
from bot.alarms import clear_alarms, raise_alarm
from bot.beats import beat, rest
from bot.logs import Log
from bot.networks.base import Happening, Network, NetworkError

LOG = Log(__name__)

# A stream that has been open for so long works; one that ends sooner has failed.
STABLE_SECONDS = 60
# One end is nothing: servers are restarted. A second one so soon is.
ALARMING_FAILURES = 2


class Stream:
    """One network's stream, opened again whenever it ends, at most once a second.

    Args:
        network: Whose.
        redis: Where signs of life and alarms go.
        take: Called with what happens; it may raise.
        catch_up: Called when something may have been missed: the poller should look now.
    """

    def __init__(
        self, network: Network, redis: Redis, take: Callable[[Happening], None], catch_up: Callable[[], None]
    ) -> None:
        self._network = network
        self._redis = redis
        self._take = take
        self._catch_up = catch_up
        self._opened: float | None = None
        self._is_proven = False
        self._stopped = threading.Event()
        self._hang_up: Callable[[], None] | None = None

    def start(self) -> None:
        """Watch in a thread, for as long as this process lives."""
        # A daemon: it blocks in its socket, and what it was about to deliver the next poll finds.
        threading.Thread(target=self.run, name=f"{self._network.name} stream", daemon=True).start()

    def stop(self) -> None:
        """Close it, and do not open it again. From any thread."""
        self._stopped.set()
        if self._hang_up:
            self._hang_up()

    def run(self) -> None:
        """Watch until `stop` is called, or the network refuses for good."""
        failures = 0
        while not self._stopped.is_set():
            started = time.monotonic()
            error = self._watch()
            if self._stopped.is_set():
                return
            if error and error.permanent:
                self._give_up(error)
                return
            failures = 1 if time.monotonic() - started > STABLE_SECONDS else failures + 1
            words = str(error) if error else "the network closed it"
            # Also after a clean close: a server that closes at once must not be hammered.
            pause = max(backoff.pause(failures), (error and error.retry_after) or 0)
            LOG.warning(
                "stream ended", network=self._network.name, error=words, failures=failures, pause=pause
            )
            if failures >= ALARMING_FAILURES:
                raise_alarm(
                    self._redis, self._alarm, f"it ends again and again, mentions are polled: {words}"
                )
            self._stopped.wait(pause)

    @property
    def _alarm(self) -> str:
        return f"{self._network.name} stream"

    def _watch(self) -> NetworkError | None:
        """Watch until the stream ends; why, if not politely."""
        self._opened, self._is_proven, self._hang_up = None, False, None
        try:
            self._network.watch(self._deliver, self._alive)
        except NetworkError as error:
            return error
        except Exception as error:
            # The adapter met what it does not know. That must end neither this thread nor the bot.
            LOG.exception("stream failed", network=self._network.name)
            return NetworkError(f"the adapter failed: {error!r}")
        return None

    def _give_up(self, error: NetworkError) -> None:
        if error.trouble == "unauthorized":
            raise_alarm(self._redis, self._alarm, f"it is refused, mentions are polled: {error}")
        else:
            LOG.info("no stream", network=self._network.name, reason=str(error))
            with contextlib.suppress(RedisError):
                rest(self._redis, self._alarm)

    def _alive(self, hang_up: Callable[[], None]) -> None:
        self._hang_up = hang_up
        if self._stopped.is_set():
            # It was told to stop while it was being opened.
            hang_up()
            return
        now = time.monotonic()
        if self._opened is None:
            self._opened = now
            LOG.info("stream open", network=self._network.name)
            # What happened while the stream was down, only a poll can tell.
            self._catch_up()
        # Signs of life are for the operator's eyes: without Redis nobody sees them anyway.
        with contextlib.suppress(RedisError):
            beat(self._redis, self._alarm)
            if not self._is_proven and now - self._opened > STABLE_SECONDS:
                clear_alarms(self._redis, self._alarm)
                self._is_proven = True

    def _deliver(self, happening: Happening) -> None:
        try:
            self._take(happening)
        except RedisError as error:
            LOG.warning("not written down", key=self._key(happening), error=str(error))
            self._catch_up()
        except Exception as error:
            LOG.exception("not taken", key=self._key(happening))
            raise_alarm(self._redis, f"{self._network.name} events", f"one was not understood: {error!r}")
            self._catch_up()

    def _key(self, happening: Happening) -> str:
        return f"{self._network.name}:{happening.id}"
