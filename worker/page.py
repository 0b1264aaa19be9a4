"""A web page → the picture it names for itself (`og:image`)."""

from __future__ import annotations

import contextlib
from html.parser import HTMLParser
from urllib.parse import urljoin

# In the order in which they are believed.
NAMES = ("og:image:secure_url", "og:image:url", "og:image", "twitter:image", "twitter:image:src")


def picture_of(html: bytes, url: str) -> str | None:
    """Absolute URL of the picture that a page shows when it is shared; None if it names none.

    Args:
        html: The page, or its beginning: the names stand in the head.
        url: Where the page came from, for relative addresses.
    """
    parser = _Meta()
    # Malformed declarations ("<![x") make it raise; what stood before them still counts.
    with contextlib.suppress(AssertionError):
        parser.feed(html.decode("utf-8", errors="replace"))
    found = next((parser.contents[name] for name in NAMES if name in parser.contents), None)
    try:
        return urljoin(url, found) if found else None
    except ValueError:
        return None


class _Meta(HTMLParser):
    """Collects the first content of each `<meta property=… content=…>` that names a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.contents: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            return
        attributes = dict(attrs)
        name = (attributes.get("property") or attributes.get("name") or "").strip().lower()
        content = (attributes.get("content") or "").strip()
        if name in NAMES and content:
            self.contents.setdefault(name, content)
