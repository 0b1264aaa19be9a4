"""Whether processes are healthy and ready, when what they need goes away."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.processes import Processes
from bot.valkey import start_valkey
from tests.monitored import ask, free_port
from tests.operating import run
from tests.sandbox import Network
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

READY = {"listen": "stream open", "work": "ready", "respond": "ready"}
COMMANDS = list(READY)


@dataclass
class Watched:
    """Three processes with a Redis of their own."""

    processes: Processes
    ports: dict[str, int]
    redis_directory: Path

    def check(self, command: str, path: str) -> dict[str, Any]:
        found: dict[str, Any] = ask(self.ports[command], path).json()
        return found

    def all_turn(self) -> bool:
        """Whether each process's loop turns from now on, while it is watched."""
        begin = time.monotonic()

        def have_turned() -> bool:
            loops = [self.check(command, "/healthz")["checks"]["loop"]["value"] for command in COMMANDS]
            return all(loop["seconds"] + 0.5 < time.monotonic() - begin for loop in loops)

        return eventually(have_turned, 25)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, network: Network) -> Iterator[Watched]:
    processes = Processes(lambda _name, _event: None)
    directory = tmp_path_factory.mktemp("redis")
    first = free_port(in_a_row=len(COMMANDS))
    ports = {command: first + place for place, command in enumerate(COMMANDS)}
    environment = {
        "LOG_FORMAT": "json",
        "REDIS_URL": start_valkey(processes, directory),
        "MASTODON_URL": network.url,
        "MASTODON_TOKEN": network.token,
    }
    try:
        for command, port in ports.items():
            processes.deepselfie(command, [command], os.environ | environment | {"METRICS_PORT": str(port)})
        for command, event in READY.items():
            processes.wait_for(command, event, 30)
        yield Watched(processes, ports, directory)
    finally:
        processes.stop()


def test_a_loop_that_has_nothing_to_do_turns_all_the_same(watched: Watched) -> None:
    assert watched.all_turn()


@pytest.fixture
def without_redis(watched: Watched) -> Watched:
    socket = watched.redis_directory / "redis"
    if socket.exists():
        watched.processes.kill("redis")
        socket.unlink()
    return watched


@pytest.mark.parametrize("command", COMMANDS)
def test_without_redis_a_process_is_not_ready(without_redis: Watched, command: str) -> None:
    ready = without_redis.check(command, "/readyz")

    assert not ready["ok"]
    assert not ready["checks"].pop("redis")["ok"]
    assert all(check["ok"] for check in ready["checks"].values())


def test_without_redis_all_are_healthy_nevertheless(without_redis: Watched) -> None:
    assert without_redis.all_turn()
    assert all(without_redis.check(command, "/healthz")["ok"] for command in COMMANDS)


def test_without_redis_a_scrape_says_that_and_is_no_error(without_redis: Watched) -> None:
    answer = ask(without_redis.ports["listen"], "/metrics")

    assert answer.status_code == 200
    assert "deepselfie_redis_up 0.0" in answer.text
    assert "deepselfie_mentions_open" not in answer.text


def test_redis_comes_back_and_so_do_they(without_redis: Watched) -> None:
    watched = without_redis
    start_valkey(watched.processes, watched.redis_directory)

    assert eventually(lambda: all(watched.check(each, "/readyz")["ok"] for each in COMMANDS), 20)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_port_that_is_taken_ends_a_process_with_a_sentence(
    redis_url: str, network: Network, command: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        bot = {"REDIS_URL": redis_url, "MASTODON_URL": network.url, "MASTODON_TOKEN": network.token}

        done = run(command, environment=bot | {"METRICS_PORT": str(port)})

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"deepselfie: METRICS_PORT is {port}, and 127.0.0.1:{port} cannot be opened (Address already in use)"
    )
