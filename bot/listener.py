"""Network → ledger → queue: writes every mention down, then has its photos looked at.

The stream is only speed. The poller, from a cursor that survives restarts, is what finds every mention.
"""

from __future__ import annotations

import contextlib
import time
from queue import Empty, SimpleQueue

from redis import Redis, RedisError

from bot import backoff
from bot.alarms import clear_alarms, raise_alarm
from bot.beats import beat
from bot.blocklist import Blocklist
from bot.deletions import Deletions
from bot.intake import Intake
from bot.ledger import Ledger
from bot.logs import Log
from bot.monitor import Pulse
from bot.networks.base import Gone, Happening, Network, NetworkError
from bot.settings import ListenerSettings
from bot.stream import Stream

LOG = Log(__name__)

# A network that was away may be back: nobody should wait for an answer much longer than the promise says.
LONGEST_PAUSE_SECONDS = 60
# One failed look is nothing; the third falls within a minute, even if each of them had to time out.
ALARMING_FAILURES = 3
# Who is woken waits a moment for whoever else is about to wake them.
WAKING_SECONDS = 0.2
# A poller that waits for its next look still turns. One page, or a look for what was deleted, may time out.
REST_SECONDS = 5
TURN_SECONDS = 300
# Above what all but the slowest page takes: from then on, another process may do better. To be wrong is
# harmless: what the page brings is taken on all the same.
HANG_SECONDS = 75


class Listener:
    """Watches one network until told to stop; for one term, begun once."""

    def __init__(
        self, network: Network, redis: Redis, settings: ListenerSettings, blocklist: Blocklist
    ) -> None:
        self.pulse = Pulse(TURN_SECONDS)
        self._network = network
        self._redis = redis
        self._ledger = Ledger(redis, settings.policy)
        self._poll_seconds = settings.poll_seconds
        self._intake = Intake(network.name, redis, settings, blocklist)
        self._deletions = Deletions(network, redis, self._ledger, dry_run=settings.dry_run == "yes")
        self._stream = Stream(network, redis, self._take, self._wake_up)
        self._stopped = False
        self._position: str | None = None
        # Not an Event: its lock is not reentrant, and `stop` may be called from a signal handler.
        self._wake: SimpleQueue[None] = SimpleQueue()

    def run(self) -> None:
        """Listen until `stop` is called.

        Raises:
            NetworkError: The network refuses us for good, which nobody but the operator can mend.
        """
        self.pulse.turn()
        self._stream.start()
        failures = 0
        while not self._stopped:
            pause = self._poll_seconds
            try:
                self._poll()
                failures = 0
                self._deletions.look()
            # Whatever a mention brings about, it must not end the bot: the stream still hears the next one.
            except Exception as error:
                if _permanent(error):
                    self._stream.stop()
                    raise
                failures += 1
                pause = max(backoff.pause(failures, LONGEST_PAUSE_SECONDS), _asked_for(error))
                log = LOG.warning if isinstance(error, NetworkError | RedisError) else LOG.exception
                log("poll failed", error=str(error), failures=failures, pause=pause)
                if failures >= ALARMING_FAILURES:
                    raise_alarm(self._redis, self._alarm, f"mentions cannot be read: {error}")
            self._rest(pause, until_woken=not failures)

    def stop(self) -> None:
        """Hang up, and make `run` return soon. Safe to call from any thread."""
        self._stopped = True
        self._wake.put(None)
        self._stream.stop()

    def hangs(self) -> bool:
        """Whether the polling has got stuck, or is so slow that another process should try."""
        return self.pulse.seconds > HANG_SECONDS

    @property
    def _alarm(self) -> str:
        return f"{self._network.name} poll"

    def _wake_up(self) -> None:
        self._wake.put(None)

    def _rest(self, pause: float, *, until_woken: bool) -> None:
        """Wait; after a failure, for nobody but `stop`, and never so short that the network would notice."""
        ends = time.monotonic() + pause
        while not self._stopped and (left := ends - time.monotonic()) > 0:
            self.pulse.turn()
            with contextlib.suppress(Empty):
                self._wake.get(timeout=min(left, REST_SECONDS))
                if until_woken:
                    ends = min(ends, time.monotonic() + WAKING_SECONDS)
        while not self._wake.empty():
            self._wake.get_nowait()

    def _poll(self) -> None:
        cursor = self._ledger.cursor(self._network.name)
        # After a failure a look goes on where it stopped: from the start, a busy bot's would never end. It
        # leaves the cursor alone then, because what it read before the failure must be read once more.
        goes_on = self._position is not None
        position = self._position or cursor
        while not self._stopped:
            self.pulse.turn()
            page = self._network.mentions_after(position)
            moved = page.cursor if page.cursor != cursor and not goes_on else None
            self._intake.take(page.mentions, moved)
            cursor = page.cursor or cursor
            self._position = page.next
            if page.next is None:
                beat(self._redis, self._alarm)
                clear_alarms(self._redis, self._alarm, self._network.name)
                return
            position = page.next

    def _take(self, happening: Happening) -> None:
        if isinstance(happening, Gone):
            self._deletions.follow(happening.id)
        else:
            self._intake.take([happening])


def _permanent(error: Exception) -> bool:
    return isinstance(error, NetworkError) and error.permanent


def _asked_for(error: Exception) -> float:
    return (isinstance(error, NetworkError) and error.retry_after) or 0
