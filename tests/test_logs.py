from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from bot import logs

LOG = logs.Log("bot.test")


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
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
