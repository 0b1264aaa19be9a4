"""Connections, each lent to one request at a time and kept for a moment for the next one to the same server.

httpcore's own pool loses a connection for good, socket and place, when its request is cancelled just after
the connection was made; and deadlines cancel.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from worker.dialler import Dialler
from worker.exchange import Connection, Origin

MAX_KEPT = 32


class Connections:
    """Opens connections, for one event loop. Knows neither cookies nor proxies.

    Args:
        dialler: Who dials.
    """

    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler
        self._ssl_context = httpx.create_ssl_context()
        self._ssl_context.set_alpn_protocols(["http/1.1"])
        # In TLS 1.2, a server may ask for one handshake after the other.
        self._ssl_context.options |= ssl.OP_NO_RENEGOTIATION
        self._kept: list[Connection] = []  # the oldest first

    @asynccontextmanager
    async def to(self, origin: Origin) -> AsyncIterator[Connection]:
        """Lend a connection to a server: a kept one, or one that the first request opens."""
        if expired := [kept for kept in self._kept if kept.has_expired]:
            self._drop(expired)
        while (kept := self._latest(origin)) and kept.is_broken:
            self._drop([kept])
        if kept:
            self._kept.remove(kept)
        connection = kept or Connection(origin, self._ssl_context, self._dialler)
        try:
            yield connection
        finally:
            # One whose response was not read to its end cannot have another.
            if connection.is_available:
                self._kept.append(connection)
                if too_many := self._kept[:-MAX_KEPT]:
                    self._drop(too_many)
            else:
                connection.hang_up()

    def close(self) -> None:
        """Hang up all that are kept."""
        self._drop(self._kept)

    def _latest(self, origin: Origin) -> Connection | None:
        return next((kept for kept in reversed(self._kept) if kept.origin == origin), None)

    def _drop(self, connections: list[Connection]) -> None:
        self._kept = [kept for kept in self._kept if kept not in connections]
        for connection in connections:
            connection.hang_up()
