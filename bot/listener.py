"""Network → ledger → queue: writes every mention down, then has its photos looked at.

The stream is only speed. The poller, from a cursor that survives restarts, is what finds every mention.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from queue import Empty, SimpleQueue

from redis import Redis, RedisError

from bot import queues
from bot.beats import beat
from bot.blocklist import Blocklist
from bot.chaos import reach
from bot.etiquette import TOO_OLD, Moment, admit
from bot.ledger import Ledger
from bot.logs import Log
from bot.messages import Mention
from bot.networks import connect
from bot.networks.accounts import Account
from bot.networks.base import Network, NetworkError
from bot.record import Admission, Fate
from bot.settings import ListenerSettings

LOG = Log(__name__)

FIRST_PAUSE_SECONDS = 1
LONGEST_PAUSE_SECONDS = 300
STABLE_SECONDS = 60
LOOK_SECONDS = 0.1


class Listeners:
    """One listener an account, each in a thread of its own: what befalls one network is its own business.

    Args:
        accounts: Where the bot is.
        redis: Where ledger and queues are.
        settings: What the operator has decided.

    Raises:
        NetworkError: No network can be logged in to.
        SettingsError: The blocklist cannot be read.
    """

    def __init__(self, accounts: Sequence[Account], redis: Redis, settings: ListenerSettings) -> None:
        self._redis = redis
        self._settings = settings
        self._blocklist = Blocklist(settings.blocklist)
        self._refusals: dict[str, NetworkError] = {}
        self._stopped = False
        self._listeners = {account: self._login(account) for account in accounts}
        if not any(self._listeners.values()):
            raise next(iter(self._refusals.values()))

    def run(self) -> None:
        """Listen until `stop` is called.

        Raises:
            NetworkError: No network is left that does not refuse us for good.
        """
        # Daemons: whatever they are in the middle of, the next look at the network finds again.
        threads = [
            threading.Thread(target=self._listen, args=(account,), name=account.network, daemon=True)
            for account in self._listeners
        ]
        for thread in threads:
            thread.start()
        while not self._stopped and any(thread.is_alive() for thread in threads):
            time.sleep(LOOK_SECONDS)
        for listener in self._listeners.values():
            if listener:
                listener.stop()
        if not self._stopped:
            raise next(iter(self._refusals.values()))

    def stop(self) -> None:
        """Make `run` return soon. Safe to call from a signal handler."""
        self._stopped = True

    def _listen(self, account: Account) -> None:
        failures = 0
        while not (listener := self._listeners[account]):
            refusal = self._refusals[account.network]
            failures += 1
            pause = _pause(failures)
            LOG.error("not logged in", network=account.network, error=str(refusal), pause=pause)
            if refusal.permanent:
                return
            time.sleep(pause)
            self._listeners[account] = self._login(account)
        try:
            listener.run()
        except NetworkError as error:
            LOG.error("network lost", network=account.network, error=str(error))
            self._refusals[account.network] = error

    def _login(self, account: Account) -> Listener | None:
        try:
            return Listener(connect(account, self._redis), self._redis, self._settings, self._blocklist)
        except NetworkError as error:
            self._refusals[account.network] = error
            return None


class Listener:
    """Watches one network until told to stop."""

    def __init__(
        self, network: Network, redis: Redis, settings: ListenerSettings, blocklist: Blocklist
    ) -> None:
        self._network = network
        self._redis = redis
        self._ledger = Ledger(redis, settings.policy)
        self._poll_seconds = settings.poll_seconds
        self._promise_seconds = settings.promise_seconds
        self._rules = settings.rules
        self._blocklist = blocklist
        self._stopped = False
        self._position: str | None = None
        self._is_open = False
        # Not an Event: its lock is not reentrant, and `stop` may be called from a signal handler.
        self._wake: SimpleQueue[None] = SimpleQueue()

    def run(self) -> None:
        """Listen until `stop` is called.

        Raises:
            NetworkError: The network refuses us for good, which nobody but the operator can mend.
        """
        # A daemon: a stream blocks in its socket, and what it was about to deliver the next poll finds.
        threading.Thread(target=self._stream, name="stream", daemon=True).start()
        failures = 0
        while not self._stopped:
            pause = self._poll_seconds
            try:
                self._poll()
                failures = 0
            # Whatever a mention brings about, it must not end the bot: the stream still hears the next one.
            except Exception as error:
                if _permanent(error):
                    raise
                failures += 1
                pause = _asked_for(error) or max(pause, _pause(failures))
                log = LOG.warning if isinstance(error, NetworkError | RedisError) else LOG.exception
                log("poll failed", error=str(error), failures=failures, pause=pause)
            with contextlib.suppress(Empty):
                self._wake.get(timeout=pause)

    def stop(self) -> None:
        """Make `run` return soon. Safe to call from a signal handler."""
        self._stopped = True
        self._wake.put(None)

    def _poll(self) -> None:
        cursor = self._ledger.cursor(self._network.name)
        # After a failure a look goes on where it stopped: from the start, a busy bot's would never end. It
        # leaves the cursor alone then, because what it read before the failure must be read once more.
        goes_on = self._position is not None
        position = self._position or cursor
        while not self._stopped:
            page = self._network.mentions_after(position)
            moved = page.cursor if page.cursor != cursor and not goes_on else None
            self._take(page.mentions, moved)
            cursor = page.cursor or cursor
            self._position = page.next
            if page.next is None:
                beat(self._redis, f"{self._network.name} poll")
                return
            position = page.next

    def _stream(self) -> None:
        failures = 0
        while not self._stopped:
            started = time.monotonic()
            asked = None
            self._is_open = False
            try:
                self._network.watch(lambda mention: self._take([mention]), self._alive)
                LOG.warning("stream ended", network=self._network.name)
            except (NetworkError, RedisError) as error:
                LOG.warning("stream failed", network=self._network.name, error=str(error))
                if _permanent(error):
                    return
                asked = _asked_for(error)
            except Exception:
                LOG.exception("stream failed", network=self._network.name)
            failures = 1 if time.monotonic() - started > STABLE_SECONDS else failures + 1
            # Also after a clean close: a server that closes at once must not be hammered.
            time.sleep(asked or _pause(failures))

    def _alive(self) -> None:
        beat(self._redis, f"{self._network.name} stream")
        if not self._is_open:
            self._is_open = True
            LOG.info("stream open", network=self._network.name)
            # What happened while the stream was down, only a poll can tell.
            self._wake.put(None)

    def _take(self, mentions: Sequence[Mention], cursor: str | None = None) -> None:
        reach("heard")
        admissions = self._admit(mentions)
        fresh = self._ledger.ingest(self._network.name, admissions, cursor) if mentions or cursor else {}
        reach("ingested")
        by_key = {admission.mention.key: admission for admission in admissions}
        for key, fate in fresh.items():
            self._hand_on(by_key[key], fate)
        too_old = sum(fate.reason == TOO_OLD for fate in fresh.values())
        if too_old:
            LOG.warning("not answered after a pause", mentions=too_old, older_than=str(self._rules.catch_up))

    def _admit(self, mentions: Sequence[Mention]) -> list[Admission]:
        if not mentions:
            return []
        is_late = (queues.age(self._redis, queues.PHOTOS) or 0) > self._promise_seconds
        moment = Moment(datetime.now(UTC), is_late, self._blocklist.names())
        return [admit(mention, self._rules, moment) for mention in mentions]

    def _hand_on(self, admission: Admission, fate: Fate) -> None:
        mention = admission.mention
        if not fate.queue:
            LOG.info("skipped", key=mention.key, reason=fate.reason)
            return
        queues.enqueue(self._redis, fate.queue, mention.key)
        reach("enqueued")
        age = (datetime.now(UTC) - mention.created_at).total_seconds()
        notice = admission.verdict.notice if admission.verdict else None
        LOG.info("heard", key=mention.key, photos=len(mention.photos), age=age, notice=fate.reason or notice)


def _permanent(error: Exception) -> bool:
    return isinstance(error, NetworkError) and error.permanent


def _asked_for(error: Exception) -> float | None:
    return error.retry_after if isinstance(error, NetworkError) else None


def _pause(failures: int) -> float:
    """Full jitter: thousands of clients that lost one server must not come back in step."""
    return random.uniform(0, min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**failures))  # noqa: S311
