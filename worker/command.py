"""`deepselfie work`."""

from __future__ import annotations

import argparse
import os
import resource
import sys
from collections.abc import Sequence


def work(arguments: Sequence[str]) -> int:
    """Run a worker."""
    argparse.ArgumentParser(
        prog="deepselfie work",
        description="Judge the photos of mentions, with a model that is loaded once. "
        "It needs REDIS_URL; WORKER_MODEL names another judge than the one that comes along.",
    ).parse_args(arguments)
    from bot import logs, queues
    from bot.settings import SettingsError, load
    from model.judge import JudgeRefused
    from worker.judge import worker
    from worker.settings import WorkerSettings

    # What is in memory stays there: a core dump would hold people's photos.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        settings = load(WorkerSettings, os.environ)
        logs.setup(settings.log_format, settings.secrets)
        redis = queues.connect(settings.redis_url.get_secret_value())
        worker()
        queues.serve(redis, queues.PHOTOS)
        if left := worker().close():
            logs.Log(__name__).warning("stopped before all was judged", mentions=left)
            sys.stdout.flush()
            # Whatever still waits for a slow server must not hold up the end; the ledger knows of it.
            os._exit(0)
    except (SettingsError, queues.RedisUnavailable, JudgeRefused) as error:
        print(f"deepselfie: {error}", file=sys.stderr)
        return 1
    return 0
