"""BentoML's service: a worker process a core, adaptive batching, photos as multipart form data.

It opens photos itself, lazily; our decoder gets the bytes out of what it opened.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import bentoml
from PIL.Image import Image

from benchmarks.peers_judge import BATCH, CORES, Judge, resized, settings

FILE, PORT, DECODE = settings()


@bentoml.service(workers=CORES, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Photos:
    """A photo's probability of being good."""

    def __init__(self) -> None:
        self.judge = Judge(FILE)

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=60_000)  # type: ignore[untyped-decorator]
    def judged(self, photos: list[Image]) -> list[float]:
        """Photos → probabilities."""
        return self.judge([_square(photo) for photo in photos])


def _square(photo: Any) -> Any:
    if os.environ["PEER_DECODER"] == "docs":
        return resized(photo)
    photo.fp.seek(0)
    return DECODE(photo.fp.read())


if __name__ == "__main__":
    command = ["serve", "benchmarks.peers_bentoml:Photos", "--host", "127.0.0.1", "--port", str(PORT)]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", *command])
