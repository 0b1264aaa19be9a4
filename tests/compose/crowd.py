"""People on the sandbox network who go on posting whatever happens to it, and what became of their posts."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import Counter
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from bot.sandbox.person import Person

OPENER = build_opener(ProxyHandler({}))
PEOPLE = 8
REST_SECONDS = 0.3


class Crowd:
    """Posts so many mentions with a photo a second, until it is stopped.

    Args:
        url: Where the network is published.
        photo: What everybody posts: uploaded once, and linked to.
    """

    def __init__(self, url: str, photo: Path, *, rate: float = 5) -> None:
        self._url = url
        self._pause = 1 / rate
        self._stopped = threading.Event()
        crowd = [Person(url, f"guest{secrets.token_hex(4)}") for _ in range(PEOPLE)]
        self._tokens = [str(person.client.access_token) for person in crowd]
        host = crowd[0]
        media = host.client.media(host.upload(photo))
        # As the worker reaches it.
        self._link = str(media["url"]).replace(url, "http://sandbox:8015")
        self.posts: list[str] = []
        self._threads = [
            threading.Thread(target=self._post_on, args=(n,), daemon=True) for n in range(PEOPLE)
        ]

    def __enter__(self) -> Crowd:
        self._begun = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, once every post that was begun stands."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def answers(self, seconds: float = 90) -> Counter[int]:
        """How many posts have how many answers, once all have one or the time is up."""
        deadline = time.monotonic() + seconds
        open_posts = list(self.posts)
        while open_posts and time.monotonic() < deadline:
            time.sleep(REST_SECONDS)
            open_posts = [post for post in open_posts if not self._count(post)]
        return Counter(self._count(post) for post in self.posts)

    def _count(self, post: str) -> int:
        # Nobody may ask too often.
        token = self._tokens[int(post) % PEOPLE]
        thread = self._call("GET", f"/api/v1/statuses/{post}/context", token)
        return sum(reply["account"]["username"] == "deepselfie" for reply in thread["descendants"])

    def _post_on(self, person: int) -> None:
        number = 0
        while not self._stopped.wait(max(0.0, self._due(person, number) - time.monotonic())):
            body = {"status": f"@deepselfie look {self._link} number {number} of {person}"}
            # With the key, trying again after a lost answer posts nothing twice.
            answer = self._call(
                "POST", "/api/v1/statuses", self._tokens[person], body, key=f"{person}-{number}"
            )
            self.posts.append(str(answer["id"]))
            number += 1

    def _due(self, person: int, number: int) -> float:
        return self._begun + (number * PEOPLE + person) * self._pause

    def _call(self, method: str, path: str, token: str, body: object = None, key: str = "") -> Any:
        """Try until it succeeds."""
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        data = json.dumps(body).encode() if body else None
        last: Exception | None = None
        for _ in range(200):
            try:
                with OPENER.open(
                    Request(self._url + path, data, headers, method=method), timeout=10
                ) as answer:
                    return json.load(answer)
            except (OSError, HTTPException) as error:
                last = error
                time.sleep(REST_SECONDS)
        raise AssertionError(f"{method} {path} has not succeeded for a minute: {last}")
