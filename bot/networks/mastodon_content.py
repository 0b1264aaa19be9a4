"""What a post says, out of its HTML."""

from __future__ import annotations

import contextlib
from html.parser import HTMLParser
from typing import Self


class Content(HTMLParser):
    """A post's HTML: its plain text, and where it links to, apart from the mentions and hashtags in it."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.links: list[str] = []
        self._passing_over: str | None = None

    @classmethod
    def of(cls, content: str) -> Self:
        """Read a post's HTML, however malformed."""
        parser = cls()
        # Malformed declarations ("<![x") and numbers ("&#111…") make it raise; what came before still counts.
        with contextlib.suppress(AssertionError, ValueError):
            # Ended by a tag, which lets go of the last word: close() takes minutes for 100 kB of "<a <a <a".
            parser.feed(f"{content}<br>")
        return parser

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag that opens."""
        if tag in {"br", "p"}:
            self.text += "\n"
        attributes = dict(attrs)
        classes = (attributes.get("class") or "").split()
        if "quote-inline" in classes:
            # The quoted post's address, for servers that know no quotes.
            self._passing_over = tag
        if self._passing_over:
            return
        if tag == "a" and not {"mention", "hashtag"} & set(classes) and (url := attributes.get("href")):
            self.links.append(url)

    def handle_endtag(self, tag: str) -> None:
        """A tag that closes."""
        if tag == self._passing_over:
            self._passing_over = None
