"""A session of ONNX Runtime whose input lies on its own device: nothing is allocated or copied twice.

Each thread has one place for each size of batch, which is why there are few sizes (model/batches.py).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from model.pixels import Pixels


class Bound:
    """Runs a session from bound memory. Safe to call from several threads.

    Args:
        session: Which one.
        device: Where it computes, as ONNX Runtime calls it: "cuda" or "cpu".
    """

    def __init__(self, session: ort.InferenceSession, device: str) -> None:
        self._session = session
        self._device = device
        self._here = threading.local()

    def __call__(self, outputs: Sequence[str], photos: Pixels) -> list[Any]:
        """Run it on photos (n, S, S, 3), and give these outputs as arrays in main memory."""
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("photos", self._placed(photos))
        for name in outputs:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding)
        found: list[Any] = binding.copy_outputs_to_cpu()
        return found

    def _placed(self, photos: Pixels) -> ort.OrtValue:
        places: dict[tuple[int, ...], ort.OrtValue] = self._here.__dict__.setdefault("places", {})
        photos = np.ascontiguousarray(photos)
        if photos.shape not in places:
            places[photos.shape] = ort.OrtValue.ortvalue_from_shape_and_type(
                photos.shape, np.uint8, self._device, 0
            )
        places[photos.shape].update_inplace(photos)
        return places[photos.shape]
