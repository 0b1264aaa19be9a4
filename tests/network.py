"""A sandbox network as a process, and faults to switch on in it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.request import Request, urlopen

from bot.demo import UNLIMITED, start_sandbox
from bot.processes import Processes

TOKEN = "token-of-the-bot"
SECONDS = 15


class Network:
    """A sandbox network, and a bot's processes that can be started and killed."""

    def __init__(self, directory: Path, redis_url: str) -> None:
        self.processes = Processes(lambda _name, _event: None)
        environment = UNLIMITED | os.environ | {"LOG_FORMAT": "json", "REDIS_URL": redis_url}
        environment["SANDBOX_TOKEN"] = TOKEN
        self.url = start_sandbox(self.processes, directory, 0, environment)
        self.environment = environment | {"MASTODON_URL": self.url, "MASTODON_TOKEN": TOKEN}
        self._faults: list[dict[str, object]] = []

    def listen(self, **settings: str) -> None:
        self.processes.deepselfie("listener", ["listen"], self.environment | settings)

    def settle(self) -> None:
        self.processes.wait_for("listener", "stream open", SECONDS)

    def switch_on(self, **fault: object) -> None:
        """Have one more thing go wrong."""
        self._put([*self._faults, fault])

    def switch_off(self) -> None:
        """Have all go well again."""
        self._put([])

    def _put(self, faults: list[dict[str, object]]) -> None:
        request = Request(f"{self.url}/sandbox/faults", json.dumps({"faults": faults}).encode(), method="PUT")
        request.add_header("Authorization", f"Bearer {TOKEN}")
        request.add_header("Content-Type", "application/json")
        urlopen(request, timeout=SECONDS).close()
        self._faults = faults
