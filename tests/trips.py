"""Counts what a program asks Redis for."""

from __future__ import annotations

from ctypes import Array, c_ulong
from multiprocessing.sharedctypes import RawArray
from typing import Any

from redis import Redis


def counted(redis: Redis) -> Array[c_ulong]:
    """Count a client's round trips from now on, on connections that it has yet to make.

    Returns:
        The number so far, as the one item of an array that forks share; what a connection begins with counts.
    """
    pool = redis.connection_pool
    trips = RawArray(c_ulong, 1)

    class Counted(pool.connection_class):  # type: ignore[misc,name-defined]
        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            # A pipeline is one message, however many commands are in it.
            trips[0] += 1
            super().send_packed_command(command, check_health)

    pool.connection_class = Counted
    pool.disconnect()
    pool.reset()
    return trips
