"""What tests wait for, and count."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            # It may have come true while this process stood still.
            return condition()
        time.sleep(0.01)
    return True


def open_files() -> int:
    """Of this process: sockets too."""
    return len(list(Path("/dev/fd").iterdir()))
