"""What a server's answer says of its limits: how many seconds to stay away, by its own clock."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

FEW = 0.05
"""The share of a server's limit that is left to others."""


def pause_wanted(answer: httpx.Response) -> float | None:
    """Seconds that a refusal asks for: Retry-After as a number or a date, or what is left of a rate limit."""
    text = answer.headers.get("Retry-After", "")
    if text.isdigit():
        return float(text)
    try:
        return _until(parsedate_to_datetime(text), answer)
    except ValueError:
        return _reset(answer)


def pause_due(answer: httpx.Response) -> float | None:
    """Seconds to rest after an answer, lest the limit be reached; None if it is far."""
    limit, left = _number(answer, "Limit"), _number(answer, "Remaining")
    return _reset(answer) if limit and left is not None and left <= limit * FEW else None


def _number(answer: httpx.Response, name: str) -> float | None:
    text = _header(answer, name)
    return float(text) if text.isdigit() else None


def _reset(answer: httpx.Response) -> float | None:
    """Seconds until a rate limit ends: Mastodon says it as a date, Bluesky as seconds since 1970."""
    text = _header(answer, "Reset")
    try:
        at = datetime.fromtimestamp(float(text), UTC) if text.isdigit() else datetime.fromisoformat(text)
        return _until(at, answer)
    except (ValueError, OverflowError):
        return None


def _header(answer: httpx.Response, name: str) -> str:
    return str(answer.headers.get(f"X-RateLimit-{name}") or answer.headers.get(f"RateLimit-{name}", ""))


def _until(moment: datetime, answer: httpx.Response) -> float:
    """Seconds from a server's present to a moment by its own clock, and one more."""
    try:
        now = parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        now = datetime.now(UTC)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds()) + 1
