"""One event a line, with its fields, for people (text) or for programs (json); never a secret in it."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

FIELDS = "event_fields"

REDACTED = "[secret]"

_ABOUT: ContextVar[str] = ContextVar("about", default="")


class Log:
    """A logger of events: `LOG.info("answered", key="mastodon:7", seconds=0.4)`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def info(self, event: str, **fields: object) -> None:
        """Something happened that an operator may want to know."""
        self._logger.info(event, extra=_extra(fields))

    def warning(self, event: str, **fields: object) -> None:
        """Something went wrong that the bot copes with by itself."""
        self._logger.warning(event, extra=_extra(fields))

    def error(self, event: str, **fields: object) -> None:
        """Something went wrong that needs somebody."""
        self._logger.error(event, extra=_extra(fields))

    def exception(self, event: str, **fields: object) -> None:
        """Something went wrong that nobody foresaw: with the traceback of the exception being handled."""
        self._logger.exception(event, extra=_extra(fields))


@contextmanager
def about(key: str) -> Iterator[None]:
    """Whatever is logged meanwhile in this thread, or by a task that it starts, has the mention's key.

    As a decorator it does the same for each call of a function, in whatever thread.
    """
    before = _ABOUT.set(key)
    try:
        yield
    finally:
        _ABOUT.reset(before)


def _extra(fields: dict[str, object]) -> dict[str, object]:
    key = _ABOUT.get()
    return {FIELDS: {"key": key} | fields if key else fields}


def add_option(parser: argparse.ArgumentParser) -> None:
    """Let a command have --log-format, which stands above LOG_FORMAT."""
    parser.add_argument(
        "--log-format",
        choices=("json", "text"),
        action=_IntoEnvironment,
        help="one log line an event, for people (text) or programs (json), whatever LOG_FORMAT says",
    )


class _IntoEnvironment(argparse.Action):
    def __call__(self, _parser: object, _options: object, values: object, _option: object = None) -> None:
        os.environ["LOG_FORMAT"] = str(values)


def setup(log_format: Literal["text", "json"], secrets: Iterable[str] = ()) -> None:
    """Send this process's events to standard error, and only the warnings of the libraries it uses.

    What ends the process or a thread unforeseen is an event too, so that its traceback has no secret in it.

    Args:
        log_format: For people or for programs.
        secrets: What must never be in a line, whoever put it there.
    """
    handler = logging.StreamHandler()
    handler.setFormatter((_Json if log_format == "json" else _Text)(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for ours in ("bot", "worker", "model"):
        logging.getLogger(ours).setLevel(logging.INFO)
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, error, trace: root.critical("ended", exc_info=(kind, error, trace))
    threading.excepthook = _thread_ended


def _thread_ended(ending: threading.ExceptHookArgs) -> None:
    name = ending.thread.name if ending.thread else "unknown"
    error = ending.exc_value or ending.exc_type()
    logging.getLogger().critical("thread ended", exc_info=error, extra={FIELDS: {"thread": name}})


class _Formatter(logging.Formatter):
    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        # As they are, and as JSON writes them.
        self._secrets = {form for secret in secrets if secret for form in (secret, json.dumps(secret)[1:-1])}

    def format(self, record: logging.LogRecord) -> str:
        line = self._line(record)
        for secret in self._secrets:
            line = line.replace(secret, REDACTED)
        return line

    def _line(self, record: logging.LogRecord) -> str:
        raise NotImplementedError


class _Text(_Formatter):
    def _line(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_plain(value)}" for name, value in getattr(record, FIELDS, {}).items())
        line = f"{_time(record)} {record.levelname.lower():7} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(_Formatter):
    def _line(self, record: logging.LogRecord) -> str:
        line = {"time": _time(record), "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _plain(value: object) -> str:
    """One word, or a quoted string: text from outside must not be able to forge a line."""
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return text if text.isascii() and text.isprintable() and text and " " not in text else json.dumps(text)
