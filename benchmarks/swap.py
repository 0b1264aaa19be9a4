"""What it costs to swap the judge under load: time until the new one judges, the dip, and memory.

One worker on this machine, with mentions put straight into the ledger at a steady rate; the judge that comes
along is put into its folder again and again, each time with another version in its card.

    python -m benchmarks.swap [--swaps N] [--rate N] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

import onnx
from redis import Redis

from bot.processes import Processes
from bot.valkey import start_valkey
from model.card import METADATA_KEY
from model.judge import DEFAULT_FILE
from tests.workers import Workers, workers

QUIET_SECONDS = 8
SWAP_SECONDS = 60


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--swaps", type=int, default=10, metavar="N")
    parser.add_argument("--rate", type=float, default=5, metavar="N", help="mentions a second (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object; seconds and MB")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = measure(Path(directory), options.swaps, options.rate)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:28} {value}")


def measure(directory: Path, swaps: int, rate: float) -> dict[str, object]:
    """Swap some times, and tell what was seen."""
    processes = Processes(lambda _name, _event: None)
    folder = directory / "judges"
    folder.mkdir()
    judge_of_version(folder / "v0.onnx", "0")
    try:
        redis_url = start_valkey(processes, directory)
        with Redis.from_url(redis_url) as redis, workers(redis, redis_url, folder) as station:
            station.start()
            return _swap(station, directory, swaps, rate)
    finally:
        processes.stop()


def _swap(station: Workers, directory: Path, swaps: int, rate: float) -> dict[str, object]:
    stop, keys = threading.Event(), list[str]()

    def crowd() -> None:
        while not stop.wait(1 / rate):
            keys.append(station.mention())

    thread = threading.Thread(target=crowd)
    thread.start()
    puts, megabytes = list[float](), list[int]()
    try:
        time.sleep(QUIET_SECONDS)
        for number in range(1, swaps + 1):
            megabytes.append(_megabytes(station))
            file = judge_of_version(directory / "new.onnx", str(number))
            puts.append(time.time())
            # The same two names in turn, as an operator's folder does not grow for ever either.
            file.rename(station.folder / f"v{number % 2}.onnx")
            assert station.logged("judge swapped", SWAP_SECONDS, version=str(number))
            time.sleep(QUIET_SECONDS)
        megabytes.append(_megabytes(station))
    finally:
        stop.set()
        thread.join()
    records = {key: station.record(key) for key in keys}
    versions = {key: station.judged_by(key).removeprefix("drawn ") for key in keys}
    times = {key: station.record(key).times for key in records}
    first = [
        min(times[key]["ready"] for key in keys if versions[key] == str(number)) - put
        for number, put in enumerate(puts, 1)
    ]
    waits = {key: times[key]["ready"] - times[key]["new"] for key in keys}
    during = [
        waits[key]
        for key in keys
        if any(put <= times[key]["new"] <= put + seconds for put, seconds in zip(puts, first, strict=True))
    ]
    quiet = [waits[key] for key in keys if waits[key] not in during]
    return {
        "mentions": len(keys),
        "first verdict after": _spread(first),
        "latency in quiet times": _spread(quiet),
        "latency during a swap": _spread(during),
        "resident MB, each swap": megabytes,
    }


def judge_of_version(file: Path, version: str) -> Path:
    """Write the judge that comes along with another version in its card."""
    model = onnx.load(DEFAULT_FILE)
    [card] = [prop for prop in model.metadata_props if prop.key == METADATA_KEY]
    card.value = json.dumps(json.loads(card.value) | {"version": version})
    onnx.save(model, file)
    return file


def _megabytes(station: Workers) -> int:
    status = Path(f"/proc/{station.processes.pid('worker')}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def _spread(seconds: list[float]) -> dict[str, float]:
    steps = statistics.quantiles(seconds, n=20, method="inclusive")
    return {"p50": round(steps[9], 3), "p95": round(steps[18], 3), "max": round(max(seconds), 3)}


if __name__ == "__main__":
    main()
