"""A host's name → a connection, to the public internet only.

The name is resolved once, every address of it is checked, and a checked address is what is dialled: a name
server that answers differently the second time gains nothing. TLS still asks for the certificate of the name.
A connection that is kept for the next request to the same host was dialled to a checked address too.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from bot.logs import Log
from worker.addresses import is_address, is_public
from worker.failure import DownloadFailed
from worker.wire import Dial, Wire

LOG = Log(__name__)

PORTS = {80, 443}
# A host may have a thousand addresses, and a dead one costs its time.
MAX_DIALS = 4
DIAL_SECONDS = 3.0
# A lookup cannot be ended: one that hangs goes on, up to half a minute, after its photo was given up.
MAX_LOOKUPS = 256

Resolve = Callable[[str, int], Sequence[str]]
"""Host, port → its addresses, in the order in which to try them. May block; raises OSError."""


def lookup(host: str, port: int) -> Sequence[str]:
    """Ask this machine's resolver."""
    # As bytes: of text, Python makes IDNA once more, after its own older rules.
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Dialler:
    """Dials only addresses that it has checked.

    Args:
        resolve: Who knows the addresses of a name.
        dial: Who opens a connection to an address.
        private_addresses: Dial addresses of the operator's own network too, on any port.
        private_hosts: Do so for these hosts and ports only.
    """

    def __init__(
        self,
        resolve: Resolve,
        dial: Dial,
        *,
        private_addresses: bool,
        private_hosts: frozenset[tuple[str, int]] = frozenset(),
    ) -> None:
        self._resolve = resolve
        self._dial = dial
        self._private_addresses = private_addresses
        self._private_hosts = private_hosts
        self._lookups = threading.BoundedSemaphore(MAX_LOOKUPS)

    async def connect(self, host: str, port: int) -> Wire:
        """Resolve, check, dial.

        Raises:
            DownloadFailed: The name has an address that is not public, or the port is not the web's.
            OSError: The name has no address, or nobody answers there.
        """
        may_be_private = self._private_addresses or (host, port) in self._private_hosts
        if not may_be_private and port not in PORTS:
            raise DownloadFailed("forbidden_address")
        # A dot at its end keeps a resolver from trying a host's own domains: where no sandbox runs, `sandbox`
        # must not become some sandbox.example.com. Who puts the dot there names another host, and is checked.
        name = f"{host}." if (host, port) in self._private_hosts and not is_address(host) else host
        addresses = await asyncio.wrap_future(self._look_up(name, port))
        if not may_be_private and not all(is_public(address) for address in addresses):
            LOG.warning("refused to open a private address", host=host)
            raise DownloadFailed("forbidden_address")
        failure = OSError(f"{host} has no address")
        for address in addresses[:MAX_DIALS]:
            try:
                async with asyncio.timeout(DIAL_SECONDS):
                    return await self._dial(address, port)
            except OSError as error:
                failure = error
        raise failure

    def _look_up(self, host: str, port: int) -> Future[Sequence[str]]:
        """Each lookup in a thread of its own: behind a pool's few that hang, all others would wait."""
        found: Future[Sequence[str]] = Future()
        found.set_running_or_notify_cancel()

        def run() -> None:
            try:
                found.set_result(self._resolve(host, port))
            except Exception as error:
                found.set_exception(error)
            finally:
                self._lookups.release()

        if not self._lookups.acquire(blocking=False):
            raise OSError(f"{MAX_LOOKUPS} lookups hang; does the name server answer?")
        # A daemon, since nothing ends a lookup that hangs, and it must not hold up the end of the process.
        threading.Thread(target=run, name="lookup", daemon=True).start()
        return found
