"""The judge's description of itself, kept as JSON in its .onnx file's metadata under `card`."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Score = Annotated[float, Field(ge=0, le=1)]

METADATA_KEY = "card"

Precision = Literal["fp32", "fp16", "int8"]
"""What a file's weights are stored in; "int8" also computes in it, "fp16" does not."""


class Label(BaseModel):
    """One class the judge tells apart, and what a photo of that class is worth."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    value: Score


class Sample(BaseModel):
    """What the file said, where it was made, about one square of model/patterns.py."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: Annotated[int, Field(ge=0)]
    probabilities: tuple[Score, ...]


class Parity(BaseModel):
    """How the file was checked against what it was made of, and how a server can check it again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gap: Annotated[float, Field(ge=0)]
    """Largest difference of a probability."""
    photos: Annotated[int, Field(ge=0)]
    """How many photos that was measured on, besides the samples."""
    same_verdicts: Score = 1.0
    """Share of the photos that kept their likeliest label."""
    auc_gap: Annotated[float, Field(ge=0)] | None = None
    """By how much the AUC changed; None where it was not measured."""
    tolerance: Annotated[float, Field(gt=0)]
    """How far a server's probabilities for the samples may be from these."""
    samples: tuple[Sample, ...] = ()


class Card(BaseModel):
    """All that a server needs to know about a judge, and all that a person should know about it.

    A photo's score is Σ p·value over the labels, so that two labels (0 and 1) give the probability
    of the second, and three (0, ½, 1) a score in between.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    version: Annotated[str, Field(min_length=1, max_length=100)]
    description: str
    labels: Annotated[tuple[Label, ...], Field(min_length=2)]
    """In the order of the columns of `probabilities`, from worst to best."""
    input_size: Annotated[int, Field(ge=16, le=2048)]
    """Side of the square the judge expects, in pixels."""
    reference: tuple[Score, ...] = ()
    """Scores of photos it did not learn from as ascending quantiles, evenly spaced; empty when unknown."""
    reference_name: str = ""
    """What those photos are, as it reads after "better than 83 % of": "drawn portraits"."""
    caution: Annotated[str, Field(max_length=120)] = ""
    """One sentence that every reply carries, for a judge that must not be taken at its word."""
    training: str
    metrics: dict[str, float] = {}
    """What was measured; `accuracy`, the share of test photos it was right about, is told with each score."""
    licence: str
    dataset: str = ""
    """Fingerprint of the dataset it learned from; empty when unknown."""
    members: tuple[str, ...] = ()
    """Of an ensemble: name and version of each judge whose probabilities it averages."""
    opset: Annotated[int, Field(ge=1)] | None = None
    """Version of ONNX's operators in the graph; None in files older than this field, like those below."""
    precision: Precision | None = None
    temperature: Annotated[float, Field(gt=0)] | None = None
    """What the logits are divided by in the graph, so that "70 %" is right in 70 of 100."""
    parity: Parity | None = None
    max_batch: Annotated[int, Field(ge=1)] | None = None
    """Photos in one call, for a graph that takes so much memory that more would not fit; None for any."""

    @field_validator("metrics")
    @classmethod
    def _check_accuracy(cls, metrics: dict[str, float]) -> dict[str, float]:
        accuracy = metrics.get("accuracy", 0)
        if not 0 <= accuracy <= 1:
            raise ValueError(f"accuracy is {accuracy}; give it as a share of all, from 0 to 1")
        return metrics

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        values = [label.value for label in self.labels]
        if values != sorted(values):
            raise ValueError(f"labels must go from worst to best, their values are {values}")
        if list(self.reference) != sorted(self.reference):
            raise ValueError("reference must be ascending")
        if self.reference and not self.reference_name:
            raise ValueError("reference_name must say what the reference photos are")
        return self

    @property
    def accuracy(self) -> float | None:
        """Share of the test photos that the judge was right about, 0-1; None where nobody has measured it."""
        return self.metrics.get("accuracy")

    def percentile(self, score: float) -> float | None:
        """Share of the reference photos that score lower, 0-1, ties half; None without a reference."""
        if not self.reference:
            return None
        below, up_to = bisect_left(self.reference, score), bisect_right(self.reference, score)
        return (below + up_to) / 2 / len(self.reference)
