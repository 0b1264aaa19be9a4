"""Triton's server, by PyTriton: an instance a core, dynamic batching, photos as tensors of bytes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.peers_judge import BATCH, BATCH_SECONDS, CORES, Judge, settings

FILE, PORT, DECODE = settings()
JUDGE = Judge(FILE)


@batch  # type: ignore[untyped-decorator]
def judged(photos: Any) -> dict[str, Any]:
    """Photos (n, 1) of bytes → probabilities (n, 1)."""
    squares = [DECODE(photo) for [photo] in photos]
    return {"good": np.array(JUDGE(squares), np.float32)[:, np.newaxis]}


if __name__ == "__main__":
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=PORT,
        grpc_port=PORT + 1,
        allow_metrics=False,
        log_verbose=0,
    )
    with Triton(config=config, workspace=os.environ["PEER_FOLDER"] + "/triton") as triton:
        triton.bind(
            model_name="judge",
            infer_func=[judged] * CORES,
            inputs=[Tensor(name="photos", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="good", dtype=np.float32, shape=(1,))],
            config=ModelConfig(
                max_batch_size=BATCH,
                batcher=DynamicBatcher(max_queue_delay_microseconds=int(BATCH_SECONDS * 1e6)),
            ),
        )
        triton.serve()
