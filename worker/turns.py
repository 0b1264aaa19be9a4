"""Who may download now: so many at once in all, and so many of them from one host.

Hosts take turns, so that many photos of one host do not hold back the only one of another. To wait for one's
host is the host's own fault and counts against the photo's deadline; to wait because all hosts together use
up the total does not: a good photo must not fail because of somebody else's slow one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class _Host:
    name: bytes
    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    seconds_full: float = 0
    """For how long it has had as many downloads as it may, up to `full_since`."""
    full_since: float | None = None


class Turns:
    """Hands out turns. For one event loop.

    Args:
        total: Turns at once.
        per_host: Of them, for one host.
    """

    def __init__(self, total: int, per_host: int) -> None:
        self._free = total
        self._per_host = per_host
        # Only those with somebody running or waiting, the one whose turn it is first.
        self._hosts: dict[bytes, _Host] = {}

    @asynccontextmanager
    async def turn(self, name: bytes, deadline: asyncio.Timeout) -> AsyncIterator[None]:
        """Wait for a turn at a host, and have it.

        Raises:
            TimeoutError: The host was busy until the deadline, which moves by what else was waited for.
        """
        host = self._hosts.setdefault(name, _Host(name))
        turn = asyncio.get_running_loop().create_future()
        host.waiting.append(turn)
        self._hand_out()
        try:
            if not turn.done():
                await self._wait(host, turn, deadline)
            yield
        finally:
            if turn.done():
                self._take_back(host)
            else:
                host.waiting.remove(turn)
            if not host.running and not host.waiting:
                del self._hosts[name]

    async def _wait(self, host: _Host, turn: asyncio.Future[None], deadline: asyncio.Timeout) -> None:
        now = asyncio.get_running_loop().time
        patience = (deadline.when() or now()) - now()
        deadline.reschedule(None)
        before, waited = self._seconds_full(host), 0.0
        while not turn.done():
            if waited >= patience:
                raise TimeoutError
            await asyncio.wait([turn], timeout=patience - waited)
            waited = self._seconds_full(host) - before
        deadline.reschedule(now() + patience - waited)

    def _hand_out(self) -> None:
        while self._free and (host := next(filter(self._may_run, self._hosts.values()), None)):
            self._free -= 1
            host.running += 1
            if host.running == self._per_host:
                host.full_since = asyncio.get_running_loop().time()
            host.waiting.popleft().set_result(None)
            self._hosts[host.name] = self._hosts.pop(host.name)

    def _take_back(self, host: _Host) -> None:
        self._free += 1
        host.running -= 1
        host.seconds_full, host.full_since = self._seconds_full(host), None
        self._hand_out()

    def _may_run(self, host: _Host) -> bool:
        return bool(host.waiting) and host.running < self._per_host

    def _seconds_full(self, host: _Host) -> float:
        if host.full_since is None:
            return host.seconds_full
        return host.seconds_full + asyncio.get_running_loop().time() - host.full_since
