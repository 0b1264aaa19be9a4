"""A real Bluesky network as a stage of the contract suite."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from redis import Redis

from bot.networks.accounts import BlueskyAccount
from bot.networks.base import Network
from bot.networks.bluesky import connect
from bot.settings import load
from tests.bluesky_network import POSTS, URL, Person, card, until
from tests.contract import Seen, Stage, Trouble, photo
from tests.middleman import Middleman, between

READ = "app.bsky.notification.listNotifications"
WRITE = "com.atproto.repo.putRecord"
CALLS: dict[Trouble, str] = {
    "reading_limited": READ,
    "reading_broken": READ,
    "posting_limited": WRITE,
    "posting_broken": WRITE,
    "answer_lost": WRITE,
}


class BlueskyStage:
    """The network; the bot's calls go through a middleman, who makes the trouble."""

    name = "Bluesky"
    streams = True
    """Of a kind: the adapter looks every two seconds."""
    keeps_keys = True
    """The second reply has the name of the first."""
    troubles = frozenset(CALLS)
    features = frozenset({"quotes", "pictures"})

    def __init__(self, redis_url: str, middleman: Middleman) -> None:
        self.redis = Redis.from_url(redis_url)
        self.middleman = middleman
        self.account = Person("bot")
        self.people = {name: Person(name) for name in ("ann", "bob")}
        self.authors: dict[str, Person] = {}

    def bot(self) -> Network:
        return connect(self.account.account(self.middleman.url), self.redis)

    def stranger(self) -> Network:
        settings = Person("stranger").settings() | {"BLUESKY_PASSWORD": "wrong"}
        return connect(load(BlueskyAccount, settings), self.redis)

    def mention(self, text: str = "look", photos: int = 0, **options: Any) -> str:
        return self._post("ann", text, self.account, photos, **options)

    def post(self, text: str = "hello", photos: int = 0, **options: Any) -> str:
        return self._post("bob", text, None, photos, **options)

    def delete(self, post: str) -> None:
        self.authors[post].delete(post)
        self._wait_for(post, is_shown=False)

    def replies(self, post: str) -> list[Seen]:
        found = self.account.ask("com.atproto.repo.listRecords", repo=self.account.did, collection=POSTS)
        return [
            Seen(entry["uri"], record["text"], tuple(image["alt"] for image in _images(record)))
            for entry in found["records"]
            if (record := entry["value"]).get("reply", {}).get("parent", {}).get("uri") == post
        ]

    @contextmanager
    def trouble(self, trouble: Trouble) -> Iterator[None]:
        call = CALLS[trouble]
        if trouble == "answer_lost":
            self.middleman.lost.append(call)
        else:
            self.middleman.own.append((call, _limited() if trouble.endswith("limited") else _broken()))
        try:
            yield
        finally:
            self.middleman.lost.clear()
            self.middleman.own.clear()

    def _post(self, author: str, text: str, to: Person | None, photos: int, **options: Any) -> str:
        person, fields = self.people[author], dict[str, Any]()
        if photos:
            fields["embed"] = person.images(*[photo()] * photos)
        if quoted := options.get("quotes"):
            fields["embed"] = {"$type": "app.bsky.embed.record", "record": person.reference(quoted)}
        if link := next((word for word in text.split() if word.startswith("http")), None):
            fields["embed"] = card(link)
        if above := options.get("reply_to"):
            fields["reply"] = person.replying(above, self._root(above))
        post = person.post(text, to, **fields)
        self.authors[post] = person
        self._wait_for(post, is_shown=True)
        return post

    def _root(self, post: str) -> str:
        did, _, rkey = post.removeprefix("at://").split("/")
        record = self.account.ask("com.atproto.repo.getRecord", repo=did, collection=POSTS, rkey=rkey)
        return str(record["value"].get("reply", {}).get("root", {}).get("uri", post))

    def _wait_for(self, post: str, *, is_shown: bool) -> None:
        """The network shows what its data servers have taken a moment later."""
        ann = self.people["ann"]
        assert (
            until(lambda: bool(ann.ask("app.bsky.feed.getPosts", uris=[post])["posts"]), is_shown) is is_shown
        )


@contextmanager
def bluesky_stage(redis_url: str) -> Iterator[Stage]:
    with between(URL) as middleman:
        stage = BlueskyStage(redis_url, middleman)
        yield stage
        stage.redis.close()


def _images(record: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = record.get("embed", {}).get("images", [])
    return found


def _limited() -> httpx.Response:
    headers = {"ratelimit-reset": str(int(time.time()) + 2)}
    return httpx.Response(429, headers=headers, json={"error": "RateLimitExceeded", "message": "slow down"})


def _broken() -> httpx.Response:
    return httpx.Response(502, json={"error": "UpstreamFailure", "message": "no"})
