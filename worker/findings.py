"""All that can be measured about this machine's decoding and judging, one after the other."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from itertools import groupby
from pathlib import Path
from typing import Any

import onnxruntime as ort
import PIL
from PIL import features

from model.cores import cores
from model.engine import Engine
from model.judge import Judge
from worker import speed
from worker.advice import Advice, advise, best
from worker.decode import Decoders, Limits
from worker.speed import Rate

CPUS = Path("/proc/cpuinfo")

# Turn by turn, and the best one counts: what else the machine does must not make one batch look worse.
ROUNDS = 3

Tick = Callable[[int, int], None]


@dataclass(frozen=True)
class Row:
    """How fast a judge's file is on one engine."""

    file: Path
    engine: Engine
    rate: Rate


@dataclass(frozen=True)
class Findings:
    """What was measured, and what follows from it."""

    machine: str
    """What it is, and which versions of what matters run on it."""
    cores: int
    decoding: dict[int, Rate]
    """By how many photos are decoded at a time."""
    judging: list[Row]
    together: float
    """Photos a second that are decoded and judged by `file`, the fastest, while both share the machine."""
    file: Path
    advice: Advice

    def as_json(self) -> dict[str, Any]:
        """The findings for programs: milliseconds a call, and photos a second."""
        return {
            "machine": self.machine,
            "cores": self.cores,
            "decoding": [{"at_once": count, **asdict(rate)} for count, rate in self.decoding.items()],
            "judging": [
                {"file": str(row.file), **asdict(row.engine), **asdict(row.rate)} for row in self.judging
            ],
            "together_per_s": self.together,
            "file": str(self.file),
            "advice": asdict(self.advice) | {"settings": self.advice.settings},
        }


def find(files: Sequence[Path], photo: bytes, seconds: float, tick: Tick) -> Findings:
    """Measure everything.

    Args:
        files: Judges' files.
        photo: What is decoded.
        seconds: Of each measurement.
        tick: Told after each how many are done, and of how many.

    Raises:
        JudgeRefused: One of the files is no judge, which is found before anything is measured.
        PhotoRejected: The photo is none.
    """
    decoders = Decoders(cores(), Limits())
    try:
        return _find([Judge(file) for file in files], photo, decoders, _Ticking(seconds, tick))
    finally:
        decoders.close()


@dataclass
class _Ticking:
    """Says after each measurement that it is done."""

    seconds: float
    tick: Tick
    expected: int = 0
    done: int = 0

    def __call__(self, rate: Rate) -> Rate:
        self.done += 1
        self.tick(self.done, self.expected)
        return rate


def _find(judges: Sequence[Judge], photo: bytes, decoders: Decoders, ticking: _Ticking) -> Findings:
    here, side = cores(), max(judge.card.input_size for judge in judges)
    engines = [engine for provider in speed.providers() for engine in speed.engines(provider)]
    counts = sorted({1, here})
    ticking.expected = (len(counts) + len(judges) * len(engines) + 1) * ROUNDS
    decoding: dict[int, Rate] = {}
    for count in counts * ROUNDS:
        rate = ticking(speed.decoding(photo, decoders, side, count, ticking.seconds / ROUNDS))
        decoding[count] = _better(rate, decoding.get(count))
    judging = [row for judge in judges for row in _judging(judge.file, engines, ticking)]
    fastest = max(judging, key=lambda row: row.rate.per_s)
    of_it = {row.engine: row.rate for row in judging if row.file == fastest.file}
    engine = best(of_it, here)
    judge = Judge(fastest.file, engine)
    # In whole turns: decoders and judge take a while to find their pace.
    turns = [ticking(speed.both(photo, decoders, judge, ticking.seconds)) for _ in range(ROUNDS)]
    together = reduce(_better, turns)
    advice = advise(engine, decoding[here], of_it[engine], together.per_s, here)
    return Findings(_machine(), here, decoding, judging, together.per_s, fastest.file, advice)


def _better(one: Rate, other: Rate | None) -> Rate:
    return one if other is None or one.per_s > other.per_s else other


def _machine() -> str:
    names = re.findall(r"^model name\s*: (.+)$", _read(CPUS), flags=re.MULTILINE)
    parts = [
        f"{names[0] if names else platform.machine()}, {cores()} of {os.cpu_count()} cores",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        f"ONNX Runtime {ort.__version__}",
        f"Pillow {PIL.__version__} with libjpeg-turbo {features.version('libjpeg_turbo')}",
    ]
    return "; ".join(parts)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def _judging(file: Path, engines: Sequence[Engine], ticking: _Ticking) -> Iterator[Row]:
    # A judge is loaded once for all that only differ in calls and photos.
    for (provider, threads), alike in groupby(engines, lambda engine: (engine.provider, engine.threads)):
        judge = Judge(file, Engine(provider, threads))
        # Of what its card forbids, nothing is measured.
        allowed = [engine for engine in alike if engine.most <= (judge.card.max_batch or engine.most)]
        found: dict[Engine, Rate] = {}
        for engine in allowed * ROUNDS:
            rate = ticking(speed.judging(judge, engine, ticking.seconds / ROUNDS))
            found[engine] = _better(rate, found.get(engine))
        yield from (Row(file, engine, rate) for engine, rate in found.items())
