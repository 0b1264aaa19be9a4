"""The worker: it has many mentions in hand, and everything it does to them at once that can be.

    take (bench, ledger) ──► look (all at a time) ──► judge (in batches) ──► write (all that is done, at once)

While one group of verdicts is on its way to Redis the next one gathers: the busier it is, the less a mention
costs. A mention is written, answered and struck off RQ's lists in one transaction, or none of it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from redis import Redis, RedisError

from bot import jobs, metrics
from bot.bench import Bench
from bot.chaos import reach
from bot.jobs import Job
from bot.keeper import Keeper
from bot.ledger import Fields, Ledger
from bot.logs import Log
from bot.queues import Stop
from bot.record import Lease
from model.judge import Judge
from worker.batcher import Batcher
from worker.case import Case, Looking

LOG = Log(__name__)

# In one go: what more there is has to wait as long as it would in the queue, where others see it.
MENTIONS_AT_ONCE = 32
# So long, a worker with its hands full waits for company for a free place, and for a verdict: fewer round
# trips. Nobody notices, for whatever comes then waits for seconds anyway.
LINGER_SECONDS = 0.1
# So long at the most, a worker that is told to stop goes on waiting.
WAIT_SECONDS = 0.5
LOOK_SECONDS = 0.05


class Service:
    """Takes mentions out of the ledger and puts verdicts in.

    Args:
        redis: Where ledger and queues are.
        look: Who gets a photo's pixels.
        batcher: Who has them judged.
        judge: Says who judges now.
        photos: How many photos are in hand at the most before no further mention is taken.
    """

    def __init__(
        self, redis: Redis, look: Looking, batcher: Batcher, judge: Callable[[], Judge], *, photos: int
    ) -> None:
        self._redis = redis
        self._look = look
        self._batcher = batcher
        self._judge = judge
        self._most = photos
        self._bench = Bench(redis, jobs.PHOTOS)
        self._ledger = Ledger(redis)
        self._keeper = Keeper(self._ledger)
        self._cases: set[Case] = set()
        # Photos of all mentions in hand; one without any counts as well.
        self._in_hand = 0
        self._writing = False
        self._changed = threading.Condition()
        self._closed: SimpleQueue[Case] = SimpleQueue()
        threading.Thread(target=self._write_all, name="verdicts", daemon=True).start()

    def run(self, stop: Stop, turned: Callable[[], None] = lambda: None) -> None:
        """Take mentions on until told to stop, or until Redis goes away; what is in hand goes on.

        Args:
            stop: Who is told to stop.
            turned: Called whenever the loop turns, which takes a few seconds at the most.

        Raises:
            RedisError: Redis went away.
        """
        turned()
        self._bench.sign_on()
        while not stop.requested:
            turned()
            self._bench.beat()
            if room := self._room():
                self._take(room)
        # Not when Redis has gone away: it forgets by itself who does not beat.
        self._bench.sign_off()

    def close(self, stop: Stop, seconds: float) -> int:
        """Finish what is in hand, and hand back to ledger and queue what cannot be finished in time.

        Args:
            stop: Who was told to stop; to be told so twice ends the waiting.
            seconds: Since the first time.

        Returns:
            How many mentions are left, which other workers go on with at once.
        """
        until = stop.since + seconds
        with self._changed:
            while self._is_busy and not stop.hurried and time.monotonic() < until:
                self._changed.wait(LOOK_SECONDS)
            left = self._let_go(list(self._cases))
        try:
            self._hand_back(left)
        except RedisError as error:
            # Then their leases have to run out.
            LOG.warning("not handed back", mentions=len(left), error=str(error))
        finally:
            self._keeper.release([case.hold for case in left])
        return len(left)

    @property
    def _is_busy(self) -> bool:
        return bool(self._cases) or self._writing

    def _hand_back(self, cases: Sequence[Case]) -> None:
        # They did not end this worker: the tries do not count.
        undone = [(case.lease, {"tries_judging": case.lease.tries - 1}) for case in cases]
        with self._redis.pipeline() as pipeline:
            self._ledger.pass_all_on(pipeline, "new", undone)
            self._bench.hand_back(pipeline, [case.job for case in cases])
            pipeline.execute()

    def _room(self) -> int:
        """How many mentions may be taken now; waits for a while if that is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._in_hand < self._most, timeout=WAIT_SECONDS)
            # One place is soon followed by others, while there is plenty to do.
            enough = self._most - self._most // 4
            self._changed.wait_for(lambda: self._in_hand <= enough, timeout=LINGER_SECONDS)
            return max(0, min(self._most - self._in_hand, MENTIONS_AT_ONCE))

    def _let_go(self, cases: Iterable[Case]) -> list[Case]:
        """Those of some mentions that are in hand, which they no longer are."""
        ours = [case for case in cases if case in self._cases]
        self._cases.difference_update(ours)
        self._in_hand -= sum(map(_size, ours))
        return ours

    def _take(self, most: int) -> None:
        taken = self._bench.take(most)
        if not taken:
            self._bench.wait(WAIT_SECONDS)
            return
        reach("judge started")
        since = time.monotonic()
        try:
            leases = self._ledger.claim_all([job.key for job in taken], ["new"], "judging")
            by_key = {job.key: job for job in taken if job.key in leases}
            # Those whose mention somebody else has, another job of ours too, or that is past judging.
            self._bench.end([job for job in taken if job is not by_key.get(job.key)])
        except RedisError:
            self._bench.forget(taken)
            raise
        reach("judge claimed")
        self._begin(by_key, list(leases.values()), since)

    def _begin(self, by_key: dict[str, Job], leases: Sequence[Lease], since: float) -> None:
        judge = self._judge()
        holds = self._keeper.hold(leases, since)
        for lease in leases:
            metrics.STAGES["queue"].observe(max(0.0, time.time() - lease.before.times["new"]))
        cases = [Case(by_key[hold.lease.key], hold, judge, self._closed.put) for hold in holds]
        with self._changed:
            self._cases.update(cases)
            self._in_hand += sum(map(_size, cases))
        for case in cases:
            case.open(self._look, self._batcher)

    def _write_all(self) -> None:
        while True:
            cases = self._next_closed()
            with self._changed:
                # What has been handed back is no longer ours.
                cases = self._let_go(cases)
                self._writing = True
                self._changed.notify_all()
            try:
                self._write(cases)
            except RedisError as error:
                # Their leases run out, and the sweeper gives them to somebody who can reach Redis.
                LOG.warning("not judged now", mentions=len(cases), error=str(error))
            except Exception:
                LOG.exception("not judged now", mentions=len(cases))
            finally:
                self._keeper.release([case.hold for case in cases])
                # What could not be written is not kept alive as a job either.
                self._bench.forget([case.job for case in cases])
                with self._changed:
                    self._writing = False
                    self._changed.notify_all()

    def _next_closed(self) -> list[Case]:
        """What is to be written next; some of it has waited for company, if very much is in hand."""
        cases, until = [self._closed.get()], time.monotonic() + LINGER_SECONDS
        with suppress(Empty):
            while len(cases) < MENTIONS_AT_ONCE:
                is_few = len(cases) < len(self._cases) // 4
                cases.append(self._closed.get(timeout=max(0.0, until - time.monotonic()) if is_few else 0))
        return cases

    def _write(self, cases: Sequence[Case]) -> None:
        done: list[tuple[Lease, Fields]] = [(case.lease, case.fields()) for case in cases]
        reach("examined")
        with self._redis.pipeline() as pipeline:
            self._ledger.pass_all_on(pipeline, "ready", done)
            # One whose lease was void is answered by whoever took over; a second job finds nothing to do.
            jobs.put(pipeline, jobs.REPLIES, [case.lease.key for case in cases])
            self._bench.finish(pipeline, [case.job for case in cases])
            pipeline.execute()
        reach("verdict stored")
        reach("reply enqueued")


def _size(case: Case) -> int:
    return max(1, len(case.photos))
