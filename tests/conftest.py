"""A real Valkey, shared by all tests and emptied for each; and what takes minutes, started first."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import settings
from redis import Redis

from bot.processes import Processes
from bot.valkey import start_valkey
from tests import bluesky_network
from tests.chain import Chain
from tests.sandbox import Network, join, sandbox

OURS = ("BLUESKY_", "BOT_", "MASTODON_", "METRICS_", "REDIS_", "SANDBOX_", "SECRETS_", "WORKER_", "X_")

# A shell that runs the tests in the background has them, and all that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# An example may fall into a moment in which the machine stands still.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")

CHAIN = pytest.StashKey[Chain]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs the chain's end comes last."""
    items.sort(key=_needs_chain)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the chain, if a test will need it, before the first test."""
    if not session.config.option.collectonly and any(map(_needs_chain, session.items)):
        session.config.stash[CHAIN] = Chain(Path(tempfile.mkdtemp(prefix="chain-")))


def _needs_chain(item: pytest.Item) -> bool:
    return "chain" in getattr(item, "fixturenames", ())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the chain, if it is still under way, and remove what it made."""
    if chain := session.config.stash.get(CHAIN, None):
        chain.stop()
        shutil.rmtree(chain.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def chain(pytestconfig: pytest.Config) -> Chain:
    return pytestconfig.stash[CHAIN]


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
