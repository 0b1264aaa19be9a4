"""The network in benchmarks.faults, seen from outside of the bot: its people, its weather, and the truth.

A network joins with a module that has a class like faults_mastodon.Mastodon, and a line in NETWORKS. Where a
network cannot have some fault, its `switch` leaves that one out.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

from benchmarks.faults_fleet import Fleet
from benchmarks.faults_plan import Fault

# Module and class, which is made with the fleet and the run's directory.
NETWORKS = {
    "mastodon": "benchmarks.faults_mastodon:Mastodon",
    "x": "benchmarks.faults_x:X",
    "bluesky": "benchmarks.faults_bluesky:Bluesky",
}


@dataclass(frozen=True)
class Answered:
    """What the network knows of one mention."""

    key: str
    """As the ledger calls it."""
    replies: int
    seconds: float | None
    """From the mention to its first reply; None if there is none."""


class Network(Protocol):
    """A network whose server is a process of the fleet, called "sandbox"; it is open once this is made."""

    environment: Mapping[str, str]
    """The settings with which the bot finds its account."""

    def switch(self, faults: Sequence[Fault]) -> None:
        """Let these faults strike, and no others.

        Raises:
            OSError, http.client.HTTPException: The network is away.
        """

    def post(self, texts: Sequence[str], rate: float) -> list[threading.Thread]:
        """Have people post these texts, each once, so many a second; the threads end when all are posted."""

    def answers(self) -> list[Answered]:
        """Every mention that stands in the network."""


def open_network(name: str, fleet: Fleet, directory: Path) -> Network:
    """Start a network's server, and let people join."""
    module, _, kind = NETWORKS[name].partition(":")
    network: Network = getattr(import_module(module), kind)(fleet, directory)
    return network
