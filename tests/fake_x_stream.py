"""The fake X's filtered stream: one connection, rules, events, signs of life."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from tests.fake_x_faults import STREAM, TYPES, Faults, Problem
from tests.fake_x_objects import Query, find, page, references
from tests.fake_x_store import MENTION, Row, Store

LOOK_SECONDS = 0.05
LIMIT = "This stream is currently at the maximum allowed connection limit."
GARBAGE = [
    b"null",
    b"[]",
    b'{"data": null}',
    b'{"data": {"id": [], "text": 7}, "matching_rules": 3, "includes": "none"}',
    b"\xff\xfe{",
    b'{"data": ' * 9 + b"}",
]


class Stream:
    """What goes over the one connection there may be."""

    def __init__(self, store: Store, faults: Faults, keep_alive: float, url: Callable[[], str]) -> None:
        self._store = store
        self._faults = faults
        self._keep_alive = keep_alive
        self._url = url
        self._waiting: SimpleQueue[int] | None = None
        self.connects: list[float] = []
        """When the stream was opened, in seconds since 1970; attempts that were refused count too."""

    @property
    def is_open(self) -> bool:
        return self._waiting is not None

    def deliver(self, post: int) -> None:
        """Send a new post down the stream, if there is one."""
        if self._waiting:
            self._waiting.put(post)

    def serve(self, connection: socket.socket, query: Query) -> None:
        """Write to one connection until it ends.

        Raises:
            Problem: Another connection has the stream.
        """
        with self._store.lock:
            if self._waiting:
                problem = {"type": f"{TYPES}streaming-connection", "connection_issue": "TooManyConnections"}
                raise Problem(429, "ConnectionException", LIMIT, **problem)
            waiting = self._waiting = SimpleQueue[int]()
        with suppress(OSError):
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            if not self._faults.draw(STREAM, "stream_closes", "now"):
                self._write(connection, query, waiting)
            connection.sendall(b"0\r\n\r\n")
        self._waiting = None

    def _write(self, connection: socket.socket, query: Query, waiting: SimpleQueue[int]) -> None:
        alive = time.monotonic()
        while not _is_closed(connection):
            if fault := self._faults.draw(STREAM, "stream_silent"):
                time.sleep(fault.seconds)
            try:
                post = waiting.get(timeout=LOOK_SECONDS)
            except Empty:
                if time.monotonic() - alive >= self._keep_alive:
                    alive = time.monotonic()
                    _send(connection, b"\r\n")
                continue
            posts = [post]
            if fault := self._faults.draw(STREAM, "stream_reorders"):
                with suppress(Empty):
                    posts.insert(0, waiting.get(timeout=fault.seconds))
            for post in posts:
                if not self._event(connection, query, post):
                    return

    def _event(self, connection: socket.socket, query: Query, post: int) -> bool:
        """Send an event, well or badly; False if the stream ends with it."""
        row = find(self._store, post)
        if not row or not (rules := self._matching(row)):
            return True
        event = page(self._store, [row], query, self._url())
        event["data"] = event["data"][0]
        untagged = self._faults.draw(STREAM, "stream_untagged")
        event["matching_rules"] = [
            {"id": str(rule["id"])} | ({} if untagged else {"tag": rule["tag"]}) for rule in rules
        ]
        line = json.dumps(event).encode() + b"\r\n"
        if self._faults.draw(STREAM, "stream_garbage"):
            for garbage in GARBAGE:
                _send(connection, garbage + b"\r\n")
        if self._faults.draw(STREAM, "stream_cut"):
            _send(connection, line[: len(line) // 2])
            connection.shutdown(socket.SHUT_RDWR)
            return False
        # Drawn beforehand: whoever has heard the event may switch on a fault for the next one.
        closes = self._faults.draw(STREAM, "stream_closes")
        for _ in range(2 if self._faults.draw(STREAM, "stream_repeats") else 1):
            _send(connection, line)
        return not closes

    def _matching(self, post: Row) -> list[Row]:
        author = self._store.one("SELECT username FROM people WHERE id = ?", post["author"])[0]
        rules = self._store.rows("SELECT * FROM rules")
        return [rule for rule in rules if _matches(rule["value"], post, author)]


def _matches(rule: str, post: Row, author: str) -> bool:
    """Whether a post fits a rule, of which only @name, from:name, is:retweet and - are understood."""
    names = {name.lower() for name in MENTION.findall(post["text"])}

    def fits(part: str) -> bool:
        if part.startswith("-"):
            return not fits(part[1:])
        if part == "is:retweet":
            return any(kind == "retweeted" for kind, _ in references(post))
        if part.startswith("from:"):
            return part.removeprefix("from:").lower() == author.lower()
        return part.startswith("@") and part[1:].lower() in names

    return all(map(fits, rule.split()))


def _send(connection: socket.socket, content: bytes) -> None:
    connection.sendall(f"{len(content):x}\r\n".encode() + content + b"\r\n")


def _is_closed(connection: Any) -> bool:
    readable, _, _ = select.select([connection], [], [], 0)
    try:
        return bool(readable) and not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True
