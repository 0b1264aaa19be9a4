"""A link as people and servers write it → a URL that may be asked for. Where it leads, the dialler judges."""

from __future__ import annotations

import re
import unicodedata

import httpx

from worker.failure import DownloadFailed

MAX_URL_LENGTH = 2048
MAX_HOST_LENGTH = 253  # of a name in the DNS, RFC 1035

# Control characters, what is invisible or turns text around (U+200B, U+202E), halves of characters, and line
# breaks: nobody types them into a link, and people and programs read them differently.
_TREACHEROUS = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# After IDNA. Real names have underscores; "%", "," and the like are for fooling one parser of two.
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?|[0-9a-f.]*:[0-9a-f:.]*", re.ASCII)


def parse(link: str, base: httpx.URL | None = None) -> httpx.URL:
    """Read a link, with umlauts and spaces in its path as people write it, and space around it.

    Args:
        link: What was posted, or what a redirect or a page says.
        base: Where that was said, for relative links.

    Raises:
        DownloadFailed: It is no plain http or https link.
    """
    link = link.strip()
    if (
        len(link) > MAX_URL_LENGTH
        or "\\" in link
        or any(unicodedata.category(c) in _TREACHEROUS for c in link)
    ):
        raise DownloadFailed("bad_link")
    try:
        url = base.join(link) if base else httpx.URL(link)
    except (httpx.InvalidURL, ValueError):
        raise DownloadFailed("bad_link") from None
    if (
        url.scheme not in {"http", "https"}
        or url.userinfo
        or (url.port is not None and not 0 < url.port < 65536)
    ):
        raise DownloadFailed("bad_link")
    host = url.raw_host.decode("ascii")
    if len(host) > MAX_HOST_LENGTH or not _HOST.fullmatch(host):
        raise DownloadFailed("bad_link")
    return url
