"""How many calls a person may make: fixed windows of five minutes, as Mastodon counts them."""

from __future__ import annotations

import time

from bot.sandbox.errors import ApiError
from bot.sandbox.store import iso

WINDOW = 300  # seconds


class Limiter:
    """Calls counted per person, or per address for those who show no token."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
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
        headers = rate_headers(self.calls, max(0, self.calls - made), reset)
        if made > self.calls:
            wait = max(1, int(reset - time.time()))
            raise ApiError(429, "Too many requests", {**headers, "Retry-After": str(wait)})
        return headers


def rate_headers(limit: int, remaining: int, reset: float) -> dict[str, str]:
    """Return Mastodon's three rate-limit headers; `reset` in seconds since 1970."""
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": iso(reset),
    }
