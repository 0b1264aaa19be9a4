"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal[
    "ok",
    "warning",  # the bot works, but not as well as it could
    "failed",  # the bot does not work, or must not be run like this
]


@dataclass(frozen=True)
class Finding:
    """One check and how it went."""

    name: str
    state: State
    words: str
    """How it is; and where it is not well, what to do."""


def ok(name: str, words: str) -> Finding:
    """All is well."""
    return Finding(name, "ok", words)


def warning(name: str, words: str) -> Finding:
    """The bot works, but somebody should look at this."""
    return Finding(name, "warning", words)


def failed(name: str, words: str) -> Finding:
    """Somebody has to do something about this."""
    return Finding(name, "failed", words)
