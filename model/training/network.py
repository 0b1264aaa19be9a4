"""What a judge computes: a backbone, features pooled from its maps, and a head, from raw photos on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as torch's users know it)

from model.training.backbones import Backbone
from model.training.config import Pooling

HEAT_SIDE = 14


class Network(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A backbone and a head that tells labels apart, worst first.

    Features are what the head sees: with pooling "last" the backbone's embedding; with "stages" the means and
    mean squares of the maps of every stage as well, which know of light, noise and sharpness.

    Args:
        backbone: What turns photos into maps.
        labels: How many the head tells apart.
        pooling: Which maps the features are pooled from.
        dropout: Share of the features that are forgotten while training.
    """

    def __init__(
        self, backbone: Backbone, labels: int, pooling: Pooling = "last", dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.backbone, self.side = backbone, backbone.side
        self.stages = backbone.stages if pooling == "stages" else {}
        self.features = 2 * sum(self.stages.values()) + backbone.embedding
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.features, labels)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("centre", torch.zeros(self.features))
        self.register_buffer("spread", torch.ones(self.features))
        self.register_buffer("temperature", torch.ones(()))
        self.folded = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what `forward` returns, in its order."""
        return ("probabilities", "embedding", "heat") if self.has_maps else ("probabilities", "embedding")

    @property
    def has_maps(self) -> bool:
        """Whether the backbone ends with maps, so that the score can be traced to places."""
        return bool(self.backbone.stages)

    def forward(self, photos: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Judge photos, uint8 (n, side, side, 3).

        Returns:
            Probabilities (n, K), the backbone's embedding (n, D) and, where it ends with maps, the heat
            (n, h, w) of the best label against the worst. That is exact: its mean and `bias` add up to the
            difference of the two labels' logits.
        """
        last, taps = self._walk(self._normalised(photos), 0)
        embedding = _mean(last)
        logits = self.judge(torch.cat([*_pooled(taps), embedding], 1)) / self.temperature
        outputs = (torch.softmax(logits, 1), embedding)
        return (*outputs, self._heat(taps, last)) if self.has_maps else outputs

    def logits(self, photos: torch.Tensor) -> torch.Tensor:
        """Judge photos, uint8 (n, side, side, 3), before temperature: (n, K)."""
        return self.judge(self.finish(*self.begin(photos, 0), 0))

    def begin(self, photos: torch.Tensor, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Take photos, uint8 (n, side, side, 3), through the first `depth` blocks.

        Returns:
            What the last of these blocks gives (n, …), and the features pooled on the way (n, d).
        """
        x, taps = self._walk(self._normalised(photos), 0, depth)
        pooled = _pooled(taps)
        return x, torch.cat(pooled, 1) if pooled else x.flatten(1)[:, :0].float()

    def finish(self, x: torch.Tensor, pooled: torch.Tensor, depth: int) -> torch.Tensor:
        """Take what `begin` gave through the blocks from `depth` on, to the features (n, F)."""
        last, taps = self._walk(x, depth)
        return torch.cat([pooled, *_pooled(taps), _mean(last)], 1)

    def judge(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (n, K) of features (n, F), before temperature."""
        if torch.is_autocast_enabled(features.device.type):
            # Features are far from zero and close together: 8 bits would make them all alike.
            with torch.autocast(features.device.type, enabled=False):
                return self.judge(features.float())
        weight, bias = self._head()
        return F.linear(self.dropout(features), weight, bias)

    @property
    def bias(self) -> torch.Tensor:
        """What the heat's mean lacks to be the best label's logit less the worst one's: a scalar."""
        bias = self._head()[1]
        return (bias[-1] - bias[0]) / self.temperature

    def standardise(self, centre: torch.Tensor, spread: torch.Tensor) -> None:
        """Let the head see features less their mean (F,), divided by their standard deviation (F,)."""
        self.centre.copy_(centre)
        # A feature that hardly moves must not be blown up.
        self.spread.copy_(spread + 1e-3 * centre.abs() + 1e-6)

    def fold(self) -> None:
        """Put the standardisation into the head's weights, for good: the same logits by one product."""
        weight, bias = (part.detach().clone() for part in self._head())
        self.centre.zero_()
        self.spread.fill_(1)
        self.folded = True
        with torch.no_grad():
            self.head.weight.copy_(weight)
            self.head.bias.copy_(bias)

    def _head(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight (K, F) and bias (K,) for features as they are."""
        if self.folded:
            return self.head.weight, self.head.bias
        weight = self.head.weight / self.spread
        return weight, self.head.bias - weight @ self.centre

    def _normalised(self, photos: torch.Tensor) -> torch.Tensor:
        return (photos.permute(0, 3, 1, 2).float() - self.mean) / self.std

    def _walk(
        self, x: torch.Tensor, start: int, stop: int | None = None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Output of some blocks for the input of their first one, and the maps of the stages among them."""
        taps = []
        for index, block in enumerate(self.backbone.blocks[start:stop], start):
            x = block(x)
            if index in self.stages:
                taps.append(x)
        return x, taps

    def _heat(self, taps: Sequence[torch.Tensor], last: torch.Tensor) -> torch.Tensor:
        weight = self._head()[0]
        best = (weight[-1] - weight[0]) / self.temperature  # (F,)
        side = HEAT_SIDE if taps else last.shape[-1]
        total = _resized(_blend(last, best[-last.shape[1] :]), side)
        start = 0
        for maps in taps:
            for values in (maps, maps * maps):
                stop = start + maps.shape[1]
                total = total + _resized(_blend(values, best[start:stop]), side)
                start = stop
        return total


def _mean(last: torch.Tensor) -> torch.Tensor:
    return last.float().mean((2, 3)) if last.ndim == 4 else last.float()


def _pooled(taps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Means and mean squares of each stage's maps."""
    exact = [maps.float() for maps in taps]
    return [values.mean((2, 3)) for maps in exact for values in (maps, maps * maps)]


def _blend(maps: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Sum of maps (n, c, h, w), each times its weight (c,): (n, h, w)."""
    return torch.matmul(weight, maps.flatten(2)).reshape(-1, *maps.shape[2:])


def _resized(heat: torch.Tensor, side: int) -> torch.Tensor:
    """Heat (n, h, w) on side x side places; each square keeps its share, so that the mean stays the same."""
    rows, columns = (_overlaps(length, side).to(heat) for length in heat.shape[1:])
    return rows @ heat @ columns.T


def _overlaps(length: int, side: int) -> torch.Tensor:
    """Shares of `length` equal pieces in each of `side` equal pieces of the same line: (side, length)."""
    if length == side:
        return torch.eye(side)
    new, old = np.arange(side)[:, None], np.arange(length)[None]
    overlap = np.minimum((new + 1) / side, (old + 1) / length) - np.maximum(new / side, old / length)
    return torch.from_numpy((side * overlap.clip(0)).astype(np.float32))
