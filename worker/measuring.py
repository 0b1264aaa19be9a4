"""`deepselfie worker bench`: how fast this machine is, and which settings suit it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.findings import Findings

BAR = 30
# Of what it has to do, a core.
BUSY = 0.5
INTERRUPTED = 130

LIMITS = {
    "cores": "the cores, which decoding and judging share",
    "decoding": "decoding, which wants more cores",
    "judging": "judging",
}


def worker(arguments: Sequence[str]) -> int:
    """Run a command about workers."""
    parser = argparse.ArgumentParser(
        prog="deepselfie worker", description="Commands for the machines that workers run on."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    bench = commands.add_parser(
        "bench",
        help="measure this machine, and print the settings to use",
        description="Measure how fast this machine decodes photos and judges them, on each kind of hardware "
        "that it has, and print the settings to use and the mentions a second to expect. It needs no Redis "
        "and no network. Run it where nothing else runs, in the container that the workers will have.",
    )
    bench.add_argument(
        "judges",
        nargs="*",
        type=Path,
        metavar="JUDGE.onnx",
        help="judges' files to compare, such as one in 32 and one in 8 bits; by default WORKER_MODEL, or the "
        "one that comes along",
    )
    bench.add_argument(
        "--photo", type=Path, metavar="FILE", help="decode this photo, not a drawn one of 2048x1536 pixels"
    )
    bench.add_argument(
        "--seconds", type=_seconds, default=1.0, metavar="N", help="of each measurement (%(default)s)"
    )
    bench.add_argument("--json", action="store_true", help="one JSON object with all that was measured")
    return _bench(parser.parse_args(arguments))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 60:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; give seconds, up to 60")
    return seconds


def _bench(options: argparse.Namespace) -> int:
    from model.cores import cores
    from model.judge import DEFAULT_FILE, JudgeRefused
    from model.pixels import PhotoRejected
    from worker import speed
    from worker.findings import find

    if os.getloadavg()[0] > BUSY * cores():
        print("deepselfie: this machine is busy, and will look slower than it is", file=sys.stderr)
    files = options.judges or [Path(os.environ.get("WORKER_MODEL") or DEFAULT_FILE)]
    try:
        photo = options.photo.read_bytes() if options.photo else speed.photo()
        found = find(files, photo, options.seconds, _progress)
    except (JudgeRefused, OSError) as error:
        print(f"deepselfie: {error}", file=sys.stderr)
        return 1
    except PhotoRejected as error:
        print(f"deepselfie: {options.photo}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    if sys.stderr.isatty():
        print("\r\033[K", file=sys.stderr, end="", flush=True)
    print(json.dumps(found.as_json()) if options.json else "\n".join(_lines(found)))
    return 0


def _progress(done: int, expected: int) -> None:
    if sys.stderr.isatty():
        bar = "#" * (BAR * done // expected)
        print(f"\rmeasuring [{bar:{BAR}}] {done} of {expected}", file=sys.stderr, end="", flush=True)


def _lines(found: Findings) -> Iterator[str]:
    yield found.machine
    yield f"\n{'decoding':44}{'at once':>8}{'ms each':>11}{'photos/s':>10}"
    for count, rate in found.decoding.items():
        yield f"{'':44}{count:8}{rate.ms:11.1f}{rate.per_s:10.0f}"
    heads = "".join(f"{head:>8}" for head in ("runs on", "calls", "threads", "batch"))
    yield f"\n{'judging':20}{heads}{'ms a call':>11}{'photos/s':>10}"
    for row in found.judging:
        engine, rate = row.engine, row.rate
        how = f"{engine.provider:>8}{engine.calls:8}{engine.threads:8}{engine.most:8}"
        yield f"{row.file.name[:20]:20}{how}{rate.ms:11.1f}{rate.per_s:10.0f}"
    advice = found.advice
    yield f"\nboth at once         {found.together:.0f} photos/s, judged by {found.file.name}"
    yield f"to expect            {advice.mentions_per_s:.0f} mentions/s, with downloads and Redis"
    yield f"what limits it       {LIMITS[advice.limit]}"
    yield f"workers              {advice.workers}, and one more on another machine if it must never be away"
    yield "settings of each     " + " ".join(f"{name}={value}" for name, value in advice.settings.items())
