"""Is a file fit to serve on this machine? Contract, samples of its card, and a first batch of each size."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from model.batches import sizes
from model.card import Card
from model.engine import Engine, preload
from model.judge import Judge, JudgeRefused
from model.patterns import patterns

# There a new size costs its first batch next to nothing, and a large judge takes seconds for many photos.
WARM_ON_CPU = 4

# Cards multiply with 10 bits after the point (TF32), which rounds more than what 32 bits are held to.
TF32_GAP = 0.01

TRIAL_SECONDS = 60
# TensorRT tries out for minutes how to compute a graph, and keeps what it has found.
BUILDING_SECONDS = 900
# -I: no environment variable and no directory that it happens to be started in leads to other code.
TRIAL = (sys.executable, "-I", "-m", "model.verification")
# What a trial may know of its surroundings: where a card, its libraries and TensorRT's findings are.
_PASSED_ON = ("CUDA_VISIBLE_DEVICES", "HOME", "LD_LIBRARY_PATH", "XDG_CACHE_HOME")
_KILL_FIRST = ("/proc/self/oom_score_adj", "1000")


def verify(file: Path, engine: Engine | None = None) -> Judge:
    """Load a judge, hold it to its card, and warm it up for all sizes of batch that it will get.

    Args:
        file: The .onnx file.
        engine: How it is run; by default as `Judge` does.

    Raises:
        JudgeRefused: It breaks the contract, or says something else here than where it was made.
    """
    _check_readable(file)
    judge = Judge(file, engine)
    _check_samples(file, judge)
    most = judge.most if judge.engine.provider != "cpu" else min(judge.most, WARM_ON_CPU)
    # The largest first: memory that it needs serves all others, and TensorRT builds for it only once.
    for size in reversed(sizes(most)):
        judge(patterns(range(size), judge.card.input_size))
    return judge


def verify_apart(file: Path, engine: Engine | None = None) -> Card:
    """Verify a file in a process of its own: one that crashes, hangs or eats all memory costs only that.

    Args:
        file: The .onnx file.
        engine: How it will be run.

    Raises:
        JudgeRefused: As `verify` does, or the process did not survive it.
    """
    engine = engine or Engine()
    seconds = BUILDING_SECONDS if engine.provider == "tensorrt" else TRIAL_SECONDS
    try:
        done = subprocess.run(
            [*TRIAL, str(file.absolute()), json.dumps(asdict(engine))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ}
            | {"OPENBLAS_NUM_THREADS": "1"},
            timeout=seconds,
            check=False,
        )
        said = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        raise JudgeRefused(
            f"{file}: trying it took more than {seconds} s; make a smaller judge, or, if the machine "
            "was busy, `touch` it to have it tried again"
        ) from None
    except (IndexError, ValueError):
        raise JudgeRefused(
            f"{file}: the process that tried it ended with status {done.returncode} (-9: out of memory, "
            "-11: it crashes ONNX Runtime); give it more memory and `touch` it, or export it again"
        ) from None
    if "refused" in said:
        raise JudgeRefused(said["refused"])
    return Card.model_validate(said["card"])


def _check_readable(file: Path) -> None:
    try:
        file.open("rb").close()
    except FileNotFoundError:
        pass  # the judge says so
    except OSError as error:
        raise JudgeRefused(
            f"{file}: it cannot be read ({error.strerror}); let user {_user(file)}'s file be read by all: "
            f"`chmod a+r {file}`"
        ) from error


def _user(file: Path) -> str:
    with contextlib.suppress(OSError, KeyError):
        return file.owner()
    return "its owner"


def _check_samples(file: Path, judge: Judge) -> None:
    parity = judge.card.parity
    if parity is None or not parity.samples:
        return
    expected = [sample.probabilities for sample in parity.samples]
    seeds = [sample.seed for sample in parity.samples]
    if {len(row) for row in expected} != {len(judge.card.labels)}:
        raise JudgeRefused(
            f"{file}: its card has samples of {[len(row) for row in expected]} probabilities, expected "
            f"{len(judge.card.labels)}, one a label; export it again"
        )
    found = judge(patterns(seeds, judge.card.input_size)).probabilities
    gaps = np.abs(found - np.array(expected, np.float32)).max(axis=1)  # (samples,)
    worst = int(np.nan_to_num(gaps, nan=np.inf).argmax())
    tolerance = parity.tolerance if judge.engine.provider == "cpu" else max(parity.tolerance, TF32_GAP)
    # Not `>`: what is no number differs, too.
    if not gaps[worst] <= tolerance:
        raise JudgeRefused(
            f"{file}: for sample {seeds[worst]} it says {found[worst].round(3).tolist()} on this machine, "
            f"where its card has {[round(value, 3) for value in expected[worst]]}; they differ by "
            f"{gaps[worst]:.2g}, limit is {tolerance:g}; export it again, or without --int8"
        )


def _try_out(file: Path, engine: Engine) -> dict[str, object]:
    if engine.provider != "cpu":
        preload(engine.provider)
    try:
        return {"card": verify(file, engine).card.model_dump(mode="json")}
    except JudgeRefused as refused:
        return {"refused": str(refused)}


if __name__ == "__main__":
    # Where memory runs out, this goes and the worker that waits for it stays.
    with contextlib.suppress(OSError):
        Path(_KILL_FIRST[0]).write_text(_KILL_FIRST[1])
    sys.stdout.write(json.dumps(_try_out(Path(sys.argv[1]), Engine(**json.loads(sys.argv[2])))) + "\n")
