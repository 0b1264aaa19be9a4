"""Hooks with which tests and benchmarks break the bot on purpose. Without their variables they do nothing.

DEEPSELFIE_CRASH_AT names a point of the path: the first process to reach it is killed there, as by kill -9,
and DEEPSELFIE_CRASH_MARK names the file that remembers it was. DEEPSELFIE_WITHOUT names protections that are
switched off: sweeper, fencing, reconcile, cursor.
"""

from __future__ import annotations

import os
import signal
from typing import Literal

Protection = Literal["sweeper", "fencing", "reconcile", "cursor"]

# In the order in which a mention reaches them.
POINTS = (
    "heard",
    "ingested",
    "enqueued",
    "judge started",
    "judge claimed",
    "examined",
    "verdict stored",
    "reply enqueued",
    "respond started",
    "respond claimed",
    "before the post",
    "after the post",
    "answer stored",
    "rescued",
)

_CRASH_AT = os.environ.get("DEEPSELFIE_CRASH_AT", "")
_CRASH_MARK = os.environ.get("DEEPSELFIE_CRASH_MARK", "")
_WITHOUT = frozenset(os.environ.get("DEEPSELFIE_WITHOUT", "").split(","))


def reach(point: str) -> None:
    """Pass a point of the path, if this is not the point at which to crash."""
    if point != _CRASH_AT:
        return
    try:
        os.close(os.open(_CRASH_MARK, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def without(protection: Protection) -> bool:
    """Whether a protection is switched off."""
    return protection in _WITHOUT
