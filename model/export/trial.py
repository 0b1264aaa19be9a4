"""The photos that an export is tried on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.judge import Floats, Judge
from model.pixels import Pixels

BATCH = 32  # larger ones are no faster on CPUs


@dataclass(frozen=True)
class Trial:
    """n photos that the network did not learn from: those of the validation part."""

    photos: Pixels
    """(n, S, S, 3); may lie on a disk, since only batches of it are read."""
    counts: NDArray[np.float32] | None = None
    """(n, K), how many posts of each label show a photo; None where nobody has labelled them."""

    def __len__(self) -> int:
        return len(self.photos)

    def spread(self, count: int) -> Trial:
        """At most so many of the photos, evenly spread over all."""
        chosen = np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(int)
        return Trial(self.photos[chosen], None if self.counts is None else self.counts[chosen])

    def batches(self) -> Iterator[Pixels]:
        """The photos, a batch at a time."""
        for start in range(0, len(self), BATCH):
            yield np.ascontiguousarray(self.photos[start : start + BATCH])

    def probabilities(self, judge: Judge) -> Floats:
        """What a judge thinks of them, (n, K)."""
        return np.concatenate([judge(batch).probabilities for batch in self.batches()])
