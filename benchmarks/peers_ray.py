"""Ray Serve's deployment: a replica a core, behind its HTTP proxy, the photo as the request's body."""

from __future__ import annotations

import os
import time

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.peers_judge import BATCH, BATCH_SECONDS, CORES, Judge, settings

FILE, PORT, DECODE = settings()


@serve.deployment(
    num_replicas=CORES,
    max_ongoing_requests=32,
    ray_actor_options={"num_cpus": 1},
    logging_config={"enable_access_log": False},
)
class Photos:
    """A photo's probability of being good."""

    def __init__(self) -> None:
        self.judge = Judge(FILE)

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=BATCH_SECONDS)  # type: ignore[untyped-decorator]
    async def judged(self, photos: list[bytes]) -> list[float]:
        """Photos → probabilities."""
        return self.judge([DECODE(photo) for photo in photos])

    async def __call__(self, request: Request) -> dict[str, float]:
        """Answer a request."""
        return {"good": await self.judged(await request.body())}


if __name__ == "__main__":
    folder = os.environ["PEER_FOLDER"]
    ray.init("local", num_cpus=CORES, include_dashboard=False, log_to_driver=False, _temp_dir=folder)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(Photos.bind())  # type: ignore[attr-defined]
    while True:
        time.sleep(60)
