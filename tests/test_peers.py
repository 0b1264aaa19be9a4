"""benchmarks.peers: its arithmetic, its client, and that nobody is left out silently."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.peers_client import Refused, Request, crowd, post
from benchmarks.peers_rooms import Missing, Peer, as_body, as_form, as_tensor, probability, room

PHOTO = b"\xff\xd8 a photo \r\n\xff\xd9"


def contestant(*costs: float) -> peers.Contestant:
    return peers.Contestant(lambda _: None, lambda: 0, list(costs), [1000 / cost for cost in costs])


def test_ours_is_compared_with_the_best_peer_round_by_round() -> None:
    rows = {
        "bare": contestant(20, 20, 20),
        "ours": contestant(24, 27, 90),
        "Triton own": contestant(24, 30, 100),
        "Triton docs": contestant(60, 54, 150),
        "LitServe own": contestant(30, 30, 30),
        "LitServe docs": contestant(48, 90, 225),
    }

    found = peers.summary(rows, {"Ray Serve": "no wheel"})

    assert (found["ours_cpu_ms"], found["bare_cpu_ms"]) == (27, 20)
    assert found["ratio_own_decoder"] == pytest.approx(0.9)
    assert found["ratio_docs"] == pytest.approx(0.5)
    assert found["peers"]["Triton"]["own_decoder_cpu_ms"] == 30
    assert found["peers"]["LitServe"]["docs_per_second"] == pytest.approx(1000 / 90)
    assert found["peers"]["Ray Serve"] == {"missing": "no wheel"}


def test_a_peer_that_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"bare": contestant(20), "ours": contestant(27)}

    found = peers.summary(rows, {"BentoML": "its workers died"})
    peers.show(found | {"cores": 2})

    assert found["ratio_own_decoder"] is None
    assert "BentoML      missing: its workers died" in capsys.readouterr().out


def test_a_round_counts_time_and_processor_time_a_photo() -> None:
    meter = iter([1.0, 3.0])
    judged: list[int] = []
    row = peers.Contestant(judged.append, lambda: next(meter))

    row.go(100)

    assert judged == [100]
    assert row.cpu_ms == [20]
    assert row.per_second[0] > 100


def test_who_does_not_look_at_the_photo_is_found_out() -> None:
    check = peers._check

    check([0.3, 0.5], [0.301, 0.5], 0.002)
    with pytest.raises(AssertionError, match=r"0\.400"):
        check([0.3, 0.4], [0.301, 0.5], 0.002)


def test_each_peers_answer_is_understood() -> None:
    assert probability(b'{"good": 0.25}') == 0.25
    assert probability(b"[0.5]") == 0.5
    assert probability(b'{"outputs": [{"name": "good", "data": [0.75]}]}') == 0.75


def test_a_photo_arrives_whole_in_whatever_form_a_peer_likes() -> None:
    form, headers = as_form("photo", PHOTO)
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    parts = message_from_bytes(head + form).get_payload()
    assert isinstance(parts, list)
    [part] = parts
    assert isinstance(part, Message)
    assert part.get_payload(decode=True) == PHOTO
    assert part.get_param("name", header="Content-Disposition") == "photo"

    tensor, headers = as_tensor(PHOTO)
    size = int(headers["Inference-Header-Content-Length"])
    said = json.loads(tensor[:size])["inputs"][0]["parameters"]["binary_data_size"]
    assert said == len(tensor) - size
    assert tensor[size:] == len(PHOTO).to_bytes(4, "little") + PHOTO

    assert as_body(PHOTO)[0] == PHOTO


@pytest.fixture
def echo() -> Iterator[str]:
    """A server that answers with what it is sent, and 503 to what is empty."""

    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200 if body else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Requests) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_crowd_asks_as_often_as_it_is_told_in_turns(echo: str) -> None:
    requests = [Request(echo, body, {}) for body in (b"one", b"two")]

    answers = crowd(requests, 9, at_once=4)

    assert sorted(answers) == [b"one"] * 5 + [b"two"] * 4


def test_a_refusal_ends_the_round(echo: str) -> None:
    with pytest.raises(Refused, match="503"):
        crowd([Request(echo, b"", {})], 3, at_once=2)
    with pytest.raises(OSError, match="refused"):
        post(Request("http://127.0.0.1:1/", b"", {}))


@pytest.mark.e2e
def test_a_peer_that_cannot_be_installed_says_why(tmp_path: Path) -> None:
    peer = Peer("Nobody", "nobody", ("no requirement",), "/", as_body)

    with pytest.raises(Missing, match=r"cannot be installed: ERROR.*no requirement"):
        room(peer, tmp_path)


@pytest.mark.e2e
def test_ours_runs_without_any_peer(repository: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.peers"]
    command += ["--only", "--photos", "8", "--rounds", "1", "--json"]

    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)

    found = json.loads(done.stdout)
    assert found["peers"] == {}
    assert found["ours_cpu_ms"] > found["bare_cpu_ms"] / 2
    assert found["ours_per_second"] > 0
