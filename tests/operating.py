"""Somebody at a terminal: `deepselfie login` as a process, its questions read and answered one by one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SECONDS = 20


def run(
    *arguments: str, answers: str = "", cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with all answers given beforehand."""
    repository = str(Path(__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": repository} | dict(environment or {}),
        input=answers,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


class Operator:
    """Runs a command, and answers what it asks."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self.said = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bot", *arguments],
            cwd=cwd,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def is_asked(self, question: str) -> str:
        """Read on until a question comes; return what was said since the last one."""
        assert self._process.stderr
        said = ""
        while not re.search(f"{question}.*: $", said):
            character = self._process.stderr.read(1)
            assert character, f"it ended without asking {question!r}: {self.said}{said}"
            said += character
        self.said += said
        return said

    def answers(self, *lines: str) -> None:
        assert self._process.stdin
        self._process.stdin.write("".join(f"{line}\n" for line in lines))
        self._process.stdin.flush()

    def finish(self) -> tuple[int, str]:
        """Give no more answers; return the exit status, and the settings that came."""
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        with self._process as process:
            self._process.stdin.close()
            # Not `communicate`, which knows nothing of what was read ahead.
            self.said += self._process.stderr.read()
            settings = self._process.stdout.read()
            return process.wait(SECONDS), settings
