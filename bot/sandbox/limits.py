"""How many calls a person may make: fixed windows of five minutes, as Mastodon counts them."""

from __future__ import annotations

import time

from bot.sandbox.dialects import Dialect
from bot.sandbox.errors import ApiError
from bot.sandbox.store import iso

WINDOW = 300  # seconds


class Limiter:
    """Calls counted per person, or per address for those who show no token."""

    def __init__(self, calls: int, dialect: Dialect) -> None:
        self.calls = calls
        self.dialect = dialect
        self.window = 0
        self.counts: dict[str, int] = {}

    def count(self, who: str) -> dict[str, str]:
        """Count one call and return the headers that say how many are left.

        Raises:
            ApiError: 429, once `who` made more calls than the window allows.
        """
        window = int(time.time() // WINDOW)
        if window != self.window:
            self.window, self.counts = window, {}
        made = self.counts[who] = self.counts.get(who, 0) + 1
        reset = (window + 1) * WINDOW
        if made > self.calls:
            raise limited(self.calls, reset, self.dialect)
        return rate_headers(self.calls, self.calls - made, reset, self.dialect)


def limited(calls: int, reset: float, dialect: Dialect) -> ApiError:
    """Return the answer to one call too many; `reset` in seconds since 1970."""
    headers = rate_headers(calls, 0, reset, dialect)
    if dialect.resets == "iso":
        headers["Retry-After"] = str(max(1, round(reset - time.time())))
    return ApiError(429, "Too many requests", headers)


def rate_headers(limit: int, remaining: int, reset: float, dialect: Dialect) -> dict[str, str]:
    """Return the three rate-limit headers; `reset` in seconds since 1970."""
    if dialect.resets == "none":
        return {}
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": iso(reset) if dialect.resets == "iso" else str(round(reset)),
    }
