"""One training run, from a dataset to RUN/best.pt: begun, gone on with, or found done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from model.dataset.examples import Examples
from model.training.checkpoint import BEST, LAST, Checkpoint, build, commit, load, save
from model.training.config import OFF, Config
from model.training.curves import draw
from model.training.failure import TrainingFailed
from model.training.learner import Learner
from model.training.loading import Indices
from model.training.network import Network
from model.training.parts import part
from model.training.progress import Progress, earlier_run
from model.training.rates import factor
from model.training.sources import Fed, FromCache, Means, Setting, Source, source
from model.training.steadiness import fit_head
from model.training.trainer import Totals, Trainer, accelerator, seed_step
from model.training.trunk import Trunk
from model.training.weights import NONE, chosen, load_head, load_weights

STANDARD_PHOTOS = 512
"""That the features' means and spreads are taken from."""


def train(examples: Examples, out: Path, config: Config, means: Means) -> Checkpoint:
    """Train a network, or go on with it.

    Args:
        examples: The dataset.
        out: The run's folder; an unfinished run in it is gone on with.
        config: How to train.
        means: What it may use of the machine.

    Returns:
        The best checkpoint, which is also in `out`.

    Raises:
        TrainingFailed: It cannot begin, or go on; the last checkpoint is whole.
    """
    earlier = earlier_run(examples, out, config)
    run = Run(examples, out, config, earlier)
    with ExitStack() as closing:
        run.prepare(means, closing)
        while not run.is_over:
            run.fit() if config.alike else run.epoch()
    return load(out / BEST)


def frozen_blocks(network: Network, config: Config) -> int:
    """How many of the backbone's blocks stay as they are."""
    blocks, freeze = len(network.backbone.blocks), config.freeze
    if freeze == "auto":
        freeze = "none" if chosen(network.backbone, config.weights) == NONE else "all"
    if isinstance(freeze, str):
        return blocks if freeze == "all" else 0
    if freeze > blocks:
        raise TrainingFailed(f"--freeze is {freeze}, {config.backbone} has {blocks} blocks")
    return freeze


