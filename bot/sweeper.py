"""Rescues mentions whose worker, responder or job is gone, within seconds."""

from __future__ import annotations

import threading
import time

from redis import Redis, RedisError

from bot import queues
from bot.chaos import reach, without
from bot.ledger import Ledger
from bot.logs import Log

LOG = Log(__name__)

# Together with a lease's four seconds: back in its queue within five seconds of a crash.
SWEEP_SECONDS = 0.5


class Sweeper:
    """Looks after overdue mentions. Any number may run: a rescue is a script that only one of them wins."""

    def __init__(self, redis: Redis, ledger: Ledger) -> None:
        self._redis = redis
        self._ledger = ledger

    def start(self) -> None:
        """Sweep in a thread, for as long as this process lives."""
        if not without("sweeper"):
            threading.Thread(target=self._run, name="sweeper", daemon=True).start()

    def sweep(self) -> int:
        """Rescue what is overdue now, and return how many mentions had to be enqueued again."""
        overdue = self._ledger.overdue()
        if not overdue:
            return 0
        rescued = self._ledger.rescue(queues.waiting(self._redis, overdue))
        for queue in sorted(set(rescued.values())):
            reach("rescued")
            queues.enqueue(self._redis, queue, *(key for key in rescued if rescued[key] == queue))
        for key, queue in rescued.items():
            LOG.warning("rescued", key=key, queue=queue)
        return len(rescued)

    def _run(self) -> None:
        while True:
            try:
                self.sweep()
            except RedisError as error:
                LOG.warning("sweep failed", error=str(error))
            time.sleep(SWEEP_SECONDS)
