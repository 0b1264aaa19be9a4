"""A host's name → a connection, to the public internet only.

The name is resolved once, every address of it is checked, and a checked address is what is dialled: a name
server that answers differently the second time gains nothing. TLS still asks for the certificate of the name.
A connection that is kept for the next request to the same host was dialled to a checked address too.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from ssl import SSLContext
from typing import Any

import httpcore

from bot.logs import Log
from worker.addresses import is_public
from worker.failure import DownloadFailed

LOG = Log(__name__)

PORTS = {80, 443}
# A host may have a thousand addresses, and a dead one costs its time.
MAX_DIALS = 4
DIAL_SECONDS = 3.0
# A lookup cannot be ended: one that hangs goes on, up to half a minute, after its photo was given up.
MAX_LOOKUPS = 256
MAX_HEADER_BYTES = 32 << 10  # of one response, with all that comes before it
LEAST_COST = 32  # of a read: single bytes, each in a TLS record of its own, are dear too

Resolve = Callable[[str, int], Sequence[str]]
"""Host, port → its addresses, in the order in which to try them. May block; raises OSError."""


def lookup(host: str, port: int) -> Sequence[str]:
    """Ask this machine's resolver."""
    # As bytes: of text, Python makes IDNA once more, after its own older rules.
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Dialler(httpcore.AsyncNetworkBackend):
    """Dials only addresses that it has checked.

    Args:
        resolve: Who knows the addresses of a name.
        network: Who opens a connection to an address.
        private_addresses: Dial addresses of the operator's own network too, on any port.
    """

    def __init__(
        self, resolve: Resolve, network: httpcore.AsyncNetworkBackend, *, private_addresses: bool
    ) -> None:
        self._resolve = resolve
        self._network = network
        self._private_addresses = private_addresses
        self._lookups = threading.BoundedSemaphore(MAX_LOOKUPS)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  whoever dials has a deadline
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, dial.

        Raises:
            DownloadFailed: The name has an address that is not public, or the port is not the web's.
            httpcore.ConnectError: Nobody answers there.
            OSError: The name has no address.
        """
        if not self._private_addresses and port not in PORTS:
            raise DownloadFailed("forbidden_address")
        addresses = await asyncio.wrap_future(self._look_up(host, port))
        if not self._private_addresses and not all(is_public(address) for address in addresses):
            LOG.warning("refused to open a private address", host=host)
            raise DownloadFailed("forbidden_address")
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses[:MAX_DIALS]:
            try:
                stream = await self._network.connect_tcp(
                    address, port, DIAL_SECONDS, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return MeteredStream(stream)
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
            raise httpcore.ConnectError(f"{MAX_LOOKUPS} lookups hang; does the name server answer?")
        # A daemon, since nothing ends a lookup that hangs, and it must not hold up the end of the process.
        threading.Thread(target=run, name="lookup", daemon=True).start()
        return found


class MeteredStream(httpcore.AsyncNetworkStream):
    """A connection that reads no more than it is allowed to, whatever the bytes are.

    Each request may be answered by MAX_HEADER_BYTES, which endless headers and an endless `100 Continue` soon
    use up; who expects a body then allows for it. A read costs something too, lest single bytes be free.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._left = MAX_HEADER_BYTES

    def allow(self, size: int) -> None:
        """Let that many more bytes in."""
        self._left += size

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read some bytes.

        Raises:
            httpcore.ReadError: There were too many already.
        """
        if self._left <= 0:
            raise httpcore.ReadError("the server sent more bytes than it was allowed to")
        part = await self._stream.read(max_bytes, timeout)
        self._left -= max(len(part), LEAST_COST)
        return part

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send a request, whose answer has its own allowance."""
        self._left = MAX_HEADER_BYTES
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Hang up."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Go on in TLS, with whoever can prove to be that host."""
        try:
            return MeteredStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))
        except BaseException:
            # httpcore leaves the socket open when a handshake is cancelled, which a deadline does.
            await self.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks about a connection."""
        return self._stream.get_extra_info(info)
