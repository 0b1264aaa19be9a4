"""The frozen part of a network, as fast as this machine runs it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.engine import start
from model.pixels import Pixels
from model.training.network import Network
from model.training.tracing import traced

Rows = tuple[NDArray[np.generic], ...]
"""Of n photos: the maps and what was pooled on the way, or the features alone where all is frozen."""

WORTH_EXPORTING = 300
"""ONNX Runtime takes a third of torch's time on CPUs; to export takes as long as some 300 photos."""


class Trunk(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """The first `depth` blocks of a network; with all of them, features come out."""

    def __init__(self, network: Network, depth: int) -> None:
        super().__init__()
        self.network, self.depth = network, depth
        self.whole = depth == len(network.backbone.blocks)

    def forward(self, photos: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """uint8 (n, side, side, 3) → maps (n, …) and pooled (n, d), or features (n, F)."""
        x, pooled = self.network.begin(photos, self.depth)
        return (self.network.finish(x, pooled, self.depth),) if self.whole else (x, pooled)


def runner(trunk: Trunk, device: torch.device, photos: int) -> Callable[[Pixels], Rows]:
    """Make what runs a trunk on squares (n, side, side, 3); `photos` says how many there will be."""
    trunk.eval()
    if device.type != "cpu" or photos < WORTH_EXPORTING:
        return _TorchRunner(trunk, device)
    return _OnnxRunner(trunk)


class _TorchRunner:
    def __init__(self, trunk: Trunk, device: torch.device) -> None:
        self.trunk, self.device = trunk.to(device), device

    def __call__(self, photos: Pixels) -> Rows:
        with torch.inference_mode():
            outputs = self.trunk(torch.from_numpy(photos).to(self.device))
        return tuple(output.float().cpu().numpy() for output in outputs)


class _OnnxRunner:
    def __init__(self, trunk: Trunk) -> None:
        graph = traced(trunk, trunk.network.side)
        self.session = start(graph.SerializeToString(), torch.get_num_threads())

    def __call__(self, photos: Pixels) -> Rows:
        return tuple(self.session.run(None, {"photos": photos}))
