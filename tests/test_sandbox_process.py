"""The sandbox as a process: starting, stopping, being killed. Other tests borrow `sandbox` and `join`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from bot.sandbox.errors import DataInUse, PortUnavailable
from bot.sandbox.server import bot_token, serve

SERVE = """
import pathlib, sys
from bot.sandbox.server import serve
serve("127.0.0.1", int(sys.argv[2]), pathlib.Path(sys.argv[1]), calls=int(sys.argv[3]))
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
    def token(self) -> str:
        return (self.data / "bot.token").read_text().strip()

    def bot(self) -> httpx.Client:
        return client(self.url, self.token)


@contextmanager
def sandbox(data: Path, *, port: int = 0, calls: int = 7500) -> Iterator[Network]:
    """Run a sandbox as a process of its own; it must have nothing to complain about."""
    environment = {name: value for name, value in os.environ.items() if name != "SANDBOX_TOKEN"}
    (data / "url").unlink(missing_ok=True)
    arguments = [sys.executable, "-W", "error", "-c", SERVE, str(data), str(port), str(calls)]
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


@pytest.mark.e2e
def test_a_killed_sandbox_has_lost_nothing_it_answered(tmp_path: Path) -> None:
    with sandbox(tmp_path) as network, join(network, "ann") as ann:
        media = ann.post(
            "/api/v2/media", files={"file": ("a.jpg", b"\xff\xd8not really", "image/jpeg")}
        ).json()
        body = {"status": "@deepselfie look", "media_ids": [media["id"]]}
        first = ann.post("/api/v1/statuses", json=body, headers={"Idempotency-Key": "k"}).json()
        token, signature = network.token, ann.headers["Authorization"]
        network.process.kill()
        network.process.wait()
    with sandbox(tmp_path) as network, client(network.url, "") as ann, network.bot() as bot:
        ann.headers["Authorization"] = signature
        again = ann.post("/api/v1/statuses", json=body, headers={"Idempotency-Key": "k"}).json()
        assert again["id"] == first["id"]
        assert httpx.get(again["media_attachments"][0]["url"]).content == b"\xff\xd8not really"
        [told] = bot.get("/api/v1/notifications").json()
        assert (network.token, told["status"]["id"]) == (token, first["id"])
        later = ann.post("/api/v1/statuses", json={"status": "later"}).json()
        assert int(later["id"]) > max(int(first["id"]), int(told["id"]))


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_within_a_second_though_a_stream_is_open(
    tmp_path: Path, number: signal.Signals
) -> None:
    with sandbox(tmp_path) as network:
        address = f"{network.stream}?stream=user&access_token={network.token}"
        with connect(address, proxy=None):
            before = time.monotonic()
            network.process.send_signal(number)
            assert network.process.wait(5) == 0
            assert time.monotonic() - before < 1
        assert not (tmp_path / "url").exists()


def test_a_busy_port_is_answered_with_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortUnavailable, match=rf"^port {port} on 127.0.0.1 is already in use; .*--port"):
            serve("127.0.0.1", port, tmp_path)


@pytest.mark.e2e
def test_a_second_sandbox_on_the_same_data_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    with sandbox(tmp_path) as network:
        with pytest.raises(DataInUse, match=r"^another sandbox already runs on .*--data"):
            serve("127.0.0.1", 0, tmp_path)
        assert (tmp_path / "url").read_text() == network.url


def test_the_bots_token_is_made_once_and_is_for_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SANDBOX_TOKEN", raising=False)
    token = bot_token(tmp_path)
    assert len(token) > 40
    assert bot_token(tmp_path) == token
    assert (tmp_path / "bot.token").stat().st_mode & 0o777 == 0o600


def test_a_token_from_the_environment_is_used_and_not_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_TOKEN", "secret")
    assert bot_token(tmp_path) == "secret"
    assert not (tmp_path / "bot.token").exists()


@pytest.mark.e2e
def test_the_rate_limit_is_announced_and_then_kept(tmp_path: Path) -> None:
    with sandbox(tmp_path, calls=3) as network, network.bot() as bot:
        answers = [bot.get("/api/v1/notifications") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert answers[0].headers["X-RateLimit-Limit"] == "3"
    assert answers[0].headers["X-RateLimit-Reset"].endswith("Z")
    assert int(answers[3].headers["Retry-After"]) <= 300