class Run:
    """A network in training, and where it stands."""

    def __init__(self, examples: Examples, out: Path, config: Config, earlier: Checkpoint | None) -> None:
        self.examples, self.out, self.config, self.earlier = examples, out, config, earlier
        self.learnt, self.held_out = (part(examples, name, config) for name in ("train", "validation"))
        self.network = build(config, len(examples.labels))
        self.depth = frozen_blocks(self.network, config)
        self.has_head = bool(earlier)
        if earlier:
            self.network.load_state_dict(earlier.state)
        else:
            load_weights(self.network.backbone, config.weights)
            self.has_head = load_head(self.network, config.weights)
        self.now = Progress()
        self.commit = commit()
        self.team = accelerator(config)

    def prepare(self, means: Means, closing: ExitStack) -> None:
        """Fill the caches, standardise the features and set up the optimiser."""
        self.out.mkdir(parents=True, exist_ok=True)
        folder = means.cache_folder or self.out / "cache"
        setting = Setting(self.config, means, folder, self.examples.fingerprint, self.team)
        trunk = Trunk(self.network, self.depth)
        self.save_seconds = means.save_seconds
        self.train_source = source(self.learnt, trunk, setting, closing)
        self.validation_source = source(self.held_out, trunk, setting, closing)
        self.network.to(self.team.device)
        norms = chosen(self.network.backbone, self.config.weights) == NONE
        learner = Learner(self.network, self.depth, norms=norms)
        if not self.has_head:
            self._standardise()
        self.trainer = Trainer(learner, self.config, self.team)
        if self.earlier:
            kept = dict(self.earlier.progress)
            self.trainer.optimiser.load_state_dict(kept.pop("optimiser"))
            self.now = Progress(**kept | {"totals": Totals(**kept["totals"])})

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or enough were in vain."""
        given_up = bool(self.config.patience) and self.now.waited >= self.config.patience
        return self.now.epoch >= (1 if self.config.alike else self.config.epochs) or given_up

    def fit(self) -> None:
        """Fit the head to all features at once: they stay as they are.

        Raises:
            TrainingFailed: They do not.
        """
        begun = time.monotonic()
        frozen = self.depth == len(self.network.backbone.blocks) and not self.config.augmentation.any
        if not (frozen and isinstance(self.train_source, FromCache)):
            raise TrainingFailed(
                "--alike needs a frozen backbone, photos that are not augmented, and a cache for their "
                "features; add --freeze all, --augment off, or a larger --cache"
            )
        fit_head(self.network, self.train_source.cache, self.learnt, self.config.steadiness)
        batches = self.learnt.batches(self.config.batch)
        self.now.totals = self.trainer.evaluate(self._feed(self.train_source, batches), self.learnt)
        self.now.seconds = time.monotonic() - begun
        self._close_epoch()

    def epoch(self) -> None:
        """Learn from each photo once, or from those that are left; then look at the validation part."""
        config, now = self.config, self.now
        batches = self.learnt.batches(config.batch, (config.seed, now.epoch))
        begun = saved = time.monotonic()
        with self._bar(batches) as bar:
            for fed in self._feed(self.train_source, batches[now.step :], epoch=now.epoch):
                self.trainer.set_rate(
                    factor(config.schedule, (now.epoch + now.step / len(batches)) / config.epochs)
                )
                seed_step(config.seed, now.epoch, now.step, self.team.process_index)
                now.totals.add(self.trainer.step(fed, self.learnt, len(batches[now.step])))
                now.step += 1
                bar.set_postfix(loss=f"{now.totals.loss:.4f}", refresh=False)
                bar.update()
                if time.monotonic() - saved > self.save_seconds:
                    now.seconds += time.monotonic() - begun
                    begun = saved = time.monotonic()
                    self._save(LAST)
        now.seconds += time.monotonic() - begun
        self._close_epoch()

    def _close_epoch(self) -> None:
        now = self.now
        batches = self.held_out.batches(self.config.batch)
        held_out = self.trainer.evaluate(self._feed(self.validation_source, batches), self.held_out)
        now.epoch += 1
        now.history.append(
            {
                "epoch": now.epoch,
                "loss": now.totals.loss,
                "accuracy": now.totals.accuracy,
                "validation_loss": held_out.loss,
                "validation_accuracy": held_out.accuracy,
                "rate": self.trainer.optimiser.param_groups[0]["lr"],
                "seconds": round(now.seconds, 1),
            }
        )
        better = held_out.loss < now.best
        now.best, now.waited = (held_out.loss, 0) if better else (now.best, now.waited + 1)
        now.step, now.totals, now.seconds = 0, Totals(), 0.0
        if better:
            self._save(BEST)
        self._save(LAST)
        if self.team.is_main_process:
            draw(now.history, self.out)

    def _save(self, name: str) -> None:
        """Write a checkpoint; the best one is no run to go on with."""
        if not self.team.is_main_process:
            return
        state = self.network.state_dict()
        if not all(torch.isfinite(value).all() for value in state.values()):
            raise TrainingFailed(
                "a weight is no number any more; the last checkpoint is whole: "
                "begin again with a lower --rate, in another --out"
            )
        now = asdict(self.now) | {"optimiser": self.trainer.optimiser.state_dict()}
        last = self.now.history[-1] if self.now.history else {}
        save(
            Checkpoint(
                config=self.config,
                labels=self.examples.labels,
                fingerprint=self.examples.fingerprint,
                dataset=str(self.examples.folder),
                commit=self.commit,
                epoch=self.now.epoch,
                step=self.now.step,
                metrics={key: last[f"validation_{key}"] for key in ("loss", "accuracy") if last},
                state=state,
                progress=now if name == LAST else {},
            ),
            self.out / name,
        )

    def _standardise(self) -> None:
        """Take means and spreads of the features from some photos as they are."""
        share = -(-self.config.batch // self.team.num_processes)
        batches = self.learnt.batches(share, (self.config.seed,))[: -(-STANDARD_PHOTOS // share)]
        rows = []
        self.network.eval()
        learner = Learner(self.network, self.depth, norms=False)
        with torch.no_grad():
            for fed in self.train_source.feed(batches, OFF, (0, 0)):
                inputs = (values.to(self.team.device) for values in fed.inputs)
                rows.append(learner.features(*inputs)[torch.from_numpy(fed.readable)])
        features = torch.cat(rows)
        self.network.standardise(features.mean(0), features.std(0, correction=0))

    def _feed(self, where: Source, batches: Sequence[Indices], epoch: int | None = None) -> Iterator[Fed]:
        """This process's share of each batch; augmented in an epoch."""
        team = self.team
        shares = [np.array_split(batch, team.num_processes)[team.process_index] for batch in batches]
        if epoch is None:
            return where.feed(shares, OFF, (0, 0))
        return where.feed(shares, self.config.augmentation, (self.config.seed, epoch))

    def _bar(self, batches: Sequence[Indices]) -> tqdm:
        return tqdm(
            desc=f"epoch {self.now.epoch + 1} of {self.config.epochs}",
            total=len(batches),
            initial=self.now.step,
            disable=None if self.team.is_main_process else True,
        )
