"""Renews the leases that this process holds, for as long as it works."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from redis import RedisError

from bot.ledger import LEASE_SECONDS, Ledger
from bot.logs import Log
from bot.record import Lease

LOG = Log(__name__)

RENEW_SECONDS = LEASE_SECONDS / 4
# Who has not finished by then has missed the one-minute promise, or never will: somebody else gets a turn.
LONGEST_HOLD_SECONDS = 55
# What may pass between looking at the clock and the first byte on the wire.
MARGIN_SECONDS = 0.2


class Hold:
    """One lease that is being renewed."""

    def __init__(self, lease: Lease, until: float) -> None:
        self.lease = lease
        self.since = time.monotonic()
        self.until = until
        """When the lease ends if nothing renews it, on this process's monotonic clock; never too late."""

    @property
    def is_certain(self) -> bool:
        """Whether nobody else can have taken over, even if this process was stopped for a while."""
        return time.monotonic() < self.until - MARGIN_SECONDS


class Keeper:
    """The leases of one process, and the thread that renews them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._holds: set[Hold] = set()
        self._changed = threading.Condition()
        threading.Thread(target=self._renew_all, name="keeper", daemon=True).start()

    @contextmanager
    def holding(self, lease: Lease, since: float) -> Iterator[Hold]:
        """Keep a lease until the end of the block.

        Args:
            lease: What was claimed.
            since: `time.monotonic()` from before it was claimed.
        """
        [hold] = self.hold([lease], since)
        try:
            yield hold
        finally:
            self.release([hold])

    def hold(self, leases: Sequence[Lease], since: float) -> list[Hold]:
        """Keep leases, as `holding` does, until they are released."""
        holds = [Hold(lease, since + LEASE_SECONDS) for lease in leases]
        with self._changed:
            self._holds.update(holds)
            self._changed.notify()
        return holds

    def release(self, holds: Sequence[Hold]) -> None:
        """Keep leases no longer."""
        with self._changed:
            self._holds.difference_update(holds)

    def _renew_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._holds)
            time.sleep(RENEW_SECONDS)
            with self._changed:
                holds = list(self._holds)
            self._renew(holds)

    def _renew(self, holds: Sequence[Hold]) -> None:
        now = time.monotonic()
        holds = [hold for hold in holds if now - hold.since <= LONGEST_HOLD_SECONDS]
        try:
            for hold, renewed in zip(
                holds, self._ledger.renew_all([hold.lease for hold in holds]), strict=True
            ):
                if renewed:
                    hold.until = now + LEASE_SECONDS
        except RedisError as error:
            # They just run out; whoever holds one finds that out before doing anything visible.
            LOG.warning("lease not renewed", leases=len(holds), error=str(error))
