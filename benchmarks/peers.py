"""What a photo costs our worker, and what it costs LitServe, BentoML, Ray Serve and Triton.

All serve the judge that comes along to a crowd of 32 over loopback HTTP. Ours is a real `deepselfie work`
with default settings, which fetches each photo from a web server, decodes it in a sandboxed process and keeps
queue and ledger in a real Valkey; all that counts, Valkey too. A peer is posted its photo, and keeps nothing.
Each peer runs twice: given our decoder, and written as its documentation shows (open, convert, resize). Who
asks is not counted, nor is the web server. All run at once and are asked in turns: noise hits all alike.

How peers are set up (benchmarks/peers_*.py): a worker, replica or instance a core; ONNX Runtime with one
thread a call, no spinning, all optimisations of the graph, in the version that we have; batches of up to 4
within 5 ms (BentoML: adaptive); access logs, dashboards and usage statistics off; each photo in the cheapest
form that the peer takes, never base64. BentoML opens a photo itself; our decoder gets the bytes behind it.
Ray Serve's replicas decode in their event loops, as its documentation does. Triton runs by PyTriton, as PyPI
has it: with its Python backend.

    python -m benchmarks.peers [--photos N] [--rounds N] [--batch N] [--only NAME …] [--json]

`--json` prints one object: `ours_cpu_ms`, `ours_per_second`, `bare_cpu_ms` (decoder and ONNX Runtime in a
process with nothing else, a thread a core), `ratio_own_decoder` and `ratio_docs` (ours over the best peer),
and `peers` by name: `own_decoder_cpu_ms`, `own_decoder_per_second`, `docs_cpu_ms`, `docs_per_second`, or why
it is `missing`. Figures and ratios are medians over rounds; CPU is in milliseconds a photo.
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
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.footprint import cpu
from benchmarks.peers_client import crowd
from benchmarks.peers_ours import Ours
from benchmarks.peers_rooms import PEERS, Missing, Server, Setting, probability, serving
from benchmarks.pipeline_stage import stage
from model.cores import cores
from model.engine import Engine
from model.judge import DEFAULT_FILE, Judge
from model.pixels import squish

AT_ONCE = 32
WARM_UP = 64
BATCH = 4
DECODERS = {"own": "own_decoder", "docs": "docs"}
CLOSE = {"own": 0.002, "docs": 0.2}
"""How far a peer's probability may be from ours: a docs' decoder resizes in another way."""


@dataclass
class Contestant:
    """Somebody who judges photos, and what that took in each round."""

    judge: Callable[[int], object]
    """Have so many photos judged."""
    cpu: Callable[[], float]
    """Seconds of processor time so far."""
    cpu_ms: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)

    def go(self, photos: int) -> None:
        """One round."""
        used, begin = self.cpu(), time.perf_counter()
        self.judge(photos)
        self.per_second.append(photos / (time.perf_counter() - begin))
        self.cpu_ms.append((self.cpu() - used) / photos * 1000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=120, metavar="N", help="a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--batch", type=int, default=BATCH, metavar="N", help="photos in a peer's batch (%(default)s)"
    )
    names = [peer.name for peer in PEERS]
    parser.add_argument("--only", nargs="*", choices=names, default=names, help="some peers, or none")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    # So that what was started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="peers-") as folder, ExitStack() as stack:
        rows, missing = contestants(stack, Path(folder), options.only, options.batch)
        for row in rows.values():
            row.judge(WARM_UP)
        for _ in range(options.rounds):
            for row in rows.values():
                row.go(options.photos)
    found = summary(rows, missing) | {"cores": cores(), "load_before": round(load, 2)}
    print(json.dumps(found)) if options.json else show(found)


def contestants(
    stack: ExitStack, folder: Path, names: Iterable[str], batch: int
) -> tuple[dict[str, Contestant], dict[str, str]]:
    """Start all of them.

    Returns:
        The contestants by name, and why those are missing that are.
    """
    there = stack.enter_context(stage(folder, DEFAULT_FILE))
    files, bot, judge = list(there.photos), Ours(there), Judge(DEFAULT_FILE, Engine(threads=1))
    scores = [float(judge(_square(judge, file)[np.newaxis]).scores[0]) for file in files]
    rows = {
        "bare": Contestant(partial(bare, judge, files), time.process_time),
        "ours": Contestant(partial(_ask_ours, bot, scores), bot.cpu),
    }
    missing: dict[str, str] = {}
    for peer in (peer for peer in PEERS if peer.name in names):
        for decoder in DECODERS:
            place = folder / f"{peer.name[0]}{decoder[0]}"  # Ray's sockets need a short one
            try:
                server = stack.enter_context(serving(peer, Setting(decoder, batch), files[0], place))
            except Missing as why:
                missing[peer.name] = str(why)
                break
            ask = partial(_ask_peer, server, files, scores, CLOSE[decoder])
            rows[f"{peer.name} {decoder}"] = Contestant(ask, partial(cpu, server.pid))
    # One that runs only in part takes no part.
    return {name: row for name, row in rows.items() if name.rpartition(" ")[0] not in missing}, missing


def bare(judge: Judge, files: list[bytes], count: int) -> None:
    """Decode and judge photos, a thread a core, and nothing else."""

    def work(share: int) -> None:
        for begin in range(0, share, BATCH):
            numbers = range(begin, min(begin + BATCH, share))
            judge(np.stack([_square(judge, files[number % len(files)]) for number in numbers]))

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(work, [count // cores()] * cores()))


def _square(judge: Judge, file: bytes) -> Any:
    return squish(file, side=judge.card.input_size)


def _ask_ours(bot: Ours, scores: list[float], count: int) -> None:
    _check(bot.crowd(count, at_once=AT_ONCE), scores, CLOSE["own"])


def _ask_peer(server: Server, files: list[bytes], scores: list[float], close: float, count: int) -> None:
    answers = crowd(server.requests(files), count, at_once=AT_ONCE)
    _check([probability(answer) for answer in answers], scores, close)


def _check(found: list[float], scores: list[float], close: float) -> None:
    """Nobody may win by not looking."""
    for one in found:
        gap = min(abs(one - score) for score in scores)
        assert gap <= close, f"a photo got {one:.3f}, expected one of {scores}"


def summary(rows: dict[str, Contestant], missing: dict[str, str]) -> dict[str, Any]:
    """Medians over the rounds, and what ours is next to the best."""
    peers: dict[str, dict[str, Any]] = {name: {"missing": why} for name, why in missing.items()}
    running = [peer.name for peer in PEERS if f"{peer.name} docs" in rows]
    for peer in running:
        peers[peer] = {}
        for key, name in DECODERS.items():
            row = rows[f"{peer} {key}"]
            peers[peer][f"{name}_cpu_ms"] = statistics.median(row.cpu_ms)
            peers[peer][f"{name}_per_second"] = statistics.median(row.per_second)
    return {
        "ours_cpu_ms": statistics.median(rows["ours"].cpu_ms),
        "ours_per_second": statistics.median(rows["ours"].per_second),
        "bare_cpu_ms": statistics.median(rows["bare"].cpu_ms),
        "bare_per_second": statistics.median(rows["bare"].per_second),
        **{
            f"ratio_{name}": max((_ratio(rows, f"{peer} {key}") for peer in running), default=None)
            for key, name in DECODERS.items()
        },
        "peers": peers,
    }


def _ratio(rows: dict[str, Contestant], name: str) -> float:
    """Ours over a peer's, of rounds side by side: what else the machine does hits both."""
    pairs = zip(rows["ours"].cpu_ms, rows[name].cpu_ms, strict=True)
    return statistics.median(mine / its for mine, its in pairs)


def show(found: dict[str, Any]) -> None:
    print(f"a photo of 2048 pixels, {AT_ONCE} at once, {found['cores']} cores\n")
    print(f"{'':12} {'our decoder':>12} {'a second':>9} {'as in docs':>12} {'a second':>9}")
    for name in ("bare", "ours"):
        print(f"{name:12} {found[f'{name}_cpu_ms']:9.1f} ms {found[f'{name}_per_second']:9.1f}")
    for name, peer in found["peers"].items():
        if "missing" in peer:
            print(f"{name:12} missing: {peer['missing']}")
            continue
        cells = [
            f"{peer[f'{decoder}_cpu_ms']:9.1f} ms {peer[f'{decoder}_per_second']:9.1f}"
            for decoder in DECODERS.values()
        ]
        print(f"{name:12} {' '.join(cells)}")
    for name, limit, what in (
        ("ratio_own_decoder", 1.0, "given our decoder"),
        ("ratio_docs", 0.6, "as docs do"),
    ):
        if found[name]:
            print(f"\nours / the best of them {what}: {found[name]:.2f} (at most {limit})", end="")
    print()


if __name__ == "__main__":
    main()
