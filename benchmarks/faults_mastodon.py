"""Mastodon in benchmarks.faults: the sandbox network, whose own database tells the truth."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.faults_fleet import Fleet, clean_environment
from benchmarks.faults_network import Answered
from benchmarks.faults_plan import LOGIN, MENTIONS, POST, STREAM, THREAD, Fault
from bot.sandbox.accounts import BOT
from bot.sandbox.person import Person
from bot.sandbox.store import ID_BITS_BELOW_TIME

PEOPLE = 50
POSTERS = 8
TIMEOUT_SECONDS = 30
REST_SECONDS = 0.2

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
        port, data = _free_port(), directory / "sandbox"
        url = f"http://127.0.0.1:{port}"
        arguments = ["sandbox", "--port", str(port), "--data", str(data), "--calls", "1000000000"]
        fleet.deepselfie("sandbox", arguments, clean_environment() | {"SANDBOX_TOKEN": self._token})
        fleet.wait_for("sandbox", "listening")
        self.environment = {"MASTODON_URL": url, "MASTODON_TOKEN": self._token}
        self._address = urlsplit(url).netloc
        self._database = data / "sandbox.sqlite3"
        self._tokens = [_join(url, f"guest{number}") for number in range(PEOPLE)]
        self._lock = threading.Lock()

    def switch(self, faults: Sequence[Fault]) -> None:
        """Let these faults strike, and no others.

        Raises:
            OSError, http.client.HTTPException: The network is away.
        """
        with closing(self._connection()) as connection:
            translated = [fault | {"endpoint": ENDPOINTS[fault["endpoint"]]} for fault in faults]
            body = json.dumps({"faults": translated})
            status, answer = _call(connection, "PUT", "/sandbox/faults", self._token, body)
        if status != 200:
            raise ValueError(f"the sandbox refuses faults: {answer!r}")

    def post(self, texts: Sequence[str], rate: float) -> list[threading.Thread]:
        """Have people post these texts, each once, so many a second; the threads end when all are posted."""
        begin = time.monotonic()
        numbered = iter(enumerate(texts))
        threads = [
            threading.Thread(target=self._post_some, args=(numbered, begin, rate), daemon=True)
            for _ in range(POSTERS)
        ]
        for thread in threads:
            thread.start()
        return threads

    def answers(self) -> list[Answered]:
        """Every mention that stands in the network."""
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=10)) as database:
            (bot,) = database.execute("SELECT id FROM people WHERE username = ?", (BOT,)).fetchone()
            rows = database.execute(ANSWERS, {"bot": bot}).fetchall()
        return [
            Answered(f"mastodon:{mention}", count, _seconds(reply) - _seconds(mention) if count else None)
            for mention, reply, count in rows
        ]

    def _post_some(self, numbered: Iterator[tuple[int, str]], begin: float, rate: float) -> None:
        with closing(self._connection()) as connection:
            while True:
                with self._lock:
                    number, text = next(numbered, (None, ""))
                if number is None:
                    return
                time.sleep(max(0.0, begin + number / rate - time.monotonic()))
                while not self._is_posted(connection, number, text):
                    connection.close()
                    time.sleep(REST_SECONDS)

    def _is_posted(self, connection: http.client.HTTPConnection, number: int, text: str) -> bool:
        """Try once. A lost answer is looked up in the database, so that nobody mentions the bot twice."""
        token = self._tokens[number % PEOPLE]
        try:
            status, _ = _call(connection, "POST", "/api/v1/statuses", token, json.dumps({"status": text}))
        except (OSError, http.client.HTTPException):
            status = 0
        return status == 200 or (status != 429 and self._stands(text))

    def _stands(self, text: str) -> bool:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=10)) as database:
            return bool(database.execute("SELECT 1 FROM statuses WHERE text = ?", (text,)).fetchone())

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address, timeout=TIMEOUT_SECONDS)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _join(url: str, name: str) -> str:
    """Let a person join, and return their token."""
    client = Person(url, name).client
    client.session.close()
    return str(client.access_token)


def _call(
    connection: http.client.HTTPConnection, method: str, path: str, token: str, body: str
) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def _seconds(number: int) -> float:
    """When an id was made."""
    return (number >> ID_BITS_BELOW_TIME) / 1000
