"""People in benchmarks.faults, who post whatever happens to their network, and how they call it."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

POSTERS = 8
TIMEOUT_SECONDS = 30
REST_SECONDS = 0.2

Try = Callable[[int, str], bool]
"""Number and text of a mention → whether it stands in the network now."""


def post_all(texts: Sequence[str], rate: float, is_posted: Try) -> list[threading.Thread]:
    """Have people post these texts, each once, so many a second; the threads end when all are posted."""
    begin = time.monotonic()
    numbered, lock = iter(enumerate(texts)), threading.Lock()

    def post_some() -> None:
        while mention := _next(numbered, lock):
            time.sleep(max(0.0, begin + mention[0] / rate - time.monotonic()))
            while not is_posted(*mention):
                time.sleep(REST_SECONDS)

    threads = [threading.Thread(target=post_some, daemon=True) for _ in range(POSTERS)]
    for thread in threads:
        thread.start()
    return threads


def call(address: str, method: str, path: str, token: str, body: str) -> tuple[int, bytes]:
    """Make a call to a network.

    Raises:
        OSError, http.client.HTTPException: The network is away.
    """
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with closing(http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _next(numbered: Iterator[tuple[int, str]], lock: threading.Lock) -> tuple[int, str] | None:
    with lock:
        return next(numbered, None)
