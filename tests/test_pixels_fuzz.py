from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from model.pixels import Fault
from tests import fuzz

# `python -m tests.fuzz SEED COUNT` tries others.
SEED, COUNT = 1, 400


@pytest.fixture(scope="module")
def report(repository: Path) -> dict[str, Any]:
    """What became of a few hundred damaged photos of each kind."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz", str(SEED), str(COUNT)],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.e2e
@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_a_damaged_photo_is_either_squished_or_refused_with_a_reason(
    report: dict[str, Any], kind: str
) -> None:
    outcomes = report["outcomes"][kind]

    assert sum(outcomes.values()) == COUNT
    assert set(outcomes) <= {"pixels", *get_args(Fault)}
    # It damages enough to be refused, and not so much that no decoder is reached.
    assert outcomes["damaged"] > COUNT / 10
    assert outcomes["pixels"] > COUNT / 10


@pytest.mark.e2e
def test_after_its_rehearsal_squish_opens_no_file_and_imports_nothing(report: dict[str, Any]) -> None:
    assert report["touched"] == {}


@pytest.mark.e2e
def test_no_damaged_photo_takes_longer_than_five_seconds(report: dict[str, Any]) -> None:
    assert report["slowest"] < 5


FIRST_PHOTO = """
import sys
from model.pixels import squish

photo, imported = sys.stdin.buffer.read(), []
sys.addaudithook(lambda event, args: imported.append(args[0]) if event == "import" else None)
squish(photo, side=8)
print(*imported)
"""


@pytest.mark.e2e
def test_without_a_rehearsal_the_first_photo_imports_half_of_pillow(repository: Path) -> None:
    command, photo = [sys.executable, "-c", FIRST_PHOTO], fuzz.originals("JPEG")[0]
    done = subprocess.run(command, cwd=repository, input=photo, capture_output=True, check=True)

    assert "PIL.TiffImagePlugin" in done.stdout.decode().split()
