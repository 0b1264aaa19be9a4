"""Connections, each lent to one request at a time and kept for a moment for the next one to the same server.

httpcore's own pool loses a connection for good, socket and place, when its request is cancelled just after
the connection was made; and deadlines cancel.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpcore
import httpx

MAX_KEPT = 32
KEPT_SECONDS = 4  # less than the 5 after which many servers hang up themselves


class Connections:
    """Opens connections, for one event loop. Knows neither cookies nor proxies.

    Args:
        network: Who dials.
    """

    def __init__(self, network: httpcore.AsyncNetworkBackend) -> None:
        self._network = network
        self._ssl_context = httpx.create_ssl_context()
        self._kept: list[httpcore.AsyncHTTPConnection] = []  # the oldest first

    @asynccontextmanager
    async def to(self, origin: httpcore.Origin) -> AsyncIterator[httpcore.AsyncHTTPConnection]:
        """Lend a connection to a server: a kept one, or one that the first request opens."""
        await self._drop([kept for kept in self._kept if kept.has_expired()])
        connection = self._take(origin) or httpcore.AsyncHTTPConnection(
            origin,
            ssl_context=self._ssl_context,
            keepalive_expiry=KEPT_SECONDS,
            network_backend=self._network,
        )
        try:
            yield connection
        finally:
            # One whose response was not read to its end cannot have another.
            if connection.is_available():
                self._kept.append(connection)
                await self._drop(self._kept[:-MAX_KEPT])
            else:
                await connection.aclose()

    async def close(self) -> None:
        """Hang up all that are kept."""
        await self._drop(self._kept)

    def _take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection | None:
        for kept in reversed(self._kept):
            if kept.can_handle_request(origin):
                self._kept.remove(kept)
                return kept
        return None

    async def _drop(self, connections: list[httpcore.AsyncHTTPConnection]) -> None:
        # Out of reach of others before anything is waited for.
        self._kept = [kept for kept in self._kept if kept not in connections]
        # All at once, so that a deadline during the first leaves none of them open.
        await asyncio.gather(*(connection.aclose() for connection in connections))
