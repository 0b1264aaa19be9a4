"""Mentions through a whole worker, next to what their photos cost anyway.

A real Valkey, photos of 2048 pixels from a web server in a process of its own, and `deepselfie work` as it
is; nothing of it knows that it is measured. Turns of the worker and of its limit, decoding and ONNX Runtime
alone (pipeline_limit.py), alternate, since what else the machine does changes. The worker's CPU is that of
its decoders too, and Redis' CPU is added; the web server's is not.

    python -m benchmarks.pipeline [--mentions N] [--turns T] [--seconds S] [--model FILE] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.footprint import cpu, family
from benchmarks.pipeline_limit import Alone, Limit, Row, limit
from benchmarks.pipeline_stage import FILES, WIDTH, Stage, stage
from model.judge import DEFAULT_FILE

WARM_UP = 64
RATE = 10
QUIET_PAUSE = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mentions", type=int, default=200, metavar="N", help="in a turn (%(default)s)")
    parser.add_argument("--turns", type=int, default=5, metavar="T", help="of each (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=20, metavar="S", help="at 10 mentions a second, and idle"
    )
    parser.add_argument("--model", type=Path, default=DEFAULT_FILE, metavar="FILE", help="another judge")
    parser.add_argument("--json", action="store_true", help="one JSON object: ratios, ms, %%, MB")
    options = parser.parse_args()
    # As Ctrl-C does: what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    found = measure(options.model, options.mentions, options.turns, options.seconds)
    print(json.dumps(found)) if options.json else show(found)


def measure(model: Path, mentions: int, turns: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory, stage(Path(directory), model) as there:
        judged(there, WARM_UP)
        with limit(model, there.photos) as bare:
            both = [(busy(there, mentions), bare.turn(mentions)) for _ in range(turns)]
        steps, waits = quiet(there, model, max(20, mentions // 4))
        steady = there.seconds(there.judge_steadily(int(RATE * seconds), RATE))
        # What it does right after a load is over, and once a minute, is not what it does all day.
        time.sleep(2)
        used = cpu(there.worker)
        time.sleep(seconds)
        idle = (cpu(there.worker) - used) / seconds
        rss = sum(memory(pid) for pid in family(there.worker))
        return (
            summary(both, mentions, bare)
            | latency(steps, waits, steady)
            | {
                "idle_percent": idle * 100,
                "rss_mb": rss,
                "rss_worker_mb": memory(there.worker),
                "photo_kb": statistics.mean(map(len, there.photos)) / 1000,
            }
        )


def busy(there: Stage, mentions: int) -> Row:
    """CPU seconds and seconds of so many mentions that all wait."""
    worker, redis = there.worker, there.processes.pid("redis")
    keys = there.hear(mentions)
    before, began = (cpu(worker), cpu(redis)), time.perf_counter()
    there.judge(keys)
    seconds, after = time.perf_counter() - began, (cpu(worker), cpu(redis))
    there.seconds(keys)  # which sees to it that all were judged
    return {"worker": after[0] - before[0], "redis": after[1] - before[1], "seconds": seconds}


def quiet(there: Stage, model: Path, mentions: int) -> tuple[Row, list[float]]:
    """The steps of one photo alone, and seconds of mentions of which one comes when the last is over."""
    alone, waits = Alone(model, there.port), []
    for number in range(mentions):
        alone.measure(f"/{number % FILES}.jpg")
        time.sleep(QUIET_PAUSE)
        waits += judged(there, 1)
    return alone.steps, waits


def judged(there: Stage, mentions: int) -> list[float]:
    """Seconds of so many mentions, all heard of at once, from there to each one's verdict."""
    keys = there.hear(mentions)
    there.judge(keys)
    return there.seconds(keys)


def memory(pid: int) -> float:
    """Megabytes that a process has in memory, with all that it shares."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def summary(both: Sequence[tuple[Row, Row]], mentions: int, bare: Limit) -> dict[str, Any]:
    ours = [run["worker"] + run["redis"] for run, _ in both]
    bound = [turn["decode_cpu"] + turn["judge_cpu"] for _, turn in both]

    def each(values: Iterator[float]) -> float:
        return statistics.median(values) / mentions * 1000

    return {
        # Of medians of turns side by side: a neighbour's work hits both.
        "cpu_ratio": statistics.median(mine / least for mine, least in zip(ours, bound, strict=True)),
        "throughput_ratio": statistics.median(turn["seconds"] / run["seconds"] for run, turn in both),
        "cpu_ms": each(iter(ours)),
        "worker_cpu_ms": each(run["worker"] for run, _ in both),
        "redis_cpu_ms": each(run["redis"] for run, _ in both),
        "decode_cpu_ms": each(turn["decode_cpu"] for _, turn in both),
        "judge_cpu_ms": each(turn["judge_cpu"] for _, turn in both),
        "per_second": 1000 / each(run["seconds"] for run, _ in both),
        "limit_per_second": 1000 / each(turn["seconds"] for _, turn in both),
        "cheapest": str(bare.cheapest),
        "fastest": str(bare.fastest),
    }


def latency(steps: Row, waits: Sequence[float], steady: Sequence[float]) -> dict[str, Any]:
    alone, wait = sum(steps.values()), statistics.median(waits)
    p50, p95, p99 = (float(np.percentile(steady, percent)) * 1000 for percent in (50, 95, 99))
    return {
        "quiet_ratio": wait / alone,
        "quiet_ms": wait * 1000,
        "alone_ms": {step: seconds * 1000 for step, seconds in steps.items()},
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "p99_over_p50": p99 / p50,
    }


def show(found: dict[str, Any]) -> None:
    alone = ", ".join(f"{step} {ms:.1f}" for step, ms in found["alone_ms"].items())
    print(f"""photos of {WIDTH} pixels, {found["photo_kb"]:.0f} kB, over HTTP

all at once                ours     limit
  CPU a mention       {found["cpu_ms"]:7.1f} ms {found["decode_cpu_ms"] + found["judge_cpu_ms"]:6.1f} ms  \
ratio {found["cpu_ratio"]:.3f} (at most 1.10)
    decoding                  {found["decode_cpu_ms"]:9.1f} ms
    judging                   {found["judge_cpu_ms"]:9.1f} ms  {found["cheapest"]}
    worker, decoders  {found["worker_cpu_ms"]:7.1f} ms
    Redis             {found["redis_cpu_ms"]:7.1f} ms
  mentions a second   {found["per_second"]:7.1f}    {found["limit_per_second"]:6.1f}     \
ratio {found["throughput_ratio"]:.3f} (at least 0.95; {found["fastest"]})
one at a time
  heard to verdict    {found["quiet_ms"]:7.1f} ms {sum(found["alone_ms"].values()):6.1f} ms  \
ratio {found["quiet_ratio"]:.2f} (at most 1.3; {alone})
{RATE} a second
  p50, p95, p99       {found["p50_ms"]:7.1f} ms, {found["p95_ms"]:.1f} ms, {found["p99_ms"]:.1f} ms  \
ratio {found["p99_over_p50"]:.1f} (at most 4)
idle
  of a core           {found["idle_percent"]:7.2f} %  (at most 0.5)
  memory              {found["rss_mb"]:7.0f} MB (at most 400; the worker alone {found["rss_worker_mb"]:.0f}, \
the rest are its decoders)""")


if __name__ == "__main__":
    main()
