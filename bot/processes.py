"""Child processes that log one event a line: started together, watched, stopped in reverse order."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

STOP_SECONDS = 5
LAST_LINES = 20
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Event = dict[str, Any]


class ProcessDied(Exception):
    """A process ended by itself; the message holds its last words."""


@dataclass
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    seen: dict[str, Event] = field(default_factory=dict)
    """The events it has logged, by name, the latest of each."""
    reader: threading.Thread | None = None


class Processes:
    """Some processes and what they say.

    Args:
        on_event: Called, in threads of its own, with the process's name and each event it logs.
    """

    def __init__(self, on_event: Callable[[str, Event], None]) -> None:
        self._on_event = on_event
        self._children: list[_Child] = []
        self._changed = threading.Condition()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start one process."""
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C in a terminal reaches the whole foreground group; these are stopped in order instead.
            start_new_session=True,
        )
        child = _Child(name, process)
        self._children.append(child)
        child.reader = threading.Thread(target=self._read, args=(child,), daemon=True)
        child.reader.start()

    def deepselfie(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start one `deepselfie` sub-command with this very Python."""
        # -P: a bot.py that lies where the user happens to be must not run in its place.
        self.start(name, [sys.executable, "-P", "-m", "bot", *arguments], environment)

    def wait_for(self, name: str, event: str, seconds: float) -> Event:
        """Wait until a process has logged an event, and return it.

        Raises:
            ProcessDied: Some process ended before that.
            TimeoutError: The time is up.
        """
        child = self._child(name)
        with self._changed:
            if not self._changed.wait_for(lambda: event in child.seen or bool(self._dead()), seconds):
                raise TimeoutError(f"the {name} did not get ready within {seconds:.0f} s")
        self.check()
        return child.seen[event]

    def pid(self, name: str) -> int:
        """A process's id."""
        return self._child(name).process.pid

    def check(self) -> None:
        """Make sure that all processes live.

        Raises:
            ProcessDied: One does not.
        """
        for child in self._dead():
            if child.reader:
                child.reader.join(1)
            words = "\n".join(child.last_lines) or f"no last words, exit status {child.process.returncode}"
            raise ProcessDied(f"the {child.name} ended: {words}")

    def kill(self, name: str) -> None:
        """End one process without a chance to tidy up, as a crash would."""
        child = self._child(name)
        self._children.remove(child)
        child.process.kill()
        child.process.wait()

    def stop(self) -> None:
        """End all processes, the youngest first, by force those that do not end by themselves."""
        with _undisturbed():
            while self._children:
                child = self._children[-1]
                child.process.terminate()
                try:
                    child.process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    child.process.kill()
                    child.process.wait()
                self._children.pop()

    def _child(self, name: str) -> _Child:
        return next(child for child in self._children if child.name == name)

    def _dead(self) -> list[_Child]:
        return [child for child in self._children if child.process.poll() is not None]

    def _read(self, child: _Child) -> None:
        assert child.process.stdout
        with child.process.stdout as lines:
            for line in lines:
                text = line.decode(errors="replace").rstrip()
                event = _event(text)
                if event is None:
                    child.last_lines.append(text.removeprefix("deepselfie: "))
                    continue
                # Whatever the callback does, the pipe must be emptied, or the child stands still.
                with contextlib.suppress(Exception):
                    self._on_event(child.name, event)
                with self._changed:
                    child.seen[event["event"]] = event
                    self._changed.notify_all()
        child.process.wait()
        with self._changed:
            self._changed.notify_all()


def _event(line: str) -> Event | None:
    """The event that a line of a log tells of; None for any other line."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no impatient second Ctrl-C leave processes behind. Signals are the main thread's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
