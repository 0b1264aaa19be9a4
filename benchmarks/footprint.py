"""What one mention costs: of Redis, of memory, and of each process's CPU.

A whole bot runs on this machine as real processes. First it is left alone for some seconds, then a photo of
two megapixels is posted to it again and again; what it does while it is quiet is taken off. Round trips are
reads of Redis' sockets; commands count those inside scripts too. At the end the worker is stopped, to see
what a waiting mention takes.

    python -m benchmarks.footprint [--mentions N] [--rate R] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.latency import HEIGHT, WIDTH
from bot import queues
from bot.demo import BOT, Bot, started
from bot.keys import COUNTS
from bot.processes import Event
from bot.sandbox.person import Person
from tests.photos import portrait_jpeg

WARM_UP = 5
QUIET_SECONDS = 10
WAITING = 40
SECONDS = 120

PROCESSES = (*BOT, "redis")

COUNTERS = {
    "round_trips": "total_reads_processed",
    "commands": "total_commands_processed",
    "bytes_in": "total_net_input_bytes",
    "bytes_out": "total_net_output_bytes",
    "bytes_on_disk": "aof_current_size",
}


@dataclass(frozen=True)
class Footprint:
    """Of one mention, from the post to the reply."""

    redis: dict[str, float]
    """By name of the counter."""
    redis_memory: float
    """Bytes that stay once it is over, for BOT_RETENTION_DAYS."""
    redis_memory_waiting: float
    """Bytes while it waits for a worker."""
    cpu_ms: dict[str, float]
    """By process; the worker's with its decoders'."""
    quiet: dict[str, float]
    """The counters in a second in which nothing happens."""
    memory_mb: dict[str, float]
    """What each process holds at the end; what several share, each has a part of."""
    commands: dict[str, float]
    """By name of the command, those inside scripts too."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mentions", type=int, default=100, metavar="N")
    parser.add_argument("--rate", type=float, default=5, metavar="R", help="mentions a second (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    footprint = measure(options.mentions, options.rate)
    if options.json:
        print(json.dumps(asdict(footprint)))
    else:
        show(footprint)


def measure(mentions: int, rate: float) -> Footprint:
    """Run a bot, and read every meter before and after."""
    with tempfile.TemporaryDirectory() as directory, started(Path(directory), 0, _ignore) as bot:
        file = Path(directory) / "photo.jpg"
        file.write_bytes(portrait_jpeg(WIDTH, HEIGHT))
        person = Person(bot.url, "ann")
        redis = queues.connect(bot.redis_url)
        post(person, file, WARM_UP, rate)
        all_answered(redis, WARM_UP)

        quiet = per_second(bot, redis, lambda: time.sleep(QUIET_SECONDS))
        stays, begin = used_memory(redis), time.monotonic()

        def load() -> None:
            post(person, file, mentions, rate)
            all_answered(redis, WARM_UP + mentions)

        busy = per_second(bot, redis, load)
        seconds = time.monotonic() - begin
        stays = used_memory(redis) - stays
        each = {name: (busy[name] - quiet.get(name, 0)) * seconds / mentions for name in busy}
        return Footprint(
            redis={name: each[name] for name in COUNTERS},
            commands={name[8:]: value for name, value in each.items() if name.startswith("command ")},
            redis_memory=stays / mentions,
            redis_memory_waiting=waiting(bot, redis, person, file),
            cpu_ms={name: each[f"cpu {name}"] * 1000 for name in PROCESSES},
            quiet={name: quiet[name] for name in COUNTERS},
            memory_mb={name: memory(bot.processes.pid(name)) / 1e6 for name in PROCESSES},
        )


def post(person: Person, file: Path, mentions: int, rate: float) -> None:
    begin = time.monotonic()
    for number in range(mentions):
        time.sleep(max(0.0, begin + number / rate - time.monotonic()))
        person.post("@deepselfie look", [person.upload(file)])


def all_answered(redis: Redis, mentions: int) -> None:
    deadline = time.monotonic() + SECONDS
    while int(redis.hget(COUNTS, "sent") or 0) < mentions:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{mentions} mentions were not answered within {SECONDS} s")
        time.sleep(0.2)


def waiting(bot: Bot, redis: Redis, person: Person, file: Path) -> float:
    """Bytes of Redis for a mention that nobody judges."""
    os.kill(bot.processes.pid("worker"), signal.SIGSTOP)
    before = used_memory(redis)
    post(person, file, WAITING, WAITING)
    time.sleep(1)
    grown = used_memory(redis) - before
    os.kill(bot.processes.pid("worker"), signal.SIGCONT)
    return grown / WAITING


def per_second(bot: Bot, redis: Redis, do: Callable[[], object]) -> dict[str, float]:
    """How fast each meter runs meanwhile."""
    before, begin = meters(bot, redis), time.monotonic()
    do()
    after, seconds = meters(bot, redis), time.monotonic() - begin
    return {name: (after[name] - before.get(name, 0)) / seconds for name in after}


def meters(bot: Bot, redis: Redis) -> dict[str, float]:
    info: Any = redis.info("everything")
    read = {name: float(info[field]) for name, field in COUNTERS.items()}
    stats = {name: value for name, value in info.items() if name.startswith("cmdstat_")}
    read |= {f"command {name[8:]}": float(value["calls"]) for name, value in stats.items()}
    return read | {f"cpu {name}": cpu(bot.processes.pid(name)) for name in PROCESSES}


def used_memory(redis: Redis) -> float:
    info: Any = redis.info("memory")
    return float(info["used_memory_dataset"])


def family(pid: int) -> list[int]:
    """A process and all below it: a worker's decoders."""
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it has just ended
            children += map(int, task.read_text().split())
    return [pid, *(one for child in children for one in family(child))]


def cpu(pid: int) -> float:
    """Seconds of a core's time, with those of children that have ended."""
    ticks = 0
    for one in family(pid):
        with contextlib.suppress(OSError):  # it has just ended, and counts for its parent
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Bytes, of shared pages each sharer's part."""
    lines = [Path(f"/proc/{one}/smaps_rollup").read_text() for one in family(pid)]
    return 1024.0 * sum(int(text.partition("\nPss:")[2].split()[0]) for text in lines)


def show(footprint: Footprint) -> None:
    print(f"one mention with a photo of {WIDTH}x{HEIGHT}\n")
    for name, value in footprint.redis.items():
        print(f"  redis {name:14} {value:9.1f}   quiet, a second: {footprint.quiet[name]:.1f}")
    print(f"  redis memory, kept   {footprint.redis_memory:9.0f} bytes")
    print(f"  redis memory, queued {footprint.redis_memory_waiting:9.0f} bytes")
    for name, value in footprint.cpu_ms.items():
        print(f"  cpu {name:16} {value:9.1f} ms  memory {footprint.memory_mb[name]:5.0f} MB")
    busiest = sorted(footprint.commands.items(), key=lambda pair: -pair[1])[:12]
    print("\n  " + ", ".join(f"{name} {value:.1f}" for name, value in busiest))


def _ignore(_: str, event: Event) -> None:
    del event


if __name__ == "__main__":
    main()
