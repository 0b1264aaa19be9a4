"""--log-format, in a real run: each process of a bot, and the sandbox network, with a log of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.person import Person
from tests.monitored import free_port
from tests.operating import run
from tests.photos import portrait_jpeg
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

COMMANDS = ("listen", "work", "respond")


@contextmanager
def process(command: str, *arguments: str, log: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run a command with all that it says in a file, and end it as a container engine does."""
    with (
        log.open("wb") as said,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "bot", command, *arguments],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)} | environment,
            stdout=said,
            stderr=said,
        ) as running,
    ):
        try:
            yield
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                assert running.wait(20) == 0, log.read_text()
            finally:
                # Or this would wait for it for ever.
                running.kill()


def lines(log: Path) -> list[dict[str, Any]]:
    """All that was said; every line has to be an event."""
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> dict[str, Path]:
    """What each process said about a photo, a link that leads nowhere, and their own beginning and end."""
    directory = tmp_path_factory.mktemp("logs")
    logs = {command: directory / f"{command}.log" for command in ("sandbox", *COMMANDS)}
    url = f"http://127.0.0.1:{(port := free_port())}"
    environment = {
        "LOG_FORMAT": "text",
        "REDIS_URL": redis_url,
        "SANDBOX_TOKEN": "token-of-a-bot",
        "MASTODON_URL": url,
        "MASTODON_TOKEN": "token-of-a-bot",
        "WORKER_PRIVATE_ADDRESSES": "allow",
        "BOT_NEWCOMER_PER_MINUTE": "9",
    }
    option, data = ("--log-format", "json"), str(directory / "sandbox")
    with ExitStack() as running:
        network = process(
            "sandbox",
            *option,
            "--port",
            str(port),
            "--data",
            data,
            log=logs["sandbox"],
            environment=environment,
        )
        running.enter_context(network)
        assert eventually(lambda: "listening" in logs["sandbox"].read_text(), 20)
        for command in COMMANDS:
            running.enter_context(process(command, *option, log=logs[command], environment=environment))
        assert eventually(lambda: "stream open" in logs["listen"].read_text(), 30)
        (directory / "photo.jpg").write_bytes(portrait_jpeg())
        ann = Person(url, "ann")
        posts = [
            ann.post("@deepselfie look", [ann.upload(directory / "photo.jpg")]),
            ann.post(f"@deepselfie look http://127.0.0.1:{free_port()}/photo.jpg", []),
        ]
        assert all(ann.wait_for_reply(post, 30) for post in posts)
    return logs


@pytest.mark.parametrize("command", ["sandbox", *COMMANDS])
def test_every_line_is_an_event(logs: dict[str, Path], command: str) -> None:
    events = lines(logs[command])

    assert events
    assert all({"time", "level", "event"} <= set(event) for event in events)


def test_what_happened_to_a_mention_can_be_followed_by_its_key(logs: dict[str, Path]) -> None:
    events = [(command, event) for command in COMMANDS for event in lines(logs[command])]
    keys = [event["key"] for _, event in events if event["event"] == "answered"]

    followed = {
        key: [(command, event["event"]) for command, event in events if event.get("key") == key]
        for key in keys
    }

    way = [("listen", "heard"), ("work", "judged"), ("respond", "answered")]
    assert sorted(followed.values(), key=len) == [way, [way[0], ("work", "download failed"), *way[1:]]]


@pytest.mark.parametrize("wanted", ["text", "json"])
def test_the_option_stands_above_the_variable(wanted: str, tmp_path: Path) -> None:
    environment = {"LOG_FORMAT": "json" if wanted == "text" else "text"}
    option = ("--log-format", wanted, "--port", "0", "--data", str(tmp_path))
    with process("sandbox", *option, log=(log := tmp_path / "log"), environment=environment):
        assert eventually(lambda: "listening" in log.read_text(), 20)

    assert log.read_text().startswith("{") == (wanted == "json")


@pytest.mark.parametrize("command", ["sandbox", *COMMANDS])
def test_a_format_that_there_is_not_is_refused(command: str) -> None:
    done = run(command, "--log-format", "xml")

    assert (done.returncode, "invalid choice: 'xml'" in done.stderr) == (2, True)
