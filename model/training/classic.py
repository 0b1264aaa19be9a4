"""Networks of the years of the first @deepselfie, named so that published weight files fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from model.training.backbones import Backbone, Pretrained

DENSE = 4096


class VGG16(Backbone):
    """VGG's 16 layers (configuration D), as torchvision names them; the embedding is fc7."""

    head_prefixes = ("classifier.6.",)

    def __init__(self, dropout: float = 0.0) -> None:
        features: list[nn.Module] = []
        width = 3
        for wider, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(count):
                features += [nn.Conv2d(width, wider, 3, padding=1), nn.ReLU()]
                width = wider
            features.append(nn.MaxPool2d(2))
        dense = [nn.Linear(512 * 7 * 7, DENSE), nn.ReLU(), nn.Dropout(dropout)]
        dense += [nn.Linear(DENSE, DENSE), nn.ReLU()]
        super().__init__(_named(features, dense), _chain([*features, nn.Flatten(), *dense]), DENSE)


class AlexNet(Backbone):
    """AlexNet in one column, as torchvision has it; the embedding is fc7."""

    head_prefixes = ("classifier.6.",)

    def __init__(self, dropout: float = 0.0) -> None:
        features = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)]
        features += [nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
        features += [nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()]
        features += [nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()]
        features += [nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)]
        # Its first dropout forgets parts of maps; the numbers in the layers' names count it.
        dense = [nn.Dropout(dropout), nn.Linear(256 * 6 * 6, DENSE), nn.ReLU()]
        dense += [nn.Dropout(dropout), nn.Linear(DENSE, DENSE), nn.ReLU()]
        super().__init__(_named(features, dense), _chain([*features, nn.Flatten(), *dense]), DENSE)


class CaffeNet(Backbone):
    """Caffe's AlexNet, CharLeNet's start: two columns, responses normalised after pooling, blue first."""

    side = 227
    mean = (122.67891434, 116.66876762, 104.00698793)
    std = (1.0, 1.0, 1.0)
    head_prefixes = ("fc8.",)

    def __init__(self, dropout: float = 0.0) -> None:
        pool, norm = nn.MaxPool2d(3, 2, ceil_mode=True), nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0)
        named = OrderedDict(
            conv1=nn.Conv2d(3, 96, 11, 4),
            conv2=nn.Conv2d(96, 256, 5, padding=2, groups=2),
            conv3=nn.Conv2d(256, 384, 3, padding=1),
            conv4=nn.Conv2d(384, 384, 3, padding=1, groups=2),
            conv5=nn.Conv2d(384, 256, 3, padding=1, groups=2),
            fc6=nn.Linear(256 * 6 * 6, DENSE),
            fc7=nn.Linear(DENSE, DENSE),
        )
        between: dict[str, Sequence[nn.Module]] = {
            "conv1": (pool, norm),
            "conv2": (pool, norm),
            "conv5": (pool, nn.Flatten()),
            "fc6": (nn.Dropout(dropout),),
        }
        blocks = [nn.Sequential(layer, nn.ReLU(), *between.get(name, ())) for name, layer in named.items()]
        blocks[0] = nn.Sequential(_BlueFirst(), *blocks[0])
        super().__init__(nn.ModuleDict(named), blocks, DENSE)


class Tiny(Backbone):
    """Four convolutions for photos of 64 x 64 pixels."""

    side = 64
    pretrained: Pretrained = "none"

    def __init__(self, _dropout: float = 0.0) -> None:
        widths = (16, 32, 48, 64)
        layers = []
        for width, wider in zip((3, *widths), widths, strict=False):
            layers += [nn.Conv2d(width, wider, 3, stride=2, padding=1), nn.ReLU()]
        published = nn.Sequential(*layers)
        super().__init__(published, _chain(layers), widths[-1], dict(enumerate(widths[:-1])))


class _BlueFirst(nn.Module):  # type: ignore[misc]
    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return photos.flip(1)


def _named(features: list[nn.Module], dense: list[nn.Module]) -> nn.Module:
    return nn.ModuleDict({"features": nn.Sequential(*features), "classifier": nn.Sequential(*dense)})


def _chain(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """Blocks of layers, each with one layer of weights, and what follows until the next."""
    blocks: list[list[nn.Module]] = []
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            blocks.append([])
        blocks[-1].append(layer)
    return [nn.Sequential(*block) for block in blocks]
