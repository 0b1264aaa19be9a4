"""Each kind of fault, over the real wire."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedOK, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from bot.sandbox.faults import KINDS
from tests.sandbox import Network

pytestmark = pytest.mark.e2e
POST, STREAM = "POST /api/v1/statuses", "GET /api/v1/streaming"


@pytest.fixture
def bot(network: Network) -> Iterator[httpx.Client]:
    with network.bot() as owner:
        yield owner
        owner.delete("/sandbox/faults").raise_for_status()


def switch(bot: httpx.Client, kind: str, endpoint: str = POST, **fields: Any) -> None:
    fault = {"endpoint": endpoint, "kind": kind, **fields}
    bot.put("/sandbox/faults", json={"faults": [fault]}).raise_for_status()


def send(person: httpx.Client, text: str, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return person.post("/api/v1/statuses", json={"status": text}, headers=headers)


def posts(person: httpx.Client, text: str) -> int:
    home = person.get("/api/v1/timelines/home", params={"limit": 40}).json()
    return sum(status["content"] == f"<p>{text}</p>" for status in home)


def listen(network: Network) -> AbstractContextManager[ClientConnection]:
    return connect(f"{network.stream}?stream=public&access_token={network.token}", proxy=None)


def texts(socket: Any, count: int) -> list[str]:
    found = [json.loads(json.loads(socket.recv(timeout=2))["payload"]) for _ in range(count)]
    return [status["content"][3:-4] for status in found]


def test_latency_makes_an_answer_wait_as_often_as_told(bot: httpx.Client, ann: httpx.Client) -> None:
    switch(bot, "latency", seconds=0.3, times=1)
    waits = []
    for _ in range(2):
        before = time.monotonic()
        assert send(ann, "slow").status_code == 200
        waits.append(time.monotonic() - before)
    assert waits[0] >= 0.3
    [fault] = bot.get("/sandbox/faults").json()["faults"]
    assert (fault["kind"], fault["struck"]) == ("latency", 1)


def test_rate_limited_says_when_to_come_back_and_posts_nothing(bot: httpx.Client, ann: httpx.Client) -> None:
    switch(bot, "rate_limited", seconds=7)
    answer = send(ann, "limited")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert (answer.headers["X-RateLimit-Remaining"], answer.json()) == ("0", {"error": "Too many requests"})
    assert posts(ann, "limited") == 0


def test_server_error_posts_nothing_and_its_late_sister_posts(bot: httpx.Client, ann: httpx.Client) -> None:
    switch(bot, "server_error")
    assert (send(ann, "early").status_code, posts(ann, "early")) == (500, 0)
    switch(bot, "error_after_success")
    assert (send(ann, "late").status_code, posts(ann, "late")) == (500, 1)


def test_a_dropped_answer_was_done_and_a_retry_with_its_key_finds_it(
    bot: httpx.Client, ann: httpx.Client
) -> None:
    switch(bot, "dropped_answer", times=1)
    with pytest.raises(httpx.TransportError):
        send(ann, "dropped", "d")
    assert send(ann, "dropped", "d").status_code == 200
    assert posts(ann, "dropped") == 1


def test_slow_processing_leaves_an_upload_without_a_url(bot: httpx.Client, ann: httpx.Client) -> None:
    switch(bot, "slow_processing", "POST /api/v2/media", seconds=0.2)
    answer = ann.post("/api/v2/media", files={"file": ("a", b"x", "image/png")})
    assert (answer.status_code, answer.json()["url"]) == (202, None)
    time.sleep(0.25)
    assert ann.get(f"/api/v1/media/{answer.json()['id']}").status_code == 200


def test_ignored_keys_post_twice(bot: httpx.Client, ann: httpx.Client) -> None:
    switch(bot, "idempotency_ignored")
    send(ann, "ignored", "i")
    send(ann, "ignored", "i")
    assert posts(ann, "ignored") == 2


def test_raced_keys_post_twice_at_once_and_once_afterwards(bot: httpx.Client, ann: httpx.Client) -> None:
    switch(bot, "idempotency_raced")
    with ThreadPoolExecutor(2) as pool:
        ids = {answer.json()["id"] for answer in pool.map(lambda _: send(ann, "raced", "r"), range(2))}
    assert len(ids) == 2
    assert send(ann, "raced", "r").json()["id"] in ids


def test_a_stream_closes_cleanly_after_an_event(
    network: Network, bot: httpx.Client, ann: httpx.Client
) -> None:
    switch(bot, "stream_closes", STREAM)
    with listen(network) as socket:
        send(ann, "last")
        assert texts(socket, 1) == ["last"]
        with pytest.raises(ConnectionClosedOK) as closed:
            socket.recv(timeout=2)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000


def test_a_stream_closes_at_once_whether_old_or_new(network: Network, bot: httpx.Client) -> None:
    with listen(network) as socket:
        assert socket.ping().wait(2)
        switch(bot, "stream_closes", STREAM, when="now", times=2)
        with pytest.raises(ConnectionClosedOK):
            socket.recv(timeout=2)
    with listen(network) as socket, pytest.raises(ConnectionClosedOK):
        socket.recv(timeout=2)
    with listen(network) as socket:
        assert socket.ping().wait(2)


def test_a_silent_stream_stays_open_and_answers_nothing(
    network: Network, bot: httpx.Client, ann: httpx.Client
) -> None:
    with listen(network) as socket:
        assert socket.ping().wait(2)
        switch(bot, "stream_silent", STREAM, when="now", seconds=4)
        send(ann, "unheard")
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.3)
        assert not socket.ping().wait(0.3)
        with pytest.raises(Exception, match="no close frame"):
            socket.recv(timeout=10)


def test_a_stream_repeats_and_reorders(network: Network, bot: httpx.Client, ann: httpx.Client) -> None:
    switch(bot, "stream_repeats", STREAM, times=1)
    with listen(network) as socket:
        send(ann, "a")
        assert texts(socket, 2) == ["a", "a"]
        switch(bot, "stream_reorders", STREAM, times=1)
        for text in "bcd":
            send(ann, text)
        assert texts(socket, 3) == ["c", "b", "d"]


def test_a_stream_is_refused_when_it_is_opened(network: Network, bot: httpx.Client) -> None:
    switch(bot, "rate_limited", STREAM)
    with pytest.raises(InvalidStatus, match="429"), listen(network):
        pass


def test_a_share_of_calls_fails_and_a_seed_says_which(bot: httpx.Client, ann: httpx.Client) -> None:
    runs = []
    for _ in range(2):
        switch(bot, "server_error", "GET /api/v1/notifications", share=0.5, seed=7)
        runs.append([ann.get("/api/v1/notifications").status_code for _ in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"endpoint": "GET /nowhere", "kind": "latency"}, "POST /api/v1/statuses; POST /api/v2/media"),
        ({"endpoint": POST, "kind": "flood"}, "latency, rate_limited, server_error, error_after_success"),
        ({"endpoint": POST, "kind": "stream_closes"}, "idempotency_ignored"),
        ({"endpoint": STREAM, "kind": "dropped_answer"}, "stream_closes, stream_silent"),
        ({"endpoint": POST, "kind": "latency", "seconds": -1}, "seconds is -1 but must be a number from 0"),
        ({"endpoint": POST, "kind": "latency", "when": "now"}, "when is 'now' but must be \"event\""),
        ({"endpoint": POST, "kind": "latency", "often": 3}, "['often'] are unknown"),
        ({"endpoint": POST, "kind": "latency", "when": []}, "when is a list but must be"),
        ({"endpoint": [POST], "kind": "latency"}, "endpoint is a list but must be one of"),
        ({"endpoint": POST, "kind": ["latency"]}, "kind is a list but must be one of"),
        ({"endpoint": POST, "kind": "latency", "seed": []}, "seed is a list but must be a whole number"),
        ({"endpoint": POST, "kind": "latency", "seed": "\ud800"}, r"seed is '\ud800' but must be"),
        ("latency", "must be an object"),
    ],
)
def test_an_unknown_fault_is_told_the_valid_ones(bot: httpx.Client, fault: Any, sentence: str) -> None:
    body = json.dumps({"faults": [fault]})
    answer = bot.put("/sandbox/faults", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert sentence in answer.json()["error"]


@pytest.mark.parametrize("field", ["endpoint", "kind", "seconds", "seed", "when"])
def test_a_fault_of_deep_lists_is_refused(bot: httpx.Client, field: str) -> None:
    answers = []
    for depth in (900, 960, 980, 100_000):  # less than JSON's reader can take, about as much, more
        fault = {"endpoint": POST, "kind": "latency", field: "here"}
        body = json.dumps({"faults": [fault]}).replace('"here"', "[" * depth + "]" * depth)
        answers.append(bot.put("/sandbox/faults", content=body, headers={"Content-Type": "application/json"}))
    assert {answer.status_code for answer in answers} == {400, 422}
    assert all(answer.json()["error"] for answer in answers)


def test_only_the_bot_switches_faults(ann: httpx.Client) -> None:
    assert ann.get("/sandbox/faults").status_code == 403


def test_every_kind_is_described_where_the_table_is() -> None:
    import bot.sandbox.faults as module

    assert all(f"\n{kind} " in str(module.__doc__) for kind in KINDS)
