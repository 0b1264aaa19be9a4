"""benchmarks.hostile: what it tells, and that it notices."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import hostile
from tests import bombs
from tests.photos import portrait_jpeg

pytestmark = pytest.mark.e2e

INSIDE = """http://127.0.0.1/a.jpg
http://[::1]/a.jpg
http://169.254.169.254/latest/meta-data/
http://2130706433/
{"url": "http://0x7f.1/"}
{"u": "file:///etc/passwd"}
http://10.0.0.1:6379/
"""


def test_links_into_the_operators_network_and_bombs_do_no_harm(tmp_path: Path, repository: Path) -> None:
    links, images = tmp_path / "links", tmp_path / "images"
    links.write_text(INSIDE)
    images.mkdir()
    (images / "good.jpg").write_bytes(portrait_jpeg())
    (images / "pixels.png").write_bytes(bombs.BOMBS["pixels"]())
    (images / "scans.jpg").write_bytes(bombs.BOMBS["scans"]())
    (images / "words.txt").write_bytes(b"words")

    command = [
        sys.executable,
        "-m",
        "benchmarks.hostile",
        "--urls",
        str(links),
        "--images",
        str(images),
        "--json",
    ]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)

    found = json.loads(done.stdout)
    assert (found["connects_inside"], found["worker_deaths"], found["overrun"]) == (0, 0, 0)
    assert (found["images"], found["links"]) == (4, 7)
    assert found["slowest_s"] < hostile.MOST_SECONDS
    assert 0 < found["peak_rss_mb"] < hostile.MOST_MEGABYTES
    assert found["outcomes"] == {
        "image decoded": 1,
        "image not_a_photo": 1,
        "image too_costly": 1,
        "image too_many_pixels": 1,
        "link bad_link": 1,
        "link forbidden_address": 6,
    }


@pytest.mark.parametrize(
    "harm",
    [
        {"connects_inside": 1},
        {"worker_deaths": 1},
        {"slowest_s": 5.1},
        {"peak_rss_mb": 513},
        {"outcomes": {"image unforeseen KeyError": 1}},
        {"outcomes": {"link unforeseen KeyError": 1}},
    ],
)
def test_harm_is_noticed(harm: dict[str, object]) -> None:
    unharmed = {"connects_inside": 0, "worker_deaths": 0, "slowest_s": 1, "peak_rss_mb": 90, "outcomes": {}}

    assert not hostile.is_harmed(unharmed)
    assert hostile.is_harmed(unharmed | harm)
