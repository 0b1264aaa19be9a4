"""The WebSocket of servers that speak Mastodon's API, when they do not behave."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from bot.networks.base import NetworkError
from bot.networks.mastodon_stream import events
from bot.networks.mastodon_wire import Event

DELETION = json.dumps({"stream": ["user"], "event": "delete", "payload": "7"})


@contextmanager
def server(
    talk: Callable[[ServerConnection], None],
    refuse: Callable[[ServerConnection, Request], Response] | None = None,
) -> Iterator[str]:
    with serve(talk, "127.0.0.1", 0, process_request=refuse) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        host, port = running.socket.getsockname()
        yield f"ws://{host}:{port}"


def listen(url: str) -> list[Event]:
    return list(events(url, "token", lambda _: None))


def test_events_are_heard_until_the_server_says_goodbye() -> None:
    with server(lambda socket: socket.send(DELETION)) as url:
        assert [(event.event, event.payload) for event in listen(url)] == [("delete", "7")]


def test_the_token_travels_in_a_header_and_the_bot_says_who_it_is() -> None:
    seen: list[Request] = []

    def note(socket: ServerConnection) -> None:
        assert socket.request
        seen.append(socket.request)

    with server(note) as url:
        listen(url)

    assert seen[0].headers["Authorization"] == "Bearer token"
    assert "deepselfie" in seen[0].headers["User-Agent"]
    assert "token" not in seen[0].path


def test_half_an_event_is_a_broken_stream() -> None:
    with server(lambda socket: socket.send(DELETION[:20])) as url, pytest.raises(NetworkError) as broken:
        listen(url)

    assert (broken.value.trouble, broken.value.permanent) == ("unreachable", False)


@pytest.mark.parametrize("nonsense", ["{}", "[]", "null", '{"event": null}', '{"event": 7, "payload": {}}'])
def test_what_is_whole_but_makes_no_sense_is_passed_over(nonsense: str) -> None:
    def talk(socket: ServerConnection) -> None:
        socket.send(nonsense)
        socket.send(DELETION)

    with server(talk) as url:
        assert listen(url)[-1].payload == "7"


def test_a_connection_that_is_cut_is_a_broken_stream() -> None:
    with server(lambda socket: socket.socket.close()) as url, pytest.raises(NetworkError) as broken:
        listen(url)

    assert not broken.value.permanent


@pytest.mark.parametrize(
    ("status", "trouble", "permanent"),
    [
        (401, "unauthorized", True),
        (403, "unauthorized", True),
        (404, "refused", True),
        (501, "refused", True),
        (429, "rate_limited", False),
        (502, "unreachable", False),
    ],
)
def test_a_refused_handshake_says_what_that_means(status: int, trouble: str, permanent: bool) -> None:
    def refuse(_: ServerConnection, __: Request) -> Response:
        return Response(status, HTTPStatus(status).phrase, Headers({"Retry-After": "90"}), b"")

    with server(lambda _: None, refuse) as url, pytest.raises(NetworkError) as refused:
        listen(url)

    assert (refused.value.trouble, refused.value.permanent) == (trouble, permanent)
    assert refused.value.retry_after == (90 if status == 429 else None)


def test_whoever_stops_listening_hangs_up() -> None:
    gone = threading.Event()

    def talk(socket: ServerConnection) -> None:
        socket.send(DELETION)
        try:
            socket.recv(timeout=10)
        except ConnectionClosed:
            gone.set()

    with server(talk) as url:
        listening = events(url, "token", lambda _: None)
        next(listening)
        listening.close()  # type: ignore[attr-defined]

        assert gone.wait(10)
