"""The step that is taken again and again, and the look at how far it has led."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, InitProcessGroupKwargs

from model.training.config import Config
from model.training.failure import TrainingFailed
from model.training.learner import Learner, disorder, surprise
from model.training.parts import Part
from model.training.sources import Fed


@dataclass
class Totals:
    """Sums over the posts that have been looked at, in all processes."""

    surprise: float = 0.0
    right: float = 0.0
    posts: float = 0.0

    def add(self, sums: torch.Tensor) -> None:
        """Add a step's sums, (3,)."""
        surprise, right, posts = sums.tolist()
        self.surprise += surprise
        self.right += right
        self.posts += posts

    @property
    def loss(self) -> float:
        """Mean surprise a post."""
        return self.surprise / max(self.posts, 1)

    @property
    def accuracy(self) -> float:
        """Share of the posts whose label was held for the likeliest."""
        return self.right / max(self.posts, 1)


def accelerator(config: Config) -> Accelerator:
    """Find the devices and the other processes of this run."""
    gpu = torch.cuda.is_available()
    exact = config.precision == "fp32" or (
        config.precision == "auto" and not (gpu and torch.cuda.is_bf16_supported())
    )
    # One process fills the cache, the others wait.
    patience = InitProcessGroupKwargs(timeout=timedelta(days=7))
    return Accelerator(cpu=not gpu, mixed_precision="no" if exact else "bf16", kwargs_handlers=[patience])


class Trainer:
    """A learner, its optimiser, and the processes that train it together.

    Each process takes its share of each batch; the gradients are those of the whole batch.
    """

    def __init__(self, learner: Learner, config: Config, team: Accelerator) -> None:
        self.config, self.team, self.bare = config, team, learner
        self.learner, self.optimiser = team.prepare(learner, _optimiser(learner, config))

    def step(self, fed: Fed, part: Part, photos: int) -> torch.Tensor:
        """Learn from this process's share of a batch of so many photos.

        Returns:
            Sums over the whole batch: surprise, right answers, posts.

        Raises:
            TrainingFailed: The loss is no number any more.
        """
        self.learner.train()
        self.optimiser.zero_grad()
        loss, sums = self._loss(fed, part)
        self.team.backward(loss * self.team.num_processes / photos)
        norm = self.team.clip_grad_norm_(self.learner.parameters(), self.config.clip or float("inf"))
        sums = self.team.reduce(sums)
        if not (torch.isfinite(sums).all() and torch.isfinite(norm)):
            raise TrainingFailed(
                f"the loss is {sums[0].item() / max(sums[2].item(), 1):.3g}, its gradient {norm.item():.3g}: "
                "no way leads on from there; the last checkpoint is whole: "
                "begin again with a lower --rate, in another --out"
            )
        self.optimiser.step()
        return sums

    def evaluate(self, feed: Iterable[Fed], part: Part) -> Totals:
        """Look at this process's share of a part; the totals are of all."""
        self.learner.eval()
        totals = Totals()
        with torch.no_grad():
            for fed in feed:
                totals.add(self.team.reduce(self._loss(fed, part)[1]))
        return totals

    def set_rate(self, factor: float) -> None:
        """Take the learning rates times a factor."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["highest"] * factor

    def _loss(self, fed: Fed, part: Part) -> tuple[torch.Tensor, torch.Tensor]:
        """What is to be less, summed over photos, and the sums that are told."""
        device = self.team.device
        counts = torch.from_numpy(part.counts[fed.indices] * fed.readable[:, None]).to(device)  # (n, K)
        posts = counts.sum(1)
        logits = self.learner(*(values.to(device, non_blocking=True) for values in fed.inputs)).float()
        shares = counts / posts.clamp(min=1)[:, None]
        smoothing = self.config.smoothing if self.learner.training else 0.0
        total = (posts * surprise(logits, shares, smoothing)).sum()
        right = counts.gather(1, logits.argmax(1, keepdim=True)).sum()
        loss = total / part.posts_a_photo
        if self.config.rank and self.learner.training:
            better, worse = part.ranked(fed.indices, fed.readable)
            loss = loss + self.config.rank * disorder(logits, better, worse).sum()
        return loss, torch.stack([total.detach(), right, posts.sum()]).double()


def _optimiser(learner: Learner, config: Config) -> torch.optim.Optimizer:
    network = learner.network
    backbone = [value for value in network.backbone.parameters() if value.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": list(network.head.parameters()), "highest": config.rate * config.head_rate},
        {"params": backbone, "highest": config.rate},
    ]
    for group in groups:
        group["lr"] = group["highest"]
    match config.optimiser:
        case "sgd":
            return torch.optim.SGD(groups, momentum=config.momentum, weight_decay=config.decay)
        case "adam":
            return torch.optim.Adam(groups, weight_decay=config.decay)
    # AdamW keeps weights below the decay's inverse: the more features, the smaller each weight has to be.
    auto = config.head_decay == "auto"
    groups[0]["weight_decay"] = network.features / 100 if auto else config.head_decay
    return torch.optim.AdamW(groups, weight_decay=config.decay)


def seed_step(*numbers: int) -> None:
    """Let a step's random numbers follow from where it is in the run, so that it can be taken again."""
    torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))
