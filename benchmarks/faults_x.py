"""X in benchmarks.faults: the fake X, whose own database tells the truth."""

from __future__ import annotations

import http.client
import json
import secrets
import sqlite3
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.faults_fleet import Fleet, clean_environment
from benchmarks.faults_network import Answered
from benchmarks.faults_people import call, free_port, post_all
from benchmarks.faults_plan import LOGIN, MENTIONS, POST, STREAM, THREAD, Fault
from tests.fake_x_http import BOT
from tests.fake_x_store import BITS_BELOW_TIME

PEOPLE = 50
LONGEST_LAG = 2.0

# Every post that is not the bot's own is a mention here.
ANSWERS = """
SELECT mentions.id, min(replies.id), count(replies.id) FROM posts AS mentions
LEFT JOIN posts AS replies ON replies.reply_to = mentions.id AND replies.author = :bot
WHERE mentions.author != :bot GROUP BY mentions.id
"""

# Where the plan's faults strike here.
ENDPOINTS = {
    POST: "POST /2/tweets",
    MENTIONS: "GET /2/users/:id/mentions",
    THREAD: "GET /2/users/:id/tweets",
    STREAM: "GET /2/tweets/search/stream",
    LOGIN: "GET /2/users/me",
}
# X knows no idempotency keys. In their place: some replies are taken for what was posted before, and what is
# posted is not shown at once, but before the bot's quarantine is over.
IN_PLACE: dict[str, Fault] = {
    "idempotency_ignored": {"endpoint": POST, "kind": "duplicate", "share": 0.1, "seed": 1},
    "idempotency_raced": {"endpoint": THREAD, "kind": "lags", "seconds": LONGEST_LAG},
}

SECRETS = ("CONSUMER_KEY", "CONSUMER_SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_SECRET", "BEARER_TOKEN")
RICH = "1000000"


class X:
    """The fake X, seen from outside of the bot.

    Args:
        fleet: Where its process goes.
        directory: Where its data go.
    """

    def __init__(self, fleet: Fleet, directory: Path) -> None:
        self._token = secrets.token_urlsafe()
        port, data = free_port(), directory / "x"
        arguments = ["--port", str(port), "--data", str(data), "--token", self._token]
        fleet.start("sandbox", [sys.executable, "-m", "tests.fake_x", *arguments], clean_environment())
        fleet.wait_for("sandbox", "listening")
        self._address = f"127.0.0.1:{port}"
        self.environment = {f"X_{name}": self._token for name in SECRETS} | {
            "X_URL": f"http://{self._address}",
            "X_DAILY_BUDGET": RICH,
            "X_MONTHLY_BUDGET": RICH,
        }
        self._database = data / "x.sqlite3"
        self._tokens = [self._join(f"guest{number}") for number in range(PEOPLE)]

    def switch(self, faults: Sequence[Fault]) -> None:
        """Let these faults strike, and no others.

        Raises:
            OSError, http.client.HTTPException: The network is away.
        """
        body = json.dumps({"faults": [_here(fault) for fault in faults]})
        status, answer = call(self._address, "PUT", "/sandbox/faults", self._token, body)
        if status != 200:
            raise ValueError(f"the fake X refuses faults: {answer!r}")

    def post(self, texts: Sequence[str], rate: float) -> list[threading.Thread]:
        """Have people post these texts, each once, so many a second; the threads end when all are posted."""
        return post_all(texts, rate, self._is_posted)

    def answers(self) -> list[Answered]:
        """Every mention that stands in the network."""
        [(bot,)] = self._rows("SELECT id FROM people WHERE username = :name", name=BOT)
        return [
            Answered(f"x:{mention}", count, _seconds(reply) - _seconds(mention) if count else None)
            for mention, reply, count in self._rows(ANSWERS, bot=bot)
        ]

    def _is_posted(self, number: int, text: str) -> bool:
        """Try once. A lost answer is looked up in the database, so that nobody mentions the bot twice."""
        token, body = self._tokens[number % PEOPLE], json.dumps({"text": text})
        try:
            status, _ = call(self._address, "POST", "/sandbox/posts", token, body)
        except (OSError, http.client.HTTPException):
            status = 0
        return status == 201 or bool(self._rows("SELECT 1 FROM posts WHERE text = :text", text=text))

    def _rows(self, query: str, **values: object) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute(query, values).fetchall()

    def _join(self, name: str) -> str:
        """Let a person join, and return their token."""
        _, answer = call(self._address, "POST", "/sandbox/people", "", json.dumps({"username": name}))
        return str(json.loads(answer)["access_token"])


def _here(fault: Fault) -> Fault:
    """A fault as the fake X knows it."""
    known = IN_PLACE.get(fault["kind"], fault)
    return known | {"endpoint": ENDPOINTS[known["endpoint"]]}


def _seconds(number: int) -> float:
    """When an id was made."""
    return (number >> BITS_BELOW_TIME) / 1000
