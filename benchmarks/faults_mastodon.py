"""Mastodon in benchmarks.faults: the sandbox network, whose own database tells the truth."""

from __future__ import annotations

import http.client
import json
import secrets
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.faults_fleet import Fleet, clean_environment
from benchmarks.faults_network import Answered
from benchmarks.faults_people import call, free_port, post_all
from benchmarks.faults_plan import LOGIN, MENTIONS, POST, STREAM, THREAD, Fault
from bot.sandbox.accounts import BOT
from bot.sandbox.person import Person
from bot.sandbox.store import ID_BITS_BELOW_TIME

PEOPLE = 50

# Every post that is not the bot's own is a mention here.
ANSWERS = """
SELECT mentions.id, min(replies.id), count(replies.id) FROM statuses AS mentions
LEFT JOIN statuses AS replies ON replies.in_reply_to = mentions.id AND replies.author = :bot
WHERE mentions.author != :bot GROUP BY mentions.id
"""


# Where the plan's faults strike here.
ENDPOINTS = {
    POST: "POST /api/v1/statuses",
    MENTIONS: "GET /api/v1/notifications",
    THREAD: "GET /api/v1/statuses/:id/context",
    STREAM: "GET /api/v1/streaming",
    LOGIN: "GET /api/v1/accounts/verify_credentials",
}


class Mastodon:
    """The sandbox, seen from outside of the bot.

    Args:
        fleet: Where its process goes.
        directory: Where its data go.
    """

    def __init__(self, fleet: Fleet, directory: Path) -> None:
        self._token = secrets.token_urlsafe()
        port, data = free_port(), directory / "sandbox"
        url = f"http://127.0.0.1:{port}"
        arguments = ["sandbox", "--port", str(port), "--data", str(data), "--calls", "1000000000"]
        fleet.deepselfie("sandbox", arguments, clean_environment() | {"SANDBOX_TOKEN": self._token})
        fleet.wait_for("sandbox", "listening")
        self.environment = {"MASTODON_URL": url, "MASTODON_TOKEN": self._token}
        self._address = urlsplit(url).netloc
        self._database = data / "sandbox.sqlite3"
        self._tokens = [_join(url, f"guest{number}") for number in range(PEOPLE)]

    def switch(self, faults: Sequence[Fault]) -> None:
        """Let these faults strike, and no others.

        Raises:
            OSError, http.client.HTTPException: The network is away.
        """
        translated = [fault | {"endpoint": ENDPOINTS[fault["endpoint"]]} for fault in faults]
        body = json.dumps({"faults": translated})
        status, answer = call(self._address, "PUT", "/sandbox/faults", self._token, body)
        if status != 200:
            raise ValueError(f"the sandbox refuses faults: {answer!r}")

    def post(self, texts: Sequence[str], rate: float) -> list[threading.Thread]:
        """Have people post these texts, each once, so many a second; the threads end when all are posted."""
        return post_all(texts, rate, self._is_posted)

    def answers(self) -> list[Answered]:
        """Every mention that stands in the network."""
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=10)) as database:
            (bot,) = database.execute("SELECT id FROM people WHERE username = ?", (BOT,)).fetchone()
            rows = database.execute(ANSWERS, {"bot": bot}).fetchall()
        return [
            Answered(f"mastodon:{mention}", count, _seconds(reply) - _seconds(mention) if count else None)
            for mention, reply, count in rows
        ]

    def _is_posted(self, number: int, text: str) -> bool:
        """Try once. A lost answer is looked up in the database, so that nobody mentions the bot twice."""
        token, body = self._tokens[number % PEOPLE], json.dumps({"status": text})
        try:
            status, _ = call(self._address, "POST", "/api/v1/statuses", token, body)
        except (OSError, http.client.HTTPException):
            status = 0
        return status == 200 or (status != 429 and self._stands(text))

    def _stands(self, text: str) -> bool:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=10)) as database:
            return bool(database.execute("SELECT 1 FROM statuses WHERE text = ?", (text,)).fetchone())


def _join(url: str, name: str) -> str:
    """Let a person join, and return their token."""
    client = Person(url, name).client
    client.session.close()
    return str(client.access_token)


def _seconds(number: int) -> float:
    """When an id was made."""
    return (number >> ID_BITS_BELOW_TIME) / 1000
