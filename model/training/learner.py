"""What is trained of a network, and what it is told to do better."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as torch's users know it)

from model.training.network import Network


class Learner(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A network whose first `depth` blocks stay as they are.

    Args:
        network: What learns.
        depth: Blocks that do not.
        norms: Whether batch normalisation learns its statistics.
    """

    def __init__(self, network: Network, depth: int, *, norms: bool) -> None:
        super().__init__()
        self.network, self.depth, self.norms = network, depth, norms
        for parameter in network.backbone.parameters():
            parameter.requires_grad_(depth == 0)
        for block in network.backbone.blocks[depth:]:
            block.requires_grad_(True)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Photos, uint8, or maps and pooled features at `depth`, or features → logits (n, K)."""
        return self.network.judge(self.features(*inputs))

    def features(self, *inputs: torch.Tensor) -> torch.Tensor:
        """What the head sees of such inputs, (n, F)."""
        if inputs[0].dtype == torch.uint8:
            return self.network.finish(*self.network.begin(inputs[0], 0), 0)
        if len(inputs) == 1:
            return inputs[0]
        maps, pooled = inputs
        return self.network.finish(maps.float(), pooled, self.depth)

    def train(self, mode: bool = True) -> Learner:
        """Let dropout forget, and batch normalisation learn if it is to, but never in the frozen part."""
        super().train(mode)
        for block in self.network.backbone.blocks[: self.depth]:
            block.eval()
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and not self.norms:
                module.eval()
        return self


def surprise(logits: torch.Tensor, targets: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Cross-entropy (n,) of logits (n, K) against shares of labels (n, K)."""
    blurred = targets * (1 - smoothing) + smoothing / targets.shape[1]
    return -(blurred * F.log_softmax(logits, 1)).sum(1)


def disorder(logits: torch.Tensor, better: torch.Tensor, worse: torch.Tensor) -> torch.Tensor:
    """Logistic loss (q,) over pairs of rows: 0 where the better photo's score is much the higher."""
    score = logits[:, -1] - logits[:, 0]
    return F.softplus(score[worse] - score[better])
