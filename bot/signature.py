"""What RQ knows of a worker, without the work."""

from __future__ import annotations

from datetime import UTC, datetime

from redis import Redis
from rq import SimpleWorker, worker_registration


class Signature(SimpleWorker):
    """A worker's entry among RQ's workers: `register_birth` makes it, `register_death` ends it."""

    def _set_connection(self, connection: Redis) -> Redis:
        # RQ would have every user of this client wait seven minutes for an answer.
        return connection

    def register_birth(self) -> None:
        """Enter this worker, again if need be."""
        # RQ refuses if it has a worker of that name. But what is there is this one: its other threads count
        # what they have ended, even where Redis has forgotten the worker.
        self.birth_date = self.last_heartbeat = datetime.now(UTC)
        with self.connection.pipeline() as pipeline:
            pipeline.delete(self.key)
            pipeline.hset(self.key, mapping=self.serialize())
            worker_registration.register(self, pipeline)
            pipeline.expire(self.key, self.worker_ttl + 60)
            pipeline.execute()
