"""A server's response → what is behind a link, as far as it may be taken."""

from __future__ import annotations

from dataclasses import dataclass, replace

from worker.exchange import Response
from worker.failure import DownloadFailed, Fault

MEGABYTE = 1 << 20
MAX_PAGE_BYTES = MEGABYTE
# A part of a body counts as at least that many bytes: a million parts of one byte cost minutes of CPU.
LEAST_PART = 512
PAGE_TYPES = {"text/html", "application/xhtml+xml"}
REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True)
class Download:
    """What is behind a link."""

    body: bytes | bytearray
    url: str
    """Where it was found in the end."""
    kind: str
    """What the server says it is ("image/jpeg"), in lower case and not to be believed."""

    @property
    def is_page(self) -> bool:
        """Whether the server says that it is a web page."""
        return self.kind.partition(";")[0].strip() in PAGE_TYPES


def location(response: Response) -> str | None:
    """Where to look instead; None if it is here.

    Raises:
        DownloadFailed: Elsewhere, but it does not say where.
    """
    if response.status not in REDIRECTS:
        return None
    if link := _header(response, b"location"):
        return link
    raise DownloadFailed("unreachable")


async def read(response: Response, url: str, *, megabytes: float) -> Download:
    """Take what is here; of a web page no more than its beginning.

    Raises:
        DownloadFailed: It is too much, or nothing.
        ConnectionError: It costs more than it brings.
    """
    if response.status != 200:
        fault: Fault = "server_error" if response.status >= 500 else "not_found"
        raise DownloadFailed(fault, value=response.status)
    if _header(response, b"content-encoding").lower() not in {"", "identity"}:
        raise DownloadFailed("unreachable")
    found = Download(b"", url, _header(response, b"content-type").lower())
    if found.is_page:
        # The names of its picture stand in the page's head; the rest of a long page can stay away.
        return replace(found, body=await _body(response, MAX_PAGE_BYTES))
    most = int(megabytes * MEGABYTE)
    too_many = DownloadFailed("too_many_bytes", limit=megabytes)
    if int(_header(response, b"content-length") or 0) > most:
        raise too_many
    body = await _body(response, most)
    if len(body) > most:
        raise too_many
    return replace(found, body=body)


async def _body(response: Response, most: int) -> bytes | bytearray:
    """What comes, up to the first part that is too many.

    Raises:
        ConnectionError: It comes in parts that cost more than they bring.
    """
    # Chunks have their own headers, and may come in pieces.
    response.wire.allow(2 * most, least=LEAST_PART // 4)
    parts: list[bytes | bytearray] = []
    size = cost = 0
    async for part in response.body(most):
        parts.append(part)
        size += len(part)
        cost += max(len(part), LEAST_PART)
        if size > most:
            break
        if cost > 2 * most:
            raise ConnectionError(f"{size} bytes came in too many parts")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _header(response: Response, name: bytes) -> str:
    value = next((value for key, value in response.headers if key.lower() == name), b"").strip()
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
