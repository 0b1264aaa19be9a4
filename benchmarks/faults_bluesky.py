"""Bluesky in benchmarks.faults: a real network, which is left alone, and a proxy between it and the bot.

The proxy is what is killed, and where the faults strike. The records of the bot's own account tell the truth;
when a reply was first seen among them is when it was there, to the second.
"""

from __future__ import annotations

import atexit
import json
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults_fleet import Fleet, clean_environment
from benchmarks.faults_network import Answered
from benchmarks.faults_people import free_port, post_all
from benchmarks.faults_plan import LOGIN, MENTIONS, POST, THREAD, Fault
from tests import bluesky_network
from tests.bluesky_network import URL, Person, card

PEOPLE = 8
LISTENING = "listening"

# Where the plan's faults strike here. There are neither idempotency keys nor a stream.
CALLS = {
    POST: "com.atproto.repo.putRecord",
    MENTIONS: "app.bsky.notification.listNotifications",
    THREAD: "com.atproto.repo.getRecord",
    LOGIN: "com.atproto.server.getSession",
}


class Bluesky:
    """The network, seen from outside of the bot.

    Args:
        fleet: Where the proxy's process goes.
        directory: Where the proxy finds its faults.

    Raises:
        NoNetwork: It cannot be had on this machine.
    """

    def __init__(self, fleet: Fleet, directory: Path) -> None:
        if bluesky_network.start(directory):
            atexit.register(bluesky_network.stop)
        self._faults = directory / "faults.json"
        self.switch([])
        port = free_port()
        arguments = ["--port", str(port), "--upstream", URL, "--faults", str(self._faults)]
        fleet.start(
            "sandbox", [sys.executable, "-m", "benchmarks.faults_proxy", *arguments], clean_environment()
        )
        fleet.wait_for("sandbox", LISTENING)
        self._bot = Person("bot")
        self._people = [Person(f"guest{number}") for number in range(PEOPLE)]
        self.environment = self._bot.settings(f"http://127.0.0.1:{port}")
        self._posted: dict[str, float] = {}
        self._seen: dict[str, float] = {}

    def switch(self, faults: Sequence[Fault]) -> None:
        """Let these faults strike, and no others."""
        known = [
            fault | {"endpoint": CALLS[fault["endpoint"]]}
            for fault in faults
            if fault["endpoint"] in CALLS and not fault["kind"].startswith("idempotency")
        ]
        draft = self._faults.with_suffix(".part")
        draft.write_text(json.dumps(known))
        draft.replace(self._faults)

    def post(self, texts: Sequence[str], rate: float) -> list[threading.Thread]:
        """Have people post these texts, each once, so many a second; the threads end when all are posted."""
        return post_all(texts, rate, self._is_posted)

    def answers(self) -> list[Answered]:
        """Every mention that stands in the network."""
        replies, now = self._bot.answers(), time.monotonic()
        for mention in replies:
            self._seen.setdefault(mention, now)
        return [
            Answered(
                f"bluesky:{mention}",
                replies[mention],
                self._seen[mention] - at if mention in replies else None,
            )
            for mention, at in list(self._posted.items())
        ]

    def _is_posted(self, number: int, text: str) -> bool:
        # "@deepselfie look ADDRESS number N"
        _, _, address, *_ = text.split()
        at = time.monotonic()
        uri = self._people[number % PEOPLE].post(text.partition(" ")[2], self._bot, embed=card(address))
        self._posted[uri] = at
        return True
