"""A judge: one .onnx file, loaded once, that turns squares of pixels into opinions.

The file is the whole contract. Input `photos`: uint8 (n, S, S, 3) RGB. Outputs: `probabilities` float32
(n, K), whose rows sum to 1, and `embedding` float32 (n, D); `heat` float32 (n, h, w) when the
architecture gives it cheaply. Cast, mean and standard deviation, layout and softmax are inside the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from pydantic import ValidationError

from model.binding import Bound
from model.card import METADATA_KEY, Card
from model.cores import cores
from model.engine import NAMES, Engine, start
from model.pixels import Pixels

DEFAULT_FILE = Path(__file__).with_name("default.onnx")

Floats = NDArray[np.float32]
Run = Callable[[Sequence[str], Pixels], list[Any]]


class JudgeRefused(Exception):
    """A file that is no judge, with the reason and what to do in one sentence."""


@dataclass(frozen=True)
class Opinions:
    """What a judge thinks of n photos."""

    scores: Floats
    """(n,), 0 worst to 1 best."""
    probabilities: Floats
    """(n, K), one column a label."""
    embedding: Floats
    """(n, D), the penultimate features."""


class Judge:
    """One loaded model file. Safe to call from several threads.

    Args:
        file: The .onnx file.
        engine: How it is run; by default on the CPU, with as many threads a call as this process has cores.

    Raises:
        JudgeRefused: The file is missing, its card or graph breaks the contract, or the engine cannot run it.
    """

    def __init__(self, file: Path = DEFAULT_FILE, engine: Engine | None = None) -> None:
        self.file = file
        self.engine = engine or Engine(threads=cores())
        self._session = _load(file, self.engine)
        self._run = _runner(self._session, self.engine)
        self.card = _read_card(file, self._session)
        _check_graph(file, self._session, self.card)
        _check_output(file, self._run, self.card)

    @property
    def most(self) -> int:
        """Photos that one call of the model gets at the most."""
        return min(self.engine.most, self.card.max_batch or self.engine.most)

    def __call__(self, photos: Pixels) -> Opinions:
        """Judge photos of shape (n, S, S, 3), S being `card.input_size`."""
        limit = self.card.max_batch or len(photos)
        parts = [
            self._run(["probabilities", "embedding"], photos[begin : begin + limit])
            for begin in range(0, len(photos), limit)
        ]
        probabilities, embedding = (
            parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        )
        values = np.array([label.value for label in self.card.labels], dtype=np.float32)  # (K,)
        return Opinions((probabilities @ values).clip(0, 1), probabilities, embedding)

    def label(self, probabilities: Floats) -> str:
        """Name of the likeliest label of one photo's probabilities, shape (K,)."""
        return self.card.labels[int(probabilities.argmax())].name


def _load(file: Path, engine: Engine) -> ort.InferenceSession:
    if not file.is_file():
        raise JudgeRefused(f"{file}: no such file; name a judge's .onnx file")
    try:
        session = start(file, engine.threads, engine.provider)
    # ONNX Runtime's errors share no base class but Exception.
    except Exception as error:
        on = (
            ""
            if engine.provider == "cpu"
            else f" on {engine.provider}, which WORKER_PROVIDER=cpu does without"
        )
        raise JudgeRefused(f"{file}: no ONNX file that can be loaded{on} ({error})") from error
    if NAMES[engine.provider] not in session.get_providers():
        raise JudgeRefused(
            f"{file}: {engine.provider} did not start for it, only {', '.join(session.get_providers())}; "
            "see whether `nvidia-smi` still lists the card; WORKER_PROVIDER=cpu does without"
        )
    return session


def _runner(session: ort.InferenceSession, engine: Engine) -> Run:
    if engine.provider != "cpu":
        return Bound(session, "cuda")
    return lambda outputs, photos: session.run(outputs, {"photos": photos})


def _read_card(file: Path, session: ort.InferenceSession) -> Card:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise JudgeRefused(
            f"{file}: its metadata holds no {METADATA_KEY!r}; export it with `deepselfie model export`"
        )
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        raise JudgeRefused(f"{file}: its card is wrong: {error}") from error


def _check_graph(file: Path, session: ort.InferenceSession, card: Card) -> None:
    inputs = [(tensor.name, tensor.type, list(tensor.shape[1:])) for tensor in session.get_inputs()]
    side = card.input_size
    expected = [("photos", "tensor(uint8)", [side, side, 3])]
    if inputs != expected:
        raise JudgeRefused(f"{file}: the inputs are {inputs}, expected {expected}")
    if isinstance(session.get_inputs()[0].shape[0], int):
        raise JudgeRefused(f"{file}: the batch size is fixed; export it with a dynamic first dimension")
    outputs = {tensor.name for tensor in session.get_outputs()}
    if missing := {"probabilities", "embedding"} - outputs:
        raise JudgeRefused(f"{file}: outputs are {sorted(outputs)}, {sorted(missing)} missing")


def _check_output(file: Path, run: Run, card: Card) -> None:
    # Also warms the session up: the first call pays for ONNX Runtime's memory planning.
    grey = np.full((1, card.input_size, card.input_size, 3), 127, dtype=np.uint8)
    [probabilities] = run(["probabilities"], grey)
    expected = (1, len(card.labels))
    if probabilities.shape != expected or not np.allclose(probabilities.sum(), 1, atol=1e-3):
        raise JudgeRefused(
            f"{file}: a grey photo's probabilities are {probabilities.tolist()}, "
            f"expected {len(card.labels)} that sum to 1; export the model again with a softmax inside"
        )
