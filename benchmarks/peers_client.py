"""Who asks the peers: some connections that are kept, each with one request under way at a time."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle, islice
from threading import Lock
from urllib.parse import urlsplit

SECONDS = 60


@dataclass(frozen=True)
class Request:
    """What is posted."""

    url: str
    body: bytes
    headers: dict[str, str]


class Refused(OSError):
    """A server answered with something else than 200."""


def post(request: Request) -> bytes:
    """Ask once.

    Raises:
        OSError: There is no answer, or it is none.
    """
    with closing(_connection(request)) as connection:
        return _ask(connection, request)


def crowd(requests: Sequence[Request], count: int, *, at_once: int) -> list[bytes]:
    """Ask `count` times, the requests in turn, over so many connections at once.

    Returns:
        The answers, in no order.

    Raises:
        OSError: Something went unanswered.
    """
    left = islice(cycle(requests), count)
    lock = Lock()

    def following() -> Iterator[Request]:
        while True:
            with lock:
                request = next(left, None)
            if request is None:
                return
            yield request

    def work(_: int) -> list[bytes]:
        with closing(_connection(requests[0])) as connection:
            return [_ask(connection, request) for request in following()]

    with ThreadPoolExecutor(at_once) as pool:
        return [answer for answers in pool.map(work, range(at_once)) for answer in answers]


def _connection(request: Request) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(request.url).netloc, timeout=SECONDS)


def _ask(connection: http.client.HTTPConnection, request: Request) -> bytes:
    try:
        connection.request("POST", urlsplit(request.url).path, request.body, request.headers)
        response = connection.getresponse()
        answer = response.read()
    except http.client.HTTPException as error:
        raise Refused(repr(error)) from error
    if response.status != http.client.OK:
        raise Refused(f"{request.url} answered {response.status}: {answer[:200]!r}")
    return answer
