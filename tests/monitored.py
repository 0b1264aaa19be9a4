"""A process's port, asked as Prometheus and Kubernetes ask it."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families


def free_port(in_a_row: int = 1) -> int:
    """The first of some ports, one after the other, that nobody uses."""
    while True:
        # Below those that Linux gives to whoever connects somewhere.
        port = random.randrange(20_000, 32_000)
        with ExitStack() as opened, suppress(OSError):
            for number in range(port, port + in_a_row):
                opened.enter_context(socket.socket()).bind(("127.0.0.1", number))
            return port


def ask(port: int, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=5) as client:
        return client.request(method, f"http://127.0.0.1:{port}{path}", headers=headers)


def families(text: str) -> dict[str, Metric]:
    """The metrics in an answer, by name."""
    return {metric.name: metric for metric in text_string_to_metric_families(text)}
