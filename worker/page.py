"""A web page → the picture it names for itself (`og:image`)."""

from __future__ import annotations

import codecs
import contextlib
import re
from html.parser import HTMLParser
from urllib.parse import urljoin

# In the order in which they are believed.
NAMES = ("og:image:secure_url", "og:image:url", "og:image", "twitter:image", "twitter:image:src")
# Heads have hundreds of tags. A megabyte of "<" is a million events, and a second of CPU.
MAX_EVENTS = 20_000
# What differs from UTF-8 where it matters. No others: Python has codecs that hostile text makes slow.
CODECS = {"utf-16": "utf-16", "utf-16le": "utf-16le", "utf-16be": "utf-16be"} | dict.fromkeys(
    ("iso-8859-1", "latin1", "us-ascii", "windows-1252"), "cp1252"
)
_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w-]{1,20})""", re.ASCII | re.IGNORECASE)


def picture_of(html: bytes, url: str, kind: str = "") -> str | None:
    """Absolute URL of the picture that a page shows when it is shared; None if it names none.

    Args:
        html: The page, or its beginning: the names stand in the head.
        url: Where the page came from, for relative addresses.
        kind: Its content type, which may name the encoding.
    """
    parser = _Meta()
    # Malformed declarations ("<![x") and numbers ("&#111…") make it raise; what came before still counts.
    with contextlib.suppress(_Enough, AssertionError, ValueError):
        # Once, and never closed: Python's parser reads what is left over again with each piece it is fed.
        parser.feed(_text(html, kind))
    found = next((parser.contents[name] for name in NAMES if name in parser.contents), None)
    try:
        return urljoin(url, found) if found else None
    except ValueError:
        return None


def _text(html: bytes, kind: str) -> str:
    if html.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return html.decode("utf-16", errors="replace")
    named = _CHARSET.search(kind) or _CHARSET.search(html[:1024].decode("latin-1"))
    return html.decode(CODECS.get(named[1].lower(), "utf-8") if named else "utf-8", errors="replace")


class _Enough(Exception):
    """The rest of the page says nothing new."""


class _Meta(HTMLParser):
    """Collects the first content of each `<meta property=… content=…>` that names a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.contents: dict[str, str] = {}
        self._events = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._count()
        if tag == "body" and self.contents:
            raise _Enough
        if tag != "meta":
            return
        attributes = dict(attrs)
        name = (attributes.get("property") or attributes.get("name") or "").strip().lower()
        content = (attributes.get("content") or "").strip()
        if name in NAMES and content:
            self.contents.setdefault(name, content)

    def handle_endtag(self, tag: str) -> None:
        self._count()
        if tag == "head" and self.contents:
            raise _Enough

    def handle_data(self, data: str) -> None:  # noqa: ARG002
        self._count()

    def handle_comment(self, data: str) -> None:  # noqa: ARG002
        self._count()

    def _count(self) -> None:
        self._events += 1
        if self._events > MAX_EVENTS:
            raise _Enough
