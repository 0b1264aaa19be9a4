"""Child processes that log one event a line: started together, watched, stopped in reverse order."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

STOP_SECONDS = 5
LAST_LINES = 20

Event = dict[str, Any]


class ProcessDied(Exception):
    """A process ended by itself; the message holds its last words."""


@dataclass
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    seen: set[str] = field(default_factory=set)
    """Names of the events it has logged."""
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

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], *, input_text: str = ""
    ) -> None:
        """Start one process."""
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C in a terminal reaches the whole foreground group; these are stopped in order instead.
            start_new_session=True,
        )
        assert process.stdin
        assert process.stdout
        process.stdin.write(input_text.encode())
        process.stdin.close()
        child = _Child(name, process)
        child.reader = threading.Thread(target=self._read, args=(child, process.stdout), daemon=True)
        child.reader.start()
        self._children.append(child)

    def deepselfie(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start one `deepselfie` sub-command with this very Python."""
        self.start(name, [sys.executable, "-m", "bot", *arguments], environment)

    def wait_for(self, name: str, event: str, seconds: float) -> None:
        """Wait until a process has logged an event.

        Raises:
            ProcessDied: Some process ended before that.
            TimeoutError: The time is up.
        """
        child = self._child(name)
        with self._changed:
            if not self._changed.wait_for(lambda: event in child.seen or bool(self._dead()), seconds):
                raise TimeoutError(f"the {name} did not get ready within {seconds:.0f} s")
        self.check()

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
        while self._children:
            child = self._children.pop()
            child.process.terminate()
            try:
                child.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()

    def _child(self, name: str) -> _Child:
        return next(child for child in self._children if child.name == name)

    def _dead(self) -> list[_Child]:
        return [child for child in self._children if child.process.poll() is not None]

    def _read(self, child: _Child, lines: IO[bytes]) -> None:
        with lines:
            for line in lines:
                text = line.decode(errors="replace").rstrip()
                try:
                    event = json.loads(text)
                except ValueError:
                    child.last_lines.append(text.removeprefix("deepselfie: "))
                    continue
                self._on_event(child.name, event)
                with self._changed:
                    child.seen.add(event["event"])
                    self._changed.notify_all()
        child.process.wait()
        with self._changed:
            self._changed.notify_all()
