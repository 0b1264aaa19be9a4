from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bot import logs

LOG = logs.Log("bot.test")


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    sys.excepthook, threading.excepthook = hooks
    root.setLevel(level)


def test_an_event_is_one_line_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("text")

    LOG.info("answered", key="mastodon:7", seconds=0.4123)

    assert capsys.readouterr().err.endswith("info    answered key=mastodon:7 seconds=0.412\n")


def test_text_from_outside_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("text")

    LOG.info("refused", host="x\n2026 error forged key=1")

    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_program_reads_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("json")

    LOG.warning("poll failed", error="line\nbreak")

    event = json.loads(capsys.readouterr().err)
    assert (event["event"], event["level"], event["error"]) == ("poll failed", "warning", "line\nbreak")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_nobody_foresaw_comes_with_its_traceback(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.setup("json" if log_format == "json" else "text")

    try:
        int("nonsense")
    except ValueError:
        LOG.exception("not judged", key="mastodon:7")

    assert "ValueError: invalid literal" in capsys.readouterr().err


def test_libraries_only_report_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("text")

    logging.getLogger("urllib3").info("chatter")

    assert not capsys.readouterr().err


def test_what_is_logged_about_a_mention_has_its_key_in_tasks_and_other_threads_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.setup("json")

    async def fetch() -> None:
        LOG.info("download failed", host="photos.example")

    with ThreadPoolExecutor() as pool, logs.about("mastodon:7"):
        pool.submit(logs.about("mastodon:8")(lambda: LOG.info("decoder lost"))).result()
        asyncio.run(fetch())
        LOG.info("answered", key="mastodon:9")
    LOG.info("stopped")

    keys = [json.loads(line).get("key") for line in capsys.readouterr().err.splitlines()]
    assert keys == ["mastodon:8", "mastodon:7", "mastodon:9", None]


def test_what_a_library_warns_of_is_an_event_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("json")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("soon gone", DeprecationWarning, stacklevel=1)

    (line,) = capsys.readouterr().err.splitlines()
    assert "soon gone" in json.loads(line)["event"]


SECRET = 'to"ken-canary'


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_secret_never_gets_into_a_line_whoever_put_it_there(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.setup("json" if log_format == "json" else "text", [SECRET, ""])

    LOG.info(f"said {SECRET}", error=f"Authorization: Bearer {SECRET}")
    try:
        dict[str, int]()[SECRET]
    except KeyError:
        LOG.exception("not judged")

    written = capsys.readouterr().err
    assert "canary" not in written
    assert written.count(logs.REDACTED) >= 3


def test_what_ends_a_process_or_a_thread_is_an_event_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.setup("json", [SECRET])

    def fail() -> None:
        raise ValueError(SECRET)

    thread = threading.Thread(target=fail, name="mine")
    thread.start()
    thread.join()
    try:
        fail()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)

    thread_ended, ended = map(json.loads, capsys.readouterr().err.splitlines())
    assert (thread_ended["event"], thread_ended["thread"]) == ("thread ended", "mine")
    assert ended["event"] == "ended"
    for event in (thread_ended, ended):
        assert f"ValueError: {logs.REDACTED}" in event["traceback"]
