"""The sandbox as a process: starting, stopping, being killed."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from bot.sandbox.errors import DataInUse, PortUnavailable
from bot.sandbox.guard import in_url
from bot.sandbox.server import bot_token, serve
from tests.sandbox import Network, client, join, sandbox


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
def test_a_signal_stops_it_without_waiting_for_the_stream_that_is_open(
    tmp_path: Path, number: signal.Signals
) -> None:
    with sandbox(tmp_path) as network:
        address = f"{network.stream}?stream=user&access_token={network.token}"
        with connect(address, proxy=None) as socket:
            network.process.send_signal(number)
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(timeout=10)
            assert network.process.wait(10) == 0
        # Told to go, not cut off: had it taken GOODBYE, the server would have complained, too.
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert not (tmp_path / "url").exists()


def test_a_busy_port_is_answered_with_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortUnavailable, match=rf"^port {port} on 127.0.0.1 is already in use; .*--port"):
            serve("127.0.0.1", port, tmp_path)


@pytest.mark.e2e
def test_a_second_sandbox_on_the_same_data_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    with sandbox(tmp_path) as network:
        sentence = rf"^another sandbox \(process {network.process.pid}\) already runs on .*--data"
        for _ in range(2):  # who is refused must not wipe out the name of who runs
            with pytest.raises(DataInUse, match=sentence):
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


def test_a_token_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("SANDBOX_TOKEN_FILE", str(tmp_path / "secret"))
    assert bot_token(tmp_path) == "from a file"
    assert not (tmp_path / "bot.token").exists()


def ask_for(network: Network, path: str, host: str) -> httpx.Response:
    return httpx.get(f"{network.url}{path}", headers={"Host": host}, trust_env=False)


@pytest.mark.e2e
def test_only_its_own_names_reach_it_so_that_no_other_page_can_act_as_its_own(tmp_path: Path) -> None:
    with sandbox(tmp_path, host="127.0.0.2") as network:
        for host in ("localhost", "LOCALHOST:8015", "127.0.0.1:80", "[::1]:8015", "[::1]", "127.0.0.2:1"):
            assert ask_for(network, "/", host).status_code == 200, host
        for host in (
            "evil.example",
            "evil.example:8015",
            "localhost.evil.example",
            "localhost:x",
            "[::2]",
            "",
        ):
            for path in ("/", "/api/v2/instance", "/page/page.js"):
                assert ask_for(network, path, host).status_code == 421, host
        refused = ask_for(network, "/", "evil.example")
        assert refused.json()["error"].startswith(
            "this sandbox does not answer to the name 'evil.example'; call"
        )
        assert "default-src 'none'" in refused.headers["Content-Security-Policy"]


@pytest.mark.e2e
def test_streams_too_are_for_its_own_names_only(tmp_path: Path) -> None:
    with sandbox(tmp_path) as network, socket.create_connection(network.address) as raw:
        address = network.stream.replace("127.0.0.1", "evil.example")
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{address}?access_token={network.token}", sock=raw, proxy=None)
        assert refused.value.response.status_code == 421
        assert b"evil.example" in refused.value.response.body


@pytest.mark.e2e
def test_a_sandbox_open_to_everyone_is_reached_by_every_name(tmp_path: Path) -> None:
    with sandbox(tmp_path, host="0.0.0.0") as network:
        assert ask_for(network, "/", "sandbox:8015").status_code == 200


def test_an_address_is_written_into_a_url_as_browsers_need_it() -> None:
    hosts = ["127.0.0.1", "0.0.0.0", "::", "::1", "fd00::2"]
    assert [in_url(host) for host in hosts] == ["127.0.0.1", "127.0.0.1", "[::1]", "[::1]", "[fd00::2]"]


@pytest.mark.e2e
def test_the_rate_limit_is_announced_and_then_kept(tmp_path: Path) -> None:
    with sandbox(tmp_path, calls=3) as network, network.bot() as bot:
        answers = [bot.get("/api/v1/notifications") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert answers[0].headers["X-RateLimit-Limit"] == "3"
    assert answers[0].headers["X-RateLimit-Reset"].endswith("Z")
    assert int(answers[3].headers["Retry-After"]) <= 300


@pytest.mark.e2e
def test_a_signal_that_comes_before_it_serves_ends_it_cleanly(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from bot.sandbox.server import serve\n"
        "serve('127.0.0.1', 0, Path(sys.argv[1]), ready=lambda _: os.kill(os.getpid(), signal.SIGTERM))"
    )

    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], timeout=30, check=False)

    assert done.returncode == 0
    assert not (tmp_path / "url").exists()
