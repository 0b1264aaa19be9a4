"""The fake X as a process, people on it, and the bot's account there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from bot.networks.accounts import XAccount
from bot.networks.x import X, connect
from bot.processes import Processes
from bot.settings import load

TOKEN = "token-of-the-bot-on-x"
SECONDS = 15
STREAM = "GET /2/tweets/search/stream"
POST = "POST /2/tweets"


class FakeX:
    """A fake X that runs."""

    def __init__(self, data: Path, redis_url: str, port: int = 0) -> None:
        self.processes = Processes(lambda _name, _event: None)
        self.data = data
        self.redis_url = redis_url
        self.redis = Redis.from_url(redis_url)
        self.start(port)
        self._faults: list[dict[str, Any]] = []
        self.http = httpx.Client(base_url=self.url, trust_env=False)

    def start(self, port: int) -> None:
        arguments = ["--port", str(port), "--data", str(self.data), "--token", TOKEN, "--keep-alive", "0.2"]
        self.processes.start("x", [sys.executable, "-m", "tests.fake_x", *arguments], os.environ)
        self.url = str(self.processes.wait_for("x", "listening", SECONDS)["url"])

    def restart(self) -> None:
        """Crash, and come back at the same address."""
        self.processes.kill("x")
        self.start(int(self.url.rpartition(":")[2]))

    def settings(self, **more: str) -> dict[str, str]:
        names = ("CONSUMER_KEY", "CONSUMER_SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_SECRET", "BEARER_TOKEN")
        secrets = {f"X_{name}": TOKEN for name in names}
        rich = {"X_DAILY_BUDGET": "1000", "X_MONTHLY_BUDGET": "1000"}
        return {**secrets, **rich, "X_URL": self.url, "REDIS_URL": self.redis_url, **more}

    def bot(self, **more: str) -> X:
        return connect(load(XAccount, self.settings(**more)), self.redis)

    def join(self, name: str, **more: Any) -> Person:
        answer = self.http.post("/sandbox/people", json={"username": name, **more})
        return Person(self, answer.json()["access_token"])

    def switch_on(self, **fault: Any) -> None:
        """Have one more thing go wrong."""
        self._put([*self._faults, fault])

    def switch_off(self) -> None:
        """Have all go well again."""
        self._put([])

    def connects(self) -> list[float]:
        found: list[float] = self.http.get("/sandbox/connects").json()["connects"]
        return found

    def is_streaming(self) -> bool:
        return bool(self.http.get("/sandbox/connects").json()["open"])

    def picture(self, post: str) -> tuple[bytes, str, str]:
        """Bytes, media type and description of the picture of a post."""
        import sqlite3

        with sqlite3.connect(self.data / "x.sqlite3") as database:
            query = "SELECT content, kind, alt_text FROM media WHERE post = ?"
            found: tuple[bytes, str, str] = database.execute(query, (int(post),)).fetchone()
        database.close()
        return found

    def _put(self, faults: list[dict[str, Any]]) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self.http.put("/sandbox/faults", json={"faults": faults}, headers=headers).raise_for_status()
        self._faults = faults


class Person:
    """Somebody on the fake X."""

    def __init__(self, network: FakeX, token: str) -> None:
        self._network = network
        self._headers = {"Authorization": f"Bearer {token}"}

    def post(self, text: str, **more: Any) -> str:
        """Post something, and return its id."""
        answer = self._network.http.post("/sandbox/posts", json={"text": text, **more}, headers=self._headers)
        return str(answer.raise_for_status().json()["data"]["id"])

    def reply(self, text: str, to: str, **more: Any) -> str:
        return self.post(text, reply={"in_reply_to_tweet_id": to}, **more)

    def photo(self, content: bytes = b"a photo") -> str:
        """Upload a photo, and return its id."""
        answer = self._network.http.post(
            "/2/media/upload",
            data={"media_category": "tweet_image"},
            files={"media": ("a.jpg", content, "image/jpeg")},
            headers=self._headers,
        )
        return str(answer.raise_for_status().json()["data"]["id"])

    def delete(self, post: str) -> None:
        self._network.http.delete(f"/2/tweets/{post}", headers=self._headers).raise_for_status()

    def posts(self) -> list[str]:
        """The texts of this person's posts, youngest first."""
        me = self._network.http.get("/2/users/me", headers=self._headers).json()["data"]["id"]
        answer = self._network.http.get(f"/2/users/{me}/tweets", headers=self._headers).json()
        return [post["text"] for post in answer.get("data", [])]


@contextmanager
def fake_x(data: Path, redis_url: str) -> Iterator[FakeX]:
    """Run a fake X as a process of its own."""
    network = FakeX(data, redis_url)
    try:
        yield network
    finally:
        network.redis.close()
        network.http.close()
        network.processes.stop()
