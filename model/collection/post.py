"""A public post with one photo, as the collection keeps it, and why somebody's post is left alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from html import unescape
from typing import Any

_MARKUP = re.compile(r"<[^>]*>")
_OPT_OUT = re.compile(r"#\s?(nobot|nobots|noindex|noai|noscrape)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Post:
    """One post, whatever the network."""

    id: str
    """The same for ever, and of this post only: `mastodon.example/1234`, `at://did:plc:…/app.bsky.feed.post/…`."""
    url: str
    """Where a person can look at it."""
    author: str
    """Who posted it: `ann@mastodon.example`, or a DID."""
    handle: str
    """What people call the author; on Bluesky it may change."""
    photo: str
    """The photo's URL, or its file."""
    likes: int
    followers: int
    """Of the author, when the post was read."""
    tags: int
    """How many tags the post has."""
    posted_at: datetime
    language: str
    further: Mapping[str, Any] = field(default_factory=dict)
    """Columns that were there before: text, numbers."""


def opted_out(*texts: str) -> bool:
    """Whether what somebody writes of themselves, as text or HTML, asks machines to keep away."""
    # A server may wrap a tag's word in a link of its own: #<span>nobot</span>.
    return any(_OPT_OUT.search(unescape(_MARKUP.sub("", text))) for text in texts)
