"""A real Valkey, shared by all tests and emptied for each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from bot.processes import Processes
from bot.valkey import start_valkey
from tests import bluesky_network
from tests.sandbox import Network, join, sandbox

OURS = ("BLUESKY_", "BOT_", "MASTODON_", "REDIS_", "SANDBOX_", "WORKER_", "X_")


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> None:
    """Keep a developer's own bot and Redis out of the tests."""
    for name in list(os.environ):
        if name.startswith(OURS) or name == "LOG_FORMAT":
            del os.environ[name]


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    processes = Processes(lambda _name, _event: None)
    try:
        yield start_valkey(processes, tmp_path_factory.mktemp("valkey"))
    finally:
        processes.stop()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def bluesky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A real Bluesky network, where one can be had."""
    try:
        started = bluesky_network.start(tmp_path_factory.mktemp("bluesky"))
    except bluesky_network.NoNetwork as error:
        pytest.skip(str(error))
    yield
    if started:
        bluesky_network.stop()


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parent.parent


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A sandbox network for the tests of one module."""
    with sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture(scope="module")
def ann(network: Network) -> Iterator[httpx.Client]:
    """A person on that network."""
    with join(network, "ann") as person:
        yield person
