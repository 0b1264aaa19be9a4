"""Posts with a tag on Bluesky, as its search finds them.

Who hides from those without an account is left alone. The search is for accounts only (by an app password),
and made for people: its makers ask those who want everything to read the network's stream instead. So: few
pages, long pauses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, Field

from model.collection.network import LeftAlone, Page, read
from model.collection.post import Post, opted_out
from model.collection.visitor import Answer, CollectionError, Refused, Visitor

PAGE_SIZE = 100
MOST_PROFILES = 25
HIDDEN = "!no-unauthenticated"
IMAGES = "app.bsky.embed.images#view"
TAG = "app.bsky.richtext.facet#tag"
PHOTOS = "cdn.bsky.app"


@dataclass(frozen=True)
class Login:
    """An account, by an app password: the real one opens everything."""

    handle: str
    password: str = field(repr=False)


class _Label(BaseModel):
    val: str


class _Author(BaseModel):
    did: str
    handle: str
    description: str = ""
    # Only whole profiles tell how many.
    followers: int = Field(default=0, ge=0, alias="followersCount")
    labels: list[_Label] = Field(default_factory=list)


class _Image(BaseModel):
    fullsize: str


class _Embed(BaseModel):
    type: str = Field(default="", alias="$type")
    images: list[_Image] = Field(default_factory=list)


class _Feature(BaseModel):
    type: str = Field(default="", alias="$type")
    tag: str = ""


class _Facet(BaseModel):
    features: list[_Feature] = Field(default_factory=list)


class _Record(BaseModel):
    text: str = ""
    tags: list[str] = Field(default_factory=list)
    facets: list[_Facet] = Field(default_factory=list)
    langs: list[str] = Field(default_factory=list)

    def all_tags(self) -> set[str]:
        features = (feature for facet in self.facets for feature in facet.features)
        return {tag.lower() for tag in (*self.tags, *(one.tag for one in features if one.type == TAG))}


class _View(BaseModel):
    uri: str
    author: _Author
    record: _Record
    embed: Annotated[_Embed, BeforeValidator(lambda embed: embed or {})] = Field(default_factory=_Embed)
    likes: int = Field(ge=0, alias="likeCount")
    indexed_at: datetime = Field(alias="indexedAt")
    labels: list[_Label] = Field(default_factory=list)


class Bluesky:
    """The network, through one server.

    Args:
        visitor: Makes the calls.
        url: The account's server, or without an account an AppView that lets everybody search.
        login: The account.
        sensitive: Take posts with a label that warns of them too.
    """

    name = "bluesky"
    batch = 25

    def __init__(self, visitor: Visitor, url: str, login: Login | None, *, sensitive: bool = False) -> None:
        self._visitor = visitor
        self._url = f"{url.rstrip('/')}/xrpc"
        self._login = login
        self._token = ""
        self._sensitive = sensitive
        self.hosts = frozenset({urlsplit(url).hostname or "", PHOTOS})

    def terms(self) -> str:
        """Where the terms of the account's server are."""
        try:
            links = (
                self._visitor.ask(f"{self._url}/com.atproto.server.describeServer").json.get("links") or {}
            )
        except Refused:
            # An AppView is no account's server.
            links = {}
        terms = links.get("termsOfService") or "https://bsky.social/about/support/tos"
        return f"Terms of Bluesky: {terms}\nIts search is made for people: collect little, and seldom."

    def page(self, tag: str, place: str) -> Page:
        """Posts with a tag: the newest, or those at a cursor."""
        query: dict[str, Any] = {"q": f"#{tag}", "sort": "latest", "limit": PAGE_SIZE}
        query |= {"cursor": place} if place else {}
        answer = self._ask("app.bsky.feed.searchPosts", query)
        views = [read(_View, entry) for entry in answer.get("posts", [])]
        known = [view for view in views if view]
        people = self._people({view.author.did for view in known})
        times = [view.indexed_at for view in known]
        return Page(
            entries=[self._post(view, people, tag) for view in views],
            oldest=min(times, default=None),
            newest=max(times, default=None),
            older=str(answer.get("cursor") or "") if views else "",
        )

    def again(self, ids: Sequence[str]) -> dict[str, Post]:
        """Posts as they are now."""
        answer = self._ask("app.bsky.feed.getPosts", {"uris": list(ids)})
        views = [view for entry in answer.get("posts", []) if (view := read(_View, entry))]
        people = self._people({view.author.did for view in views})
        posts = [self._post(view, people) for view in views]
        return {post.id: post for post in posts if isinstance(post, Post)}

    def _post(self, view: _View | None, people: Mapping[str, _Author], tag: str = "") -> Post | LeftAlone:
        author = people.get(view.author.did) if view else None
        if view is None or author is None:
            return LeftAlone("not understood" if view is None else "author is gone")
        tags = view.record.all_tags()
        if why := self._reason(view, author) or (
            "without the tag" if tag and tag.lower() not in tags else ""
        ):
            return LeftAlone(why)
        return Post(
            id=view.uri,
            url=f"https://bsky.app/profile/{author.did}/post/{view.uri.rpartition('/')[2]}",
            author=author.did,
            handle=author.handle,
            photo=view.embed.images[0].fullsize,
            likes=view.likes,
            followers=author.followers,
            tags=len(tags),
            posted_at=view.indexed_at,
            language=view.record.langs[0] if view.record.langs else "",
        )

    def _reason(self, view: _View, author: _Author) -> str:
        """Why a post is left alone; empty if it is not."""
        labels = {label.val for label in (*view.labels, *author.labels, *view.author.labels)}
        reasons = {
            "not one photo": view.embed.type != IMAGES or len(view.embed.images) != 1,
            "author hides from strangers": HIDDEN in labels,
            "author wants no bots": opted_out(author.description, view.record.text),
            "sensitive": bool(labels - {HIDDEN}) and not self._sensitive,
        }
        return next((why for why, holds in reasons.items() if holds), "")

    def _people(self, dids: set[str]) -> dict[str, _Author]:
        """Whole profiles, by DID."""
        found: dict[str, _Author] = {}
        ordered = sorted(dids)
        for start in range(0, len(ordered), MOST_PROFILES):
            some = self._ask("app.bsky.actor.getProfiles", {"actors": ordered[start : start + MOST_PROFILES]})
            authors = (read(_Author, entry) for entry in some.get("profiles", []))
            found |= {author.did: author for author in authors if author}
        return found

    def _ask(self, method: str, query: Mapping[str, Any]) -> dict[str, Any]:
        if self._login and not self._token:
            self._token = self._log_in(self._login)
        try:
            answer = self._visitor.ask(f"{self._url}/{method}", query, self._token)
        except Refused as error:
            if self._login and error.kind == "ExpiredToken":
                self._token = self._log_in(self._login)
                answer = self._visitor.ask(f"{self._url}/{method}", query, self._token)
            elif not self._login and error.status in (401, 403):
                raise CollectionError(f"{error}: log in with --handle and --password-file") from None
            else:
                raise
        return _dictionary(answer)

    def _log_in(self, login: Login) -> str:
        body = {"identifier": login.handle, "password": login.password}
        return str(
            _dictionary(self._visitor.tell(f"{self._url}/com.atproto.server.createSession", body))[
                "accessJwt"
            ]
        )


def _dictionary(answer: Answer) -> dict[str, Any]:
    if not isinstance(answer.json, dict):
        raise CollectionError(f"Bluesky answers {str(answer.json)[:80]!r}, which is none of its answers")
    return answer.json
