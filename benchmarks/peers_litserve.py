"""LitServe's server: a worker process a core, as many API servers, photos as multipart form data."""

from typing import Any

import litserve
from fastapi import Request

from benchmarks.peers_judge import BATCH, BATCH_SECONDS, CORES, Judge, settings

FILE, PORT, DECODE = settings()


class Photos(litserve.LitAPI):  # type: ignore[misc]  # untyped here
    """A photo's probability of being good."""

    def setup(self, _: str) -> None:
        """Load the judge, once a worker."""
        self.judge = Judge(FILE)

    def decode_request(self, request: Request) -> Any:
        """Form data → a square."""
        return DECODE(request["photo"].file.read())

    def batch(self, inputs: list[Any]) -> list[Any]:
        """Squares → a batch; the judge stacks them."""
        return inputs

    def predict(self, x: list[Any]) -> list[float]:
        """A batch → probabilities."""
        return self.judge(x)

    def unbatch(self, output: list[float]) -> list[float]:
        """One answer a photo."""
        return output

    def encode_response(self, output: float) -> dict[str, float]:
        """What is sent."""
        return {"good": output}


if __name__ == "__main__":
    api = Photos(max_batch_size=BATCH, batch_timeout=BATCH_SECONDS)
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=CORES, fast_queue=True)
    server.run(
        host="127.0.0.1", port=PORT, num_api_servers=CORES, log_level="warning", generate_client_file=False
    )
