"""The fake X as a stage of the contract suite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bot.networks.base import Network
from tests.contract import Seen, Stage, Trouble, photo
from tests.waiting import eventually
from tests.x import POST, SECONDS, STREAM, FakeX, Person, fake_x

MENTIONS = "GET /2/users/:id/mentions"

FAULTS: dict[Trouble, dict[str, Any]] = {
    "reading_limited": {"endpoint": MENTIONS, "kind": "rate_limited", "seconds": 2},
    "reading_broken": {"endpoint": MENTIONS, "kind": "server_error"},
    "posting_limited": {"endpoint": POST, "kind": "rate_limited", "seconds": 2},
    "posting_broken": {"endpoint": POST, "kind": "server_error"},
    "answer_lost": {"endpoint": POST, "kind": "dropped_answer"},
    "stream_closes": {"endpoint": STREAM, "kind": "stream_closes"},
}
REPLIES = """
SELECT posts.id, posts.text FROM posts JOIN people ON people.id = posts.author
WHERE posts.reply_to = ? AND people.username = 'deepselfie'
"""
DESCRIPTIONS = "SELECT alt_text FROM media WHERE post = ? ORDER BY place"


class XStage:
    """The fake X; what it keeps is read from its database."""

    name = "X"
    streams = True
    keeps_keys = False
    troubles = frozenset(FAULTS)
    features = frozenset({"quotes", "pictures"})

    def __init__(self, network: FakeX) -> None:
        self.network = network
        self.people = {name: network.join(name) for name in ("ann", "bob")}
        self.authors: dict[str, Person] = {}

    def bot(self) -> Network:
        return self.network.bot()

    def stranger(self) -> Network:
        return self.network.bot(X_ACCESS_TOKEN="wrong")

    def mention(self, text: str = "look", photos: int = 0, **options: Any) -> str:
        return self._post("ann", f"@deepselfie {text}", photos, **options)

    def post(self, text: str = "hello", photos: int = 0, **options: Any) -> str:
        return self._post("bob", text, photos, **options)

    def delete(self, post: str) -> None:
        self.authors[post].delete(post)

    def replies(self, post: str) -> list[Seen]:
        with closing(sqlite3.connect(self.network.data / "x.sqlite3")) as database:
            return [
                Seen(str(id_), text, tuple(alt for (alt,) in database.execute(DESCRIPTIONS, (id_,))))
                for id_, text in database.execute(REPLIES, (int(post),)).fetchall()
            ]

    @contextmanager
    def trouble(self, trouble: Trouble) -> Iterator[None]:
        self.network.switch_on(**FAULTS[trouble])
        try:
            yield
        finally:
            self.network.switch_off()
        if trouble == "stream_closes":
            # X takes a moment to see that one is gone, and allows no second one beside it.
            assert eventually(lambda: not self.network.is_streaming(), SECONDS)

    def _post(self, author: str, text: str, photos: int, **options: Any) -> str:
        person = self.people[author]
        more: dict[str, Any] = {}
        if photos:
            more["media"] = {"media_ids": [person.photo(photo()) for _ in range(photos)]}
        if options.get("reply_to"):
            more["reply"] = {"in_reply_to_tweet_id": options["reply_to"]}
        if options.get("quotes"):
            more["quote_tweet_id"] = options["quotes"]
        post = person.post(text, **more)
        self.authors[post] = person
        return post


@contextmanager
def x_stage(directory: Path, redis_url: str) -> Iterator[Stage]:
    with fake_x(directory, redis_url) as network:
        yield XStage(network)
