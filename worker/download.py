"""A link → a photo's bytes, from the public internet only, within a number of bytes and seconds.

    DownloadFailed      the one error: why there are no bytes

The name is resolved once, every address of it is checked, and a checked address is what is dialled: a name
server that answers differently the second time gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpcore
import httpx

from bot.logs import Log
from worker.addresses import is_public
from worker.page import picture_of

LOG = Log(__name__)

Fault = Literal[
    "bad_link",
    "not_found",
    "server_error",
    "unreachable",
    "forbidden_address",
    "too_slow",
    "too_many_bytes",
    "no_picture",
]

USER_AGENT = "deepselfie/0.1 (a bot that judges photos it is mentioned with)"
MEGABYTE = 1 << 20
MAX_REDIRECTS = 3
MAX_URL_LENGTH = 2048
MAX_PAGE_BYTES = MEGABYTE
MAX_CONNECTIONS = 64
PAGE_TYPES = {"text/html", "application/xhtml+xml"}
REDIRECTS = {301, 302, 303, 307, 308}


class DownloadFailed(Exception):
    """There is nothing to look at behind a link.

    Args:
        fault: The reason.
        value: What was measured, where that is the reason: the HTTP status.
        limit: What was exceeded: megabytes or seconds.
    """

    def __init__(self, fault: Fault, *, value: float | None = None, limit: float | None = None) -> None:
        super().__init__(fault, value, limit)
        self.fault: Fault = fault
        self.value = value
        self.limit = limit


@dataclass(frozen=True)
class Limits:
    """What one download may cost."""

    megabytes: float
    seconds: float
    private_addresses: bool
    """Open addresses of the operator's own network too, on any port."""


@dataclass(frozen=True)
class _Answer:
    url: str
    is_page: bool
    body: bytes


class Downloader:
    """Fetches photos, many at a time, on an event loop in a thread of its own."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=MAX_CONNECTIONS,
            network_backend=_GuardedBackend(private_addresses=limits.private_addresses),
        )
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="download", daemon=True).start()

    def photos(self, urls: Sequence[str]) -> list[bytes | DownloadFailed]:
        """Fetch photos at once; a link to a web page gives the picture that the page names for itself.

        Returns:
            In the order of the links, the bytes, or why there are none.
        """
        return asyncio.run_coroutine_threadsafe(self._gather(urls), self._loop).result()

    async def _gather(self, urls: Sequence[str]) -> list[bytes | DownloadFailed]:
        return await asyncio.gather(*(_outcome(self._photo(url)) for url in urls))

    async def _photo(self, url: str) -> bytes:
        try:
            # httpx's and httpcore's own timeouts never fire on a server that sends a byte a second.
            async with asyncio.timeout(self._limits.seconds):
                answer = await self._get(url)
                if not answer.is_page:
                    return answer.body
                picture = picture_of(answer.body, answer.url)
                if picture is None:
                    raise DownloadFailed("no_picture")
                answer = await self._get(picture)
                if answer.is_page:
                    raise DownloadFailed("no_picture")
                return answer.body
        except TimeoutError:
            raise DownloadFailed("too_slow", limit=self._limits.seconds) from None

    async def _get(self, link: str) -> _Answer:
        url = _parse(link, private_addresses=self._limits.private_addresses)
        for _ in range(MAX_REDIRECTS + 1):
            try:
                async with self._pool.stream("GET", str(url), headers=_headers(url)) as response:
                    if response.status not in REDIRECTS:
                        return await self._read(str(url), response)
                    link = _header(response, b"location")
            except DownloadFailed:
                raise
            # Besides httpcore's own errors, a server's nonsense raises ValueError, h11's and ssl's.
            except Exception as error:
                LOG.info("download failed", host=url.host, error=f"{type(error).__name__}: {error}")
                raise DownloadFailed("unreachable") from None
            url = _parse(link, private_addresses=self._limits.private_addresses, base=url)
        raise DownloadFailed("unreachable")

    async def _read(self, url: str, response: httpcore.Response) -> _Answer:
        if response.status != 200:
            fault: Fault = "server_error" if response.status >= 500 else "not_found"
            raise DownloadFailed(fault, value=response.status)
        if _header(response, b"content-encoding").lower() not in {"", "identity"}:
            raise DownloadFailed("unreachable")
        is_page = _header(response, b"content-type").partition(";")[0].strip().lower() in PAGE_TYPES
        most = MAX_PAGE_BYTES if is_page else int(self._limits.megabytes * MEGABYTE)
        body = bytearray()
        async for part in response.aiter_stream():
            body += part
            if len(body) > most:
                if is_page:
                    break
                raise DownloadFailed("too_many_bytes", limit=self._limits.megabytes)
        return _Answer(url, is_page, bytes(body))


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Dials only addresses that it has checked."""

    def __init__(self, *, private_addresses: bool) -> None:
        self._private_addresses = private_addresses
        self._dial = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self._private_addresses and not all(is_public(address) for address in addresses):
            LOG.warning("refused to open a private address", host=host)
            raise DownloadFailed("forbidden_address")
        for address in addresses[:-1]:
            try:
                return await self._dial.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError:
                continue
        return await self._dial.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)


def _parse(link: str, *, private_addresses: bool, base: httpx.URL | None = None) -> httpx.URL:
    """A link as people write it (spaces, umlauts) as a URL that may be opened."""
    if len(link) > MAX_URL_LENGTH or "\\" in link:
        raise DownloadFailed("bad_link")
    try:
        url = base.join(link) if base else httpx.URL(link.strip())
    except (httpx.InvalidURL, ValueError):
        raise DownloadFailed("bad_link") from None
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
        raise DownloadFailed("bad_link")
    if url.port not in {None, 80, 443} and not private_addresses:
        raise DownloadFailed("forbidden_address")
    return url


def _headers(url: httpx.URL) -> list[tuple[bytes | str, bytes | str]]:
    return [
        ("Host", url.netloc),
        ("User-Agent", USER_AGENT),
        ("Accept", "image/*, text/html;q=0.5"),
        ("Accept-Encoding", "identity"),
    ]


def _header(response: httpcore.Response, name: bytes) -> str:
    values = (value.decode("latin-1").strip() for key, value in response.headers if key.lower() == name)
    return next(values, "")


async def _outcome(download: Coroutine[Any, Any, bytes]) -> bytes | DownloadFailed:
    """One photo's trouble is not the others'."""
    try:
        return await download
    except DownloadFailed as failed:
        return failed
    except Exception:
        LOG.exception("download failed")
        return DownloadFailed("unreachable")
