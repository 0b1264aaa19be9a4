"""How long to wait after something failed."""

from __future__ import annotations

import random

SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 300.0


def pause(failures: int, longest: float = LONGEST_SECONDS) -> float:
    """Seconds to wait after so many failures in a row, never less than one.

    Full jitter: thousands of clients that lost one server must not come back in step.
    """
    most = min(longest, SHORTEST_SECONDS * 2.0 ** min(failures, 30))
    return max(SHORTEST_SECONDS, random.uniform(0, most))  # noqa: S311
