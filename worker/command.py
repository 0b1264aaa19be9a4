"""`deepselfie work`."""

from __future__ import annotations

import argparse
import os
import resource
import sys
from collections.abc import Sequence


def work(arguments: Sequence[str]) -> int:
    """Run a worker."""
    from bot import logs

    parser = argparse.ArgumentParser(
        prog="deepselfie work",
        description="Judge the photos of mentions, with a model that is loaded once. "
        "It needs REDIS_URL; WORKER_MODEL names another judge than the one that comes along.",
    )
    logs.add_option(parser)
    parser.parse_args(arguments)
    from bot.queues import RedisUnavailable
    from bot.settings import SettingsError
    from model.judge import JudgeRefused

    # What is in memory stays there: a core dump would hold people's photos.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        _run()
    except (SettingsError, RedisUnavailable, JudgeRefused) as error:
        print(f"deepselfie: {error}", file=sys.stderr)
        return 1
    return 0


def _run() -> None:
    from bot import logs, metrics, monitor, queues
    from bot.settings import load
    from bot.spelling import misspelt
    from worker import memory
    from worker.assembly import assemble
    from worker.settings import WorkerSettings

    settings = load(WorkerSettings, os.environ)
    logs.setup(settings.log_format, settings.secrets)
    for words in misspelt([WorkerSettings], os.environ):
        logs.Log(__name__).warning("unknown setting", note=words)
    url = settings.redis_address
    redis, look = queues.connect(url), monitor.impatient(url)
    # Downloads of usual size; a judge's weights still go back when it is replaced.
    memory.keep_freed(megabytes=16, of_at_most=4)
    service = assemble(settings, redis)
    memory.settle()
    stop = queues.Stop(at_once=False)
    # A Redis that does not answer holds nobody up for longer.
    queues.end_by(stop, settings.grace_seconds + 1.5)
    pulse = monitor.Pulse(queues.TURN_SECONDS)
    monitor.start(
        settings,
        live=lambda: {"loop": pulse.check()},
        ready=lambda: {"redis": monitor.redis_check(look), "judge": metrics.judge_check()},
    )
    queues.until_stopped(queues.PHOTOS, lambda stop: service.run(stop, pulse.turn), stop)
    _end(service.close(stop, settings.grace_seconds))


def _end(left: int) -> None:
    from bot import logs

    if left:
        logs.Log(__name__).warning("stopped before all was judged", mentions=left)
        sys.stdout.flush()
        # Whatever still waits for a slow server must not hold up the end; the ledger knows of it.
        os._exit(0)
