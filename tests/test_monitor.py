"""/metrics, /healthz and /readyz, over real HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from prometheus_client import CollectorRegistry, Counter
from redis import Redis

from bot import monitor
from bot.monitor import MOST_CONNECTIONS, SILENT_CONNECTION_SECONDS, Check, Checks, Pulse
from bot.settings import Settings, SettingsError, load
from tests.monitored import ask, families, free_port

REGISTRY = CollectorRegistry()
Counter("photos_total", "Photos.", registry=REGISTRY).inc(7)


def open_at(port: int, live: Checks = dict, ready: Checks = dict) -> None:
    settings = load(Settings, {"METRICS_PORT": str(port)})
    monitor.start(settings, live=live, ready=ready, registry=REGISTRY)


@pytest.fixture(scope="module")
def port() -> int:
    open_at(number := free_port())
    return number


@pytest.fixture
def silent(port: int) -> Iterator[list[socket.socket]]:
    """Many who open a connection and say nothing, or next to nothing."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_connection(("127.0.0.1", port), 5)) for _ in range(200)]
        for each in sockets[::2]:
            each.sendall(b"GET /met")
        yield sockets


def test_metrics_are_told(port: int) -> None:
    answer = ask(port, "/metrics")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert families(answer.text)["photos"].samples[0].value == 7


def test_who_understands_openmetrics_gets_it(port: int) -> None:
    answer = ask(port, "/metrics", Accept="application/openmetrics-text; version=1.0.0")

    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_check_is_named_with_its_value(path: str) -> None:
    checks = {"judge": Check(ok=True, value="drawn 1.0.0")}
    open_at(
        number := free_port(),
        **{"/healthz": {"live": lambda: checks}, "/readyz": {"ready": lambda: checks}}[path],
    )

    answer = ask(number, path)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {"ok": True, "checks": {"judge": {"ok": True, "value": "drawn 1.0.0"}}}


def test_one_check_that_fails_is_enough() -> None:
    checks = {"redis": Check(ok=False, value="away"), "judge": Check(ok=True, value="drawn 1.0.0")}
    open_at(number := free_port(), ready=lambda: checks)

    answer = ask(number, "/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["redis"] == {"ok": False, "value": "away"}
    assert ask(number, "/healthz").status_code == 200


def test_a_check_that_itself_fails_is_no_yes() -> None:
    def fail() -> dict[str, Check]:
        raise ValueError

    open_at(number := free_port(), ready=fail)

    assert ask(number, "/readyz").status_code == 500
    assert ask(number, "/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/", "/metrics/", "/favicon.ico", "/healthz/x", "/..%2fmetrics"])
def test_there_is_nothing_else(port: int, path: str) -> None:
    assert ask(port, path).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "NONSENSE"])
@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
def test_nothing_but_get_is_taken(port: int, path: str, method: str) -> None:
    answer = ask(port, path, method)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


def test_without_a_port_nothing_is_opened() -> None:
    assert monitor.start(load(Settings, {}), live=dict, ready=dict) is None


def test_a_port_that_is_taken_is_an_error_that_says_so(port: int) -> None:
    with pytest.raises(
        SettingsError, match=f"METRICS_PORT is {port}, .* in use.*; choose another METRICS_PORT"
    ):
        open_at(port)


def test_a_host_that_is_none_is_an_error_that_says_so() -> None:
    settings = load(Settings, {"METRICS_PORT": "9100", "METRICS_HOST": "no such host"})

    with pytest.raises(SettingsError, match="no such host:9100 cannot be opened"):
        monitor.start(settings, live=dict, ready=dict)


def test_who_says_nothing_keeps_nobody_out(port: int, silent: list[socket.socket]) -> None:
    begin = time.monotonic()

    assert ask(port, "/healthz").status_code == 200
    assert time.monotonic() - begin < SILENT_CONNECTION_SECONDS
    assert len(silent) > 10 * MOST_CONNECTIONS


def test_who_says_nothing_costs_few_threads(port: int, silent: list[socket.socket]) -> None:
    ask(port, "/healthz")

    of_requests = [thread for thread in threading.enumerate() if "process_request" in thread.name]

    assert len(silent) > 10 * MOST_CONNECTIONS
    assert len(of_requests) <= 2 * MOST_CONNECTIONS


def test_who_sends_nonsense_is_told_so_and_no_more(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert b"400" in connection.recv(4096)

    assert ask(port, "/healthz").status_code == 200
    assert capfd.readouterr().err == ""


def test_a_loop_that_turns_is_well_and_one_that_stands_still_is_not() -> None:
    pulse = Pulse(within=0.2)

    assert pulse.check().ok
    time.sleep(0.4)
    assert not pulse.check().ok
    pulse.turn()
    assert pulse.check() == Check(ok=True, value={"seconds": 0.0, "limit": 0.2})


def test_redis_is_asked(redis: Redis) -> None:
    assert monitor.redis_check(redis) == Check(ok=True, value="answers")


def test_a_redis_that_is_away_is_noticed_at_once() -> None:
    with socket.socket() as mute:
        # It takes connections, and says nothing: worse than one that refuses.
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        look = monitor.impatient(f"redis://127.0.0.1:{mute.getsockname()[1]}/0")
        begin = time.monotonic()

        found = monitor.redis_check(look)

    assert found == Check(ok=False, value="does not answer (TimeoutError)")
    assert time.monotonic() - begin < 2
