"""The sandbox's stream, over a real WebSocket."""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.sandbox import Network

pytestmark = pytest.mark.e2e


def listen(network: Network, stream: str, token: str) -> AbstractContextManager[ClientConnection]:
    return connect(
        f"{network.stream}?stream={stream}",
        additional_headers={"Authorization": f"Bearer {token}"},
        proxy=None,
    )


def event(socket: ClientConnection) -> tuple[str, str, Any]:
    message = json.loads(socket.recv(timeout=10))
    payload = message["payload"]
    return (
        message["stream"][0],
        message["event"],
        payload if message["event"] == "delete" else json.loads(payload),
    )


def post(person: httpx.Client, status: str, **body: Any) -> Any:
    return person.post("/api/v1/statuses", json={"status": status, **body}).json()


def test_a_mention_reaches_its_listener_at_once(network: Network, ann: httpx.Client) -> None:
    with listen(network, "user:notification", network.token) as socket:
        waits = []
        for _ in range(5):
            before = time.monotonic()
            status = post(ann, "@deepselfie look")
            stream, name, told = event(socket)
            waits.append(time.monotonic() - before)
    # A busy machine may slow some of them; a timer on the way would slow them all.
    assert min(waits) < 0.5
    assert (stream, name, told["type"], told["status"]["id"]) == (
        "user:notification",
        "notification",
        "mention",
        status["id"],
    )
    with network.bot() as bot:
        assert bot.get(f"/api/v1/notifications/{told['id']}").json() == told


def test_the_user_stream_brings_notifications_posts_and_deletions(
    network: Network, ann: httpx.Client
) -> None:
    with listen(network, "user", network.token) as socket:
        status = post(ann, "@deepselfie look", visibility="direct")
        assert [event(socket)[1] for _ in range(2)] == ["notification", "update"]
        post(ann, "nobody but me", visibility="direct")
        ann.delete(f"/api/v1/statuses/{status['id']}")
        assert event(socket)[1:] == ("delete", status["id"])


def test_the_public_stream_brings_public_posts_only(network: Network, ann: httpx.Client) -> None:
    with listen(network, "public", network.token) as socket:
        post(ann, "quiet", visibility="unlisted")
        status = post(ann, "loud")
        assert event(socket) == ("public", "update", status)


def test_a_token_is_taken_from_header_query_and_protocol(network: Network) -> None:
    with listen(network, "user", network.token) as socket:
        assert socket.ping().wait(2)
    with connect(f"{network.stream}?stream=user&access_token={network.token}", proxy=None) as socket:
        assert socket.ping().wait(2)
    with connect(network.stream, subprotocols=[Subprotocol(network.token)], proxy=None) as socket:
        assert socket.subprotocol == network.token


def test_without_a_known_token_there_is_no_stream(network: Network) -> None:
    for address in (network.stream, f"{network.stream}?access_token=no"):
        with pytest.raises(InvalidStatus) as refused, connect(address, proxy=None):
            pass
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body) == {"error": "The access token is invalid"}


def test_streams_are_joined_and_left_on_an_open_connection(network: Network, ann: httpx.Client) -> None:
    with connect(f"{network.stream}?access_token={network.token}", proxy=None) as socket:
        socket.send("what?")
        socket.send(json.dumps({"type": "subscribe", "stream": "public"}))
        assert socket.ping().wait(2)
        post(ann, "one")
        assert event(socket)[0] == "public"
        socket.send(json.dumps({"type": "unsubscribe", "stream": "public"}))
        socket.send(json.dumps({"type": "subscribe", "stream": "user:notification"}))
        assert socket.ping().wait(2)
        post(ann, "two, @deepselfie")
        assert event(socket)[0] == "user:notification"


@pytest.mark.parametrize("nonsense", ["[" * 100_000, '{"type": "subscribe", "stream": []}', b"\xff"])
def test_what_cannot_be_read_is_passed_over(
    network: Network, ann: httpx.Client, nonsense: str | bytes
) -> None:
    with listen(network, "public", network.token) as socket:
        socket.send(nonsense)
        assert socket.ping().wait(10)
        status = post(ann, "still here")
        assert event(socket) == ("public", "update", status)


def test_links_are_made_for_where_each_listener_reached_us(network: Network, ann: httpx.Client) -> None:
    elsewhere = network.stream.replace("127.0.0.1", "localhost")
    with connect(f"{elsewhere}?stream=public&access_token={network.token}", proxy=None) as socket:
        post(ann, "where?")
        assert event(socket)[2]["url"].startswith("http://localhost:")


def test_the_stream_says_that_it_is_healthy(network: Network) -> None:
    answer = httpx.get(f"{network.url}/api/v1/streaming/health", trust_env=False)
    assert (answer.status_code, answer.text) == (200, "OK")
