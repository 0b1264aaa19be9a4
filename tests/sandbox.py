"""The sandbox network as a process of its own, and clients to talk to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

SERVE = """
import pathlib, sys
from bot.sandbox.server import serve
data, port, calls, host, dialect = sys.argv[1:]
serve(host, int(port), pathlib.Path(data), calls=int(calls), dialect=dialect)
"""


@dataclass(frozen=True)
class Network:
    """A sandbox that runs."""

    url: str
    data: Path
    process: subprocess.Popen[bytes]

    @property
    def stream(self) -> str:
        return f"ws{self.url.removeprefix('http')}/api/v1/streaming"

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    @property
    def token(self) -> str:
        return (self.data / "bot.token").read_text().strip()

    def bot(self) -> httpx.Client:
        return client(self.url, self.token)


@contextmanager
def sandbox(
    data: Path, *, port: int = 0, calls: int = 7500, host: str = "127.0.0.1", dialect: str = "mastodon"
) -> Iterator[Network]:
    """Run a sandbox as a process of its own; it must have nothing to complain about."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")}
    (data / "url").unlink(missing_ok=True)
    arguments = [sys.executable, "-W", "error", "-c", SERVE, str(data), str(port), str(calls), host, dialect]
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE) as process:
        try:
            yield Network(_url(data, process), data, process)
        finally:
            process.kill()  # at once; stopping it politely has a test of its own
            assert process.stderr is not None
            assert process.stderr.read() == b""


def client(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False)


def join(network: Network, name: str) -> httpx.Client:
    """Let a person join, and return a client that speaks for them."""
    answer = httpx.post(f"{network.url}/sandbox/people", json={"username": name}, trust_env=False)
    return client(network.url, answer.json()["access_token"])


def _url(data: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 10
    while not (data / "url").exists():
        assert process.poll() is None, "the sandbox ended before it listened"
        assert time.monotonic() < deadline, "the sandbox did not listen within 10 s"
        time.sleep(0.01)
    return (data / "url").read_text()
