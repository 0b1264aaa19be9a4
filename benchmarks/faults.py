"""Whether the bot keeps its promise, never lost and never twice, while everything breaks.

A whole bot runs as real processes: the sandbox network, Valkey, a listener, two workers, two responders.
People mention it with links to real photos; meanwhile, drawn from a seed, processes are killed (kill -9) and
come back at once, are stopped (SIGSTOP) past their lease and go on, Valkey goes away for 45 seconds, and the
network drops answers, fails before and after the deed, limits, delays, closes and mutes its stream, repeats
and reorders events, and honours, ignores or races on idempotency keys. In the end the network's own database
tells how many replies each mention has. An apology is a reply.

A killed Valkey finds the end of its append-only file torn: a command, or a transaction, of which the last
bytes are missing. That is all that may be missing: Valkey writes before it acknowledges, and what a process
wrote survives its kill -9, so the promise does not cover a file that lost what was acknowledged.

    python -m benchmarks.faults --mentions N --kills K [--seed S] [--rate R] [--only worker] [--json]
                                [--without sweeper|fencing|reconcile|cursor] [--network mastodon|x|bluesky]

Exit status: 0 if nothing was lost or answered twice; with --without, 0 if something was.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import get_args

from benchmarks.faults_network import NETWORKS
from benchmarks.faults_plan import TARGETS, Options
from benchmarks.faults_run import run
from bot.chaos import Protection


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    # Whatever ends this run, its processes have to end with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    outcome = run(options, lambda line: print(line, file=sys.stderr, flush=True))
    if options.json:
        print(json.dumps(asdict(outcome)))
    else:
        for name, value in asdict(outcome).items():
            print(f"{name + ' (> 60 s)' if name == 'late' else name:15} {value}")
    return int(outcome.is_broken == (options.without is None))


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mentions", type=int, required=True, metavar="N")
    parser.add_argument("--kills", type=int, required=True, metavar="K")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--without", choices=get_args(Protection), help="turn one protection off")
    parser.add_argument("--rate", type=float, default=25, metavar="R", help="mentions a second (%(default)s)")
    parser.add_argument(
        "--only", choices=list(TARGETS), help="kill only these, evenly, and let nothing else go wrong"
    )
    parser.add_argument(
        "--network", choices=list(NETWORKS), default="mastodon", help="on which network (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return Options(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
