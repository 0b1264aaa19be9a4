"""One event a line, with its fields, for people (text) or for programs (json)."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Literal

FIELDS = "event_fields"


class Log:
    """A logger of events: `LOG.info("answered", key="mastodon:7", seconds=0.4)`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def info(self, event: str, **fields: object) -> None:
        """Something happened that an operator may want to know."""
        self._logger.info(event, extra={FIELDS: fields})

    def warning(self, event: str, **fields: object) -> None:
        """Something went wrong that the bot copes with by itself."""
        self._logger.warning(event, extra={FIELDS: fields})

    def error(self, event: str, **fields: object) -> None:
        """Something went wrong that needs somebody."""
        self._logger.error(event, extra={FIELDS: fields})

    def exception(self, event: str, **fields: object) -> None:
        """Something went wrong that nobody foresaw: with the traceback of the exception being handled."""
        self._logger.exception(event, extra={FIELDS: fields})


def setup(log_format: Literal["text", "json"]) -> None:
    """Send this process's events to standard error, and only the warnings of the libraries it uses."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for ours in ("bot", "worker", "model"):
        logging.getLogger(ours).setLevel(logging.INFO)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_plain(value)}" for name, value in getattr(record, FIELDS, {}).items())
        line = f"{_time(record)} {record.levelname.lower():7} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
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
