"""Does to the bot of benchmarks.faults what was planned, when it is time."""

from __future__ import annotations

import contextlib
import http.client
import signal
import threading
import time
from collections.abc import Sequence

from benchmarks.faults_fleet import Fleet
from benchmarks.faults_network import Network
from benchmarks.faults_plan import Action, Fault


class Director:
    """Does what was planned, when it is time.

    Args:
        fleet: To which processes.
        network: To which network.
        actions: What, in order.
    """

    def __init__(self, fleet: Fleet, network: Network, actions: Sequence[Action]) -> None:
        self._fleet = fleet
        self._network = network
        self._actions = actions
        self._weather: Sequence[Fault] = ()
        self._weather_number = 0
        self._over = threading.Event()
        self.kills = 0

    def start(self) -> list[threading.Thread]:
        """Begin; the first thread ends when all is done."""
        threads = [threading.Thread(target=work, daemon=True) for work in (self._act, self._keep_weather)]
        for thread in threads:
            thread.start()
        return threads

    def stop(self) -> None:
        """Leave it at that."""
        self._over.set()

    def _act(self) -> None:
        begin = time.monotonic()
        # Whoever is stopped goes on later, which is one more thing to do in time.
        wakes = [Action(a.at + a.seconds, "wake", a.target) for a in self._actions if a.kind == "stop"]
        for action in sorted([*self._actions, *wakes], key=lambda action: action.at):
            if self._over.wait(max(0.0, begin + action.at - time.monotonic())):
                return
            self._do(action)

    def _do(self, action: Action) -> None:
        match action.kind:
            case "kill":
                self._fleet.kill(action.target, action.seconds, action.torn)
                self.kills += 1
            case "stop":
                self._fleet.signal(action.target, signal.SIGSTOP)
            case "wake":
                self._fleet.signal(action.target, signal.SIGCONT)
            case "weather":
                self._weather = action.faults
                self._weather_number += 1

    def _keep_weather(self) -> None:
        """Switch the faults, again each time that the sandbox has come back without them."""
        there: tuple[int, int] | None = None
        while not self._over.wait(0.1):
            wanted = self._weather_number, self._fleet.starts("sandbox")
            if wanted != there:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    self._network.switch(self._weather)
                    there = wanted
