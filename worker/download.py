"""A link → a photo's bytes, from the public internet only, within a number of bytes and seconds.

    Downloader          .fetch(url) → Download; .photos(urls), many at once
    DownloadFailed      the one error: why there are no bytes

link.py says what a link may look like, dialler.py where it may lead, turns.py who may go when, response.py
what is taken.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypeVar

import h11
import httpx

from bot.logs import Log
from worker.connections import Connections
from worker.dialler import Dialler, Resolve, lookup
from worker.exchange import Origin
from worker.failure import DownloadFailed
from worker.link import parse
from worker.page import picture_of
from worker.response import Download, location, read
from worker.turns import Turns
from worker.wire import Dial, dial

__all__ = ["Download", "DownloadFailed", "Downloader", "Limits"]

LOG = Log(__name__)

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_REDIRECTS = 3
MAX_CONNECTIONS = 64
MAX_CONNECTIONS_PER_HOST = 16
MAX_LOGGED = 200

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """What one download may cost."""

    megabytes: float
    seconds: float
    private_addresses: bool
    """Open addresses of the operator's own network too, on any port."""
    private_hosts: frozenset[tuple[str, int]] = frozenset()
    """Hosts, each with its port, that may be on the operator's own network all the same."""


class Downloader:
    """Fetches photos, many at a time, on an event loop in a thread of its own. Any thread may call it.

    Args:
        limits: What one download may cost.
        contact: Where the owners of web servers reach the bot's operator: a URL or an e-mail address.
        resolve: Who knows the addresses of a name.
        dial: Who opens a connection to an address that was found to be allowed.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        contact: str | None = None,
        resolve: Resolve = lookup,
        dial: Dial = dial,
    ) -> None:
        self._limits = limits
        self._user_agent = _user_agent(contact).encode()
        dialler = Dialler(
            resolve,
            dial,
            private_addresses=limits.private_addresses,
            private_hosts=limits.private_hosts,
        )
        self._connections = Connections(dialler)
        self._turns = Turns(MAX_CONNECTIONS, MAX_CONNECTIONS_PER_HOST)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="download", daemon=True)
        self._thread.start()

    def fetch(self, url: str) -> Download:
        """Fetch one photo; a link to a web page gives the picture that the page names for itself.

        Raises:
            DownloadFailed: There is none.
        """
        return self._run(self._photo(url))

    def begin(self, url: str) -> Future[Download]:
        """Fetch one photo as `fetch` does, without waiting. What is called back must not hold up the loop."""
        return asyncio.run_coroutine_threadsafe(self._photo(url), self._loop)

    def photos(self, urls: Sequence[str]) -> list[bytes | DownloadFailed]:
        """Fetch photos at once.

        Returns:
            In the order of the links, the bytes, or why there are none.
        """
        return self._run(self._photos(urls))

    def close(self) -> None:
        """Hang up, and end the thread. Nobody may be fetching any more."""
        self._loop.call_soon_threadsafe(self._connections.close)
        self._run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()  # only if whoever waits was interrupted

    async def _photos(self, urls: Sequence[str]) -> list[bytes | DownloadFailed]:
        return await asyncio.gather(*(_body_or_reason(self._photo(url)) for url in urls))

    async def _photo(self, url: str) -> Download:
        try:
            # Timeouts of single reads never fire on a server that sends a byte a second.
            async with asyncio.timeout(self._limits.seconds) as deadline:
                found = await self._get(url, deadline)
                return await self._shown(found, deadline) if found.is_page else found
        except TimeoutError:
            raise DownloadFailed("too_slow", limit=self._limits.seconds) from None
        except DownloadFailed:
            raise
        except Exception:
            # Without the link: people's posts are not for the log.
            LOG.exception("download failed")
            raise DownloadFailed("unreachable") from None

    async def _shown(self, page: Download, deadline: asyncio.Timeout) -> Download:
        """The picture that a page names for itself."""
        # In a thread: a megabyte of hostile HTML takes longer than others should wait for.
        link = await asyncio.to_thread(picture_of, bytes(page.body), page.url, page.kind)
        if link is None:
            raise DownloadFailed("no_picture")
        found = await self._get(link, deadline)
        if found.is_page:
            raise DownloadFailed("no_picture")
        return found

    async def _get(self, link: str, deadline: asyncio.Timeout) -> Download:
        url = parse(link)
        for _ in range(MAX_REDIRECTS + 1):
            async with self._turns.turn(url.raw_host.rstrip(b"."), deadline):
                found = await self._ask(url)
            if isinstance(found, Download):
                return found
            url = parse(found, base=url)
        raise DownloadFailed("unreachable")

    async def _ask(self, url: httpx.URL) -> Download | str:
        """What is at a URL, or where it moved to."""
        # Put together from what was checked: another parser might find another host in the same text.
        origin = Origin(url.scheme, url.raw_host.decode("ascii"), url.port or DEFAULT_PORTS[url.scheme])
        headers = [
            (b"Host", url.netloc),
            (b"User-Agent", self._user_agent),
            (b"Accept", b"image/*, text/html;q=0.5"),
            (b"Accept-Encoding", b"identity"),
        ]
        try:
            async with self._connections.to(origin) as connection:
                response = await connection.ask(url.raw_path, headers)
                if (link := location(response)) is not None:
                    return link
                return await read(response, str(url), megabytes=self._limits.megabytes)
        except DownloadFailed:
            raise
        # A server's nonsense raises ValueError, h11's and ssl's, besides what a network does.
        except Exception as error:
            # What breaks the protocol is quoted in the words about it, and may be the photo.
            words = "" if isinstance(error, h11.RemoteProtocolError) else f": {error}"
            reason = f"{type(error).__name__}{words}"[:MAX_LOGGED]
            LOG.info("download failed", host=url.raw_host.decode(), error=reason)
            raise DownloadFailed("unreachable") from None


async def _body_or_reason(download: Coroutine[Any, Any, Download]) -> bytes | DownloadFailed:
    """One photo's trouble is not the others'."""
    try:
        return bytes((await download).body)
    except DownloadFailed as failed:
        return failed


def _user_agent(contact: str | None) -> str:
    return (
        f"deepselfie/{version('deepselfie')} (judges photos that mention it{f'; {contact}' * bool(contact)})"
    )
