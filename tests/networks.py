"""Networks small enough to understand, as training makes them: real torch modules, exported in a second."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from model.card import Card, Label

SIDE = 32
LABELS = (Label(name="bad", value=0), Label(name="good", value=1))
THREE = (Label(name="bad", value=0), Label(name="fair", value=0.5), Label(name="good", value=1))


def card(labels: tuple[Label, ...] = LABELS, side: int = SIDE) -> Card:
    """What nobody but a judge's maker can say."""
    return Card(
        name="tiny",
        version="1",
        description="likes bright photos",
        labels=labels,
        input_size=side,
        training="by hand",
        licence="MIT",
    )


class Brightness(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Likes bright photos, `gain` times as surely as is right; some convolutions that say little else."""

    outputs = ("probabilities", "embedding", "heat")

    def __init__(self, labels: int = 2, gain: float = 1.0, side: int = SIDE) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.side, self.gain = side, gain
        self.register_buffer("temperature", torch.ones(()))
        self.stem = nn.Conv2d(3, 24, 3, stride=2, padding=1)
        self.body = nn.Conv2d(24, 24, 3, padding=1)
        self.register_buffer("pull", torch.linspace(-1, 1, labels))

    def forward(self, photos: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = photos.permute(0, 3, 1, 2).float() / 255
        maps = torch.relu(self.body(torch.relu(self.stem(x))))
        embedding = torch.cat([x.mean((2, 3)), maps.mean((2, 3))], 1)
        odds = 8 * (embedding[:, :3].mean(1, keepdim=True) - 0.5) + 0.01 * embedding[:, 3:].mean(
            1, keepdim=True
        )
        logits = self.gain * odds * self.pull / self.temperature
        return torch.softmax(logits, 1), embedding, maps.mean(1)


@dataclass(frozen=True)
class Trained:
    """Stands for a checkpoint."""

    module: nn.Module
    labels: tuple[Label, ...] = LABELS
    fingerprint: str = "f" * 64

    def network(self) -> nn.Module:
        return self.module.eval()
