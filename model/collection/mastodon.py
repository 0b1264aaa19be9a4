"""Posts with a tag on a Mastodon server: those of its own people, whose rules the operator has read.

Of posts from elsewhere a server knows only some of the likes, and its rules are not their authors' rules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from pydantic import BaseModel, Field

from model.collection.network import LeftAlone, Page, read
from model.collection.post import Post, opted_out
from model.collection.visitor import CollectionError, Refused, Visitor

PAGE_SIZE = 40
TRAINERS = ("GPTBot", "CCBot", "Google-Extended", "ClaudeBot")
"""Well-known crawlers for training; who shuts them out may want to shut us out too."""
_OLDER = re.compile(r'<([^>]*)>\s*;[^,]*rel="?next"?')


class _Named(BaseModel):
    name: str = ""
    value: str = ""


class _Account(BaseModel):
    acct: str
    note: str = ""
    fields: list[_Named] = Field(default_factory=list)
    followers_count: int = Field(ge=0)
    discoverable: bool | None = None
    indexable: bool | None = None
    noindex: bool | None = None


class _Media(BaseModel):
    type: str
    url: str | None = None


class _Status(BaseModel):
    id: str
    url: str
    created_at: datetime
    visibility: str
    sensitive: bool
    spoiler_text: str = ""
    content: str = ""
    language: str | None = None
    favourites_count: int = Field(ge=0)
    account: _Account
    media_attachments: list[_Media]
    tags: list[_Named]


class Mastodon:
    """One server.

    Args:
        visitor: Makes the calls.
        url: The server's address.
        sensitive: Take posts that are marked as sensitive too.
    """

    name = "mastodon"
    batch = 20

    def __init__(self, visitor: Visitor, url: str, *, sensitive: bool = False) -> None:
        self._visitor = visitor
        self._url = url.rstrip("/")
        self._host = urlsplit(url).netloc
        self._sensitive = sensitive
        self.hosts = frozenset({urlsplit(url).hostname or ""})

    def terms(self) -> str:
        """The server's rules, what robots.txt says, and where its terms are."""
        timeline = f"{self._url}/api/v1/timelines/tag/"
        if not self._visitor.may(timeline):
            raise CollectionError(
                f"robots.txt of {self._host} keeps us out; ask its people, or collect elsewhere"
            )
        rules = [str(rule.get("text", "")) for rule in self._about.get("rules", [])]
        lines = [f"{number}. {rule}" for number, rule in enumerate(rules, 1)] or ["(it has no rules)"]
        robots = self._visitor.robots(timeline)
        shut_out = [name for name in TRAINERS if not robots.can_fetch(name, timeline)]
        if shut_out:
            lines.append(
                f"Its robots.txt shuts out {', '.join(shut_out)}, which gather for training: ask first."
            )
        return "\n".join([f"Rules of {self._host} (see also {self._url}/terms-of-service):", *lines])

    def page(self, tag: str, place: str) -> Page:
        """Posts with a tag: the newest, or those older than an id."""
        query: dict[str, str | int] = {"local": "true", "only_media": "true", "limit": PAGE_SIZE}
        query |= {"max_id": place} if place else {}
        answer = self._visitor.ask(f"{self._url}/api/v1/timelines/tag/{quote(tag, safe='')}", query)
        entries = _list(answer.json)
        statuses = [read(_Status, entry) for entry in entries]
        times = [status.created_at for status in statuses if status]
        return Page(
            entries=[self._post(status) for status in statuses],
            oldest=min(times, default=None),
            newest=max(times, default=None),
            older=_older(answer.link, entries),
        )

    def again(self, ids: Sequence[str]) -> dict[str, Post]:
        """Posts as they are now. What an answer leaves out is asked for alone, before it counts as gone."""
        names = [id_.rpartition("/")[2] for id_ in ids]
        try:
            found = _list(self._visitor.ask(f"{self._url}/api/v1/statuses", {"id[]": names}).json)
        except Refused:
            # Mastodon before 4.3, and others, read one at a time.
            found = []
        seen = {str(entry.get("id")) for entry in found}
        found += [entry for name in names if name not in seen and (entry := self._alone(name))]
        posts = [self._post(read(_Status, entry)) for entry in found]
        return {post.id: post for post in posts if isinstance(post, Post)}

    def _alone(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(self._visitor.ask(f"{self._url}/api/v1/statuses/{quote(name, safe='')}").json)
        except Refused as error:
            if error.status in (404, 410):
                return None
            raise

    def _post(self, status: _Status | None) -> Post | LeftAlone:
        if status is None:
            return LeftAlone("not understood")
        photos = [media.url for media in status.media_attachments if media.type == "image" and media.url]
        if why := self._reason(status, photos):
            return LeftAlone(why)
        account = status.account
        return Post(
            id=f"{self._host}/{status.id}",
            url=status.url,
            author=f"{account.acct}@{self._host}",
            handle=f"{account.acct}@{self._about.get('domain') or self._host}",
            photo=photos[0],
            likes=status.favourites_count,
            followers=account.followers_count,
            tags=len(status.tags),
            posted_at=status.created_at,
            language=status.language or "",
        )

    def _reason(self, status: _Status, photos: Sequence[str]) -> str:
        """Why a post is left alone; empty if it is not."""
        account = status.account
        about = [account.note, *(field.value for field in account.fields)]
        reasons = {
            "not public": status.visibility != "public",
            "not local": "@" in account.acct,
            "not one photo": len(photos) != 1 or len(status.media_attachments) != 1,
            "sensitive": (status.sensitive or bool(status.spoiler_text)) and not self._sensitive,
            "author wants no bots": opted_out(*about, status.content) or bool(account.noindex),
            "author is not to be found": account.discoverable is False or account.indexable is False,
        }
        return next((why for why, holds in reasons.items() if holds), "")

    @cached_property
    def _about(self) -> dict[str, Any]:
        """What the server says of itself; older ones know the first version only."""
        try:
            return dict(self._visitor.ask(f"{self._url}/api/v2/instance").json)
        except Refused:
            return dict(self._visitor.ask(f"{self._url}/api/v1/instance").json)


def _list(answer: Any) -> list[dict[str, Any]]:
    return [entry for entry in answer if isinstance(entry, dict)] if isinstance(answer, list) else []


def _older(link: str, entries: Sequence[dict[str, Any]]) -> str:
    """Which id a page's older neighbour is below. The header is read for it; it leads to no other host."""
    if match := _OLDER.search(link):
        return next(iter(parse_qs(urlsplit(match[1]).query).get("max_id", [])), "")
    return str(entries[-1].get("id", "")) if entries else ""
