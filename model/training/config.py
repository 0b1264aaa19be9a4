"""Every knob of a training run, one line each with its reason; a checkpoint carries them all."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Pooling = Literal["last", "stages"]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Freeze = Annotated[int, Field(ge=0)] | Literal["auto", "all", "none"]


class Augmentation(BaseModel):
    """How far photos are changed at random while training; all of it at once, and the squish stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip: Annotated[float, Field(ge=0, le=1)] = Field(0, description="share of photos that are mirrored")
    shift: Share = Field(0, description="most that a photo moves, as a share of its side")
    scale: Share = Field(0, description="most that a photo grows or shrinks: 0.1 is by 1.1 or 1/1.1")
    rotate: Annotated[float, Field(ge=0, le=180)] = Field(
        0, description="most that a photo turns, in degrees"
    )
    shear: Annotated[float, Field(ge=0, lt=90)] = Field(0, description="most that a photo leans, in degrees")
    stretch: Share = Field(0, description="most that width grows against height: 0.1 is by 1.1 or 1/1.1")

    @property
    def any(self) -> bool:
        """Whether photos are changed at all."""
        return any(self.model_dump().values())


OFF = Augmentation()
ON = Augmentation(flip=0.5, shift=0.05, scale=0.1, rotate=5, shear=5, stretch=0.1)
"""Pieters' list for galaxies, tamed: there is an up and a down in photos, and a face's size matters."""


class Config(BaseModel):
    """How a network is trained. The defaults train a head on EfficientNet-Lite0 in a minute or so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str = Field("lite0", description="lite0-2, vgg16, alexnet, caffenet, tiny or timm:NAME")
    weights: str = Field(
        "auto",
        description="what the backbone starts from: a file, `package` or `none`; auto: what it comes with",
    )
    pooling: Pooling = Field(
        "stages", description="features from the `last` maps, or from all `stages` where a backbone has them"
    )
    dropout: Share = Field(0, description="share of features forgotten while training; the article had none")
    freeze: Freeze = Field(
        "auto",
        description="blocks that stay as they are: all, none, or the first N; auto: all that have weights",
    )
    epochs: Annotated[int, Field(ge=1)] = Field(20, description="how often every photo is looked at")
    batch: Annotated[int, Field(ge=1)] = Field(64, description="photos a step, over all processes")
    rate: Positive = Field(1e-5, description="learning rate of the backbone")
    head_rate: Positive = Field(10, description="the new head's learning rate, as a multiple of that")
    optimiser: Literal["adamw", "adam", "sgd"] = Field("adamw", description="what turns gradients into steps")
    momentum: Share = Field(0.9, description="of SGD")
    decay: NotNegative = Field(0.01, description="weight decay")
    head_decay: NotNegative | Literal["auto"] = Field(
        "auto", description="the head's, with AdamW; auto: a hundredth of the number of features it sees"
    )
    schedule: Literal["constant", "step", "cosine", "one-cycle"] = Field(
        "cosine", description="the learning rate over time; step: a tenth after each third"
    )
    smoothing: Share = Field(0, description="share of each label's odds that goes to all labels alike")
    clip: NotNegative = Field(1, description="largest norm of the gradients; 0: no limit")
    rank: NotNegative = Field(0, description="weight of the loss over pairs of photos (column `pair`)")
    alike: str = Field(
        "",
        description="column that says which photos are of one shot: the head is fitted at once, by least "
        "squares, and what differs within a shot counts for little; for frozen backbones",
    )
    steadiness: NotNegative = Field(20, description="weight of the differences within a shot, with --alike")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 on GPUs that have it, otherwise fp32"
    )
    patience: Annotated[int, Field(ge=0)] = Field(
        0, description="stop after N epochs without a better one; 0: never"
    )
    seed: Annotated[int, Field(ge=0)] = Field(2015, description="of everything that is random")
    smoke: bool = Field(False, description="a few hundred photos and two epochs, to see that all is well")
    augmentation: Augmentation = OFF
