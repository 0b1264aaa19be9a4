"""Who listens to a network: one listener at a time leads, all others stand by.

The lead is a lease in Redis, under a token of this term's own. Redis ends it unless it is renewed: a leader
that died, stands still or is cut off loses it. The leader, by its own monotonic clock, takes it for lost a
moment before Redis can give it to somebody else. Who stands by sleeps until the lease would end, or is handed
over. A leader whose loop hangs while its process lives hands over too; but not where nobody stands by: then
its stream is better than nothing.

Two may still listen for a moment: a leader that was stopped (SIGSTOP) finds that out when it goes on; a Redis
that has forgotten the lease (a replica that had not heard of it was promoted), or whose clock jumped, gives
it away early, and the next renewal tells. That is harmless: the ledger takes each mention once.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from redis import Redis, RedisError

from bot import keys
from bot.logs import Log
from bot.networks.accounts import KINDS

LOG = Log(__name__)

# Longer: nobody listens for longer after a crash. Shorter: a slow network costs the lead more often.
LEASE_SECONDS = 5.0
# One that fails leaves time for a second try.
RENEW_SECONDS = 2.0
RETRY_SECONDS = 0.5
# The leader is gone so long before its lease is: time to hang up.
MARGIN_SECONDS = 0.5
# Not as long as Redis may take to answer at all (queues.TIMEOUT_SECONDS).
LONGEST_NAP_SECONDS = 4.0
LEASE_MILLISECONDS = int(LEASE_SECONDS * 1000)
AWAY_SECONDS = 1.0

# All have the same KEYS: lead, handover, standby.
# Take the lead, if nobody has it: 0; else the milliseconds until it may be free. ARGV: value, lease (ms).
TAKE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
redis.call('SET', KEYS[3], 1, 'PX', ARGV[2])
return redis.call('PTTL', KEYS[1])
"""

# Not if the leader hangs and somebody stands by. ARGV: value, lease (ms), whether it hangs (0 or 1).
RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '1' and redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

# Give the lead up and wake one of those who wait for it. ARGV: value.
RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('RPUSH', KEYS[2], 1)
return redis.call('PEXPIRE', KEYS[2], 1000)
"""


class Lead:
    """The lead of one network, as one process sees it: wanted, held, lost."""

    def __init__(self, redis: Redis, network: str) -> None:
        self._redis = redis
        self._network = network
        self._names = [keys.leader(network), keys.handover(network), keys.standby(network)]
        self._take = redis.register_script(TAKE)
        self._renew = redis.register_script(RENEW)
        self._release = redis.register_script(RELEASE)

    @contextmanager
    def held(self, lost: Callable[[], None], hangs: Callable[[], bool]) -> Iterator[None]:
        """Stand by until the lead is ours, and keep it for as long as the block runs.

        Args:
            lost: Called, in a thread of its own, when the lead is lost meanwhile: the block should end.
            hangs: Whether the block has got stuck; from any thread.
        """
        value = f"{socket.gethostname()}/{os.getpid()} {secrets.token_hex(8)}"
        term = _Term(self._stand_by(value), lost)
        LOG.info("leading", network=self._network)
        renewing = threading.Thread(target=self._renew_all, args=(value, term, hangs), daemon=True)
        renewing.start()
        threading.Thread(target=self._watch, args=(term,), daemon=True).start()
        try:
            yield
        finally:
            term.end()
            # A renewal that is under way should not follow the release; it may wait for a Redis that is away.
            renewing.join(MARGIN_SECONDS)
            with suppress(RedisError):
                self._release(self._names, [value])

    def _stand_by(self, value: str) -> float:
        """Wait until the lead is ours; until when it is at least, on the monotonic clock."""
        standing_by = False
        while True:
            asked = time.monotonic()
            try:
                left = self._take(self._names, [value, LEASE_MILLISECONDS])
                if not left:
                    return asked + LEASE_SECONDS
                if not standing_by:
                    LOG.info("standing by", network=self._network)
                    standing_by = True
                self._redis.blpop(self._names[1:2], min(max(left / 1000, 0.01), LONGEST_NAP_SECONDS))
            except RedisError as error:
                LOG.warning("cannot ask for the lead", network=self._network, error=str(error))
                time.sleep(AWAY_SECONDS)

    def _renew_all(self, value: str, term: _Term, hangs: Callable[[], bool]) -> None:
        pause = RENEW_SECONDS
        while not term.ended(pause):
            asked, is_stuck = time.monotonic(), hangs()
            try:
                renewed = self._renew(self._names, [value, LEASE_MILLISECONDS, int(is_stuck)])
                if renewed and term.extend(asked + LEASE_SECONDS):
                    pause = RENEW_SECONDS
                    continue
                LOG.warning("lead given up", network=self._network, hangs=is_stuck)
                term.lose()
                # What came too late, or is of no use to who hangs, is for whoever stands by.
                self._release(self._names, [value])
            except RedisError as error:
                LOG.warning("lead not renewed", network=self._network, error=str(error))
                pause = RETRY_SECONDS

    def _watch(self, term: _Term) -> None:
        # Apart from the renewals: those may hang in a Redis that does not answer.
        if term.outlived():
            LOG.warning("leadership lost", network=self._network)
            term.lost()


class _Term:
    """For how long the lead is ours, on this process's monotonic clock."""

    def __init__(self, until: float, lost: Callable[[], None]) -> None:
        self.lost = lost
        self._until = until
        self._over = False
        self._changed = threading.Condition()

    def extend(self, until: float) -> bool:
        """Whether that was in time: what is lost stays lost, because whoever listened has been told so."""
        with self._changed:
            if self._left <= 0:
                return False
            self._until = until
            self._changed.notify_all()
            return True

    def lose(self) -> None:
        with self._changed:
            self._until = float("-inf")
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def ended(self, seconds: float) -> bool:
        """Wait; whether the term is over then, or the lead lost."""
        with self._changed:
            return self._changed.wait_for(lambda: self._over, seconds) or self._left <= 0

    def outlived(self) -> bool:
        """Wait for the end; whether it is the lease's and not the term's."""
        with self._changed:
            while not self._over and self._left > 0:
                self._changed.wait(self._left)
            return not self._over

    @property
    def _left(self) -> float:
        return self._until - MARGIN_SECONDS - time.monotonic()


def leaders(redis: Redis) -> dict[str, str]:
    """Which process leads each network that somebody leads: HOST/PID."""
    networks = sorted(kind.network for kind in KINDS)
    values: Any = redis.mget([keys.leader(network) for network in networks])
    held = zip(networks, values, strict=True)
    return {network: value.decode().partition(" ")[0] for network, value in held if value}
