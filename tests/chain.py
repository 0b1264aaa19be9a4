"""The whole way from a drawn network to a judge's file, as one process that runs beside the other tests.

It takes minutes of processor time, while most other slow tests wait for something: so it starts first, with
the lowest priority and on one core, and the tests of what it made come last.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

STEPS = {
    "simulate": "network --photos 5000 --posts 20 --seed 11 --workers 1",
    "label": "network --threads 1",
    "train": "network --out run --processes 1",
    "export": "run/best.pt --out judge.onnx --int8",
    "evaluate": "judge.onnx network --report report.html --slice tone",
}
"""Arguments of `deepselfie model` in a folder of the chain's own."""
SECONDS = 1500
DEEPSELFIE = "import sys; from bot.command import main; sys.exit(main())"
FOUND = "found.json"


class Chain:
    """The process, and the folder it works in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        command = ["nice", "-n", "19", sys.executable, "-m", "tests.chain", str(folder)]
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def found(self) -> dict[str, Any]:
        """Wait for the end: what each step said, as its --json."""
        said = self._process.communicate(timeout=SECONDS)[0].decode()
        assert self._process.returncode == 0, said
        found: dict[str, Any] = json.loads((self.folder / FOUND).read_text())
        return found

    def stop(self) -> None:
        """End it, if it is still under way."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def main() -> None:
    """Take the steps, one after the other."""
    folder = Path(sys.argv[1])
    found = {}
    for step, arguments in STEPS.items():
        command = [sys.executable, "-c", DEEPSELFIE, "model", step, *arguments.split(), "--json"]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
        found[step] = json.loads(done.stdout)
    (folder / FOUND).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
