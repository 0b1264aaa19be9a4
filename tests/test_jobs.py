"""RQ's records in bulk, next to RQ's own."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from redis import Redis, RedisError
from rq import Queue, SimpleWorker, Worker, get_current_job
from rq.job import Job as Record
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend
from rq.worker import BaseWorker

from bot import jobs, queues
from bot.bench import Bench
from bot.jobs import JOBS, PHOTOS, TIMEOUT_SECONDS, Job

KEY = "mastodon:7"

Snapshot = dict[str, Any]

seen: list[Snapshot] = []


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """RQ's worker leaves its own handlers behind."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def bench(redis: Redis) -> Bench:
    bench = Bench(redis, PHOTOS)
    bench.sign_on()
    return bench


def snapshot(redis: Redis) -> Snapshot:
    """All of RQ's keys with values and lifetimes, without what differs from run to run."""
    readers: dict[Any, Any] = {
        b"hash": redis.hgetall,
        b"set": redis.smembers,
        b"zset": lambda name: redis.zrange(name, 0, -1, withscores=True),
        b"list": lambda name: redis.lrange(name, 0, -1),
        b"string": redis.get,
        b"stream": lambda name: [fields for _, fields in redis.xrange(name) or []],
    }
    found = {}
    for name in redis.scan_iter("rq:*"):
        # By it RQ's workers agree on who looks after groups, of which we have none.
        if name == b"rq:clean_groups":
            continue
        value = readers[redis.type(name)](name)
        found[timeless(name)] = (timeless(value), nearly(redis.ttl(name)))
    return found


def timeless(value: Any) -> Any:
    """A value whose moments, ids and compressed texts are replaced by what they are."""
    if isinstance(value, dict):
        return {timeless(name): field(name.decode(), text) for name, text in value.items()}
    if isinstance(value, set):
        return {timeless(item) for item in value}
    if isinstance(value, list | tuple):
        return [timeless(item) for item in value]
    if isinstance(value, float):
        return nearly(value - time.time())
    text = value.decode()
    text = re.sub(r"\b[0-9a-f]{16}-[0-9a-f]{8}\b", "JOB", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "ID", text)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", "MOMENT", text)


def field(name: str, text: bytes) -> Any:
    if name == "data":
        return json.loads(zlib.decompress(text))[2:]
    if name in {"created_at", "last_heartbeat"} and re.fullmatch(rb"\d+\.\d+", text):
        return "SECONDS"
    if name in {"ip_address", "total_working_time", "execution_started_at", "execution_ended_at"}:
        return "VARIES"
    return timeless(text)


def nearly(seconds: float) -> int | None:
    """A lifetime to within ten seconds: RQ's end in 0 or 5, and may be some seconds shorter by now."""
    return int(seconds + 4) // 10 if seconds >= 0 else None


def look(_: str) -> None:
    """What RQ's own worker runs."""
    job = get_current_job()
    assert job
    seen.append(snapshot(job.connection))


def own_way(redis: Redis) -> list[Snapshot]:
    """A job enqueued and run by RQ itself: Redis before, during, after, and when its worker has gone."""
    seen.clear()
    queue = Queue(PHOTOS, connection=redis, serializer=JSONSerializer)
    queue.enqueue(
        look,
        KEY,
        job_id=f"{jobs.digest(KEY)}-01234567",
        description=f"{PHOTOS} {KEY}",
        job_timeout=TIMEOUT_SECONDS,
        result_ttl=0,
        failure_ttl=jobs.FAILED_TTL_SECONDS,
    )
    before = snapshot(redis)
    Attentive([queue], connection=redis, serializer=JSONSerializer).work(burst=True, logging_level="ERROR")
    return [before, *seen, snapshot(redis)]


class Attentive(SimpleWorker):
    """RQ's worker, that looks at Redis between its job and its end."""

    def register_death(self) -> None:
        seen.append(snapshot(self.connection))
        super().register_death()  # type: ignore[no-untyped-call]


def test_what_stands_in_redis_is_what_rq_would_have_put_there(redis: Redis) -> None:
    before, during, after, gone = own_way(redis)
    redis.flushall()

    queues.enqueue(redis, PHOTOS, KEY)
    assert snapshot(redis) == before
    bench = Bench(redis, PHOTOS)
    bench.sign_on()
    taken = bench.take(1)
    assert snapshot(redis) == during
    with redis.pipeline() as pipeline:
        bench.finish(pipeline, taken)
        pipeline.execute()
    bench.beat(now=True)
    assert snapshot(redis) == after
    bench.sign_off()
    assert snapshot(redis) == gone


def fail_in_rq(_: str) -> None:
    raise ValueError("a photo too many")


def test_a_job_that_failed_is_kept_as_rq_keeps_it(redis: Redis, bench: Bench) -> None:
    kept = []
    for function in (None, fail_in_rq):
        queue = Queue(PHOTOS, connection=redis, serializer=JSONSerializer)
        if function:
            options = {
                "result_ttl": 0,
                "failure_ttl": jobs.FAILED_TTL_SECONDS,
                "job_timeout": TIMEOUT_SECONDS,
            }
            name = f"{jobs.digest(KEY)}-01234567"
            queue.enqueue(function, KEY, job_id=name, description=f"{PHOTOS} {KEY}", **options)
            worker = SimpleWorker([queue], connection=redis, serializer=JSONSerializer)
            worker.log.disabled = True
            worker.work(burst=True, logging_level="ERROR")
            worker.log.disabled = False
        else:
            queues.enqueue(redis, PHOTOS, KEY)
            [job] = bench.take(1)
            try:
                fail_in_rq(KEY)
            except ValueError as error:
                bench.fail(job, error)
        [failed] = FailedJobRegistry(queue=queue).get_job_ids()
        record = Record.fetch(failed, redis, serializer=JSONSerializer)
        result = record.latest_result()
        assert result
        assert "fail_in_rq" in (result.exc_string or "")
        assert "ValueError: a photo too many" in (result.exc_string or "")
        taken = snapshot(redis)
        kept.append({name: taken[name] for name in taken if not name.startswith("rq:worker")})
        for result_key in [name for name in kept[-1] if name.startswith("rq:results")]:
            kept[-1][result_key][0][0].pop("exc_string")
        record.delete()
        redis.delete("rq:groups")

    assert kept[0] == kept[1]
    assert any(name.startswith("rq:results") for name in kept[0])


def test_rq_sees_workers_and_their_jobs(redis: Redis, bench: Bench) -> None:
    assert Worker.count(queue=Queue(PHOTOS, connection=redis)) == 1
    queues.enqueue(redis, PHOTOS, "mastodon:1", "mastodon:2")
    taken = bench.take(8)

    [worker] = BaseWorker.all(connection=redis, serializer=JSONSerializer)
    assert worker.name == bench.name
    assert worker.get_state() == "busy"
    assert {execution.job_id for execution in worker.get_current_executions()} == {job.id for job in taken}
    registry = StartedJobRegistry(PHOTOS, connection=redis, serializer=JSONSerializer)
    assert set(registry.get_job_ids()) == {job.id for job in taken}

    bench.end(taken[:1])
    worker.refresh()  # type: ignore[no-untyped-call]
    assert (worker.get_state(), worker.successful_job_count) == ("busy", 1)
    bench.end(taken[1:])
    worker.refresh()  # type: ignore[no-untyped-call]
    assert (worker.get_state(), worker.successful_job_count) == ("idle", 2)
    assert registry.get_job_ids() == []
    bench.sign_off()
    assert Worker.count(queue=Queue(PHOTOS, connection=redis)) == 0


def test_many_are_taken_at_once_in_the_order_in_which_they_came(redis: Redis, bench: Bench) -> None:
    keys = [f"mastodon:{number}" for number in range(20)]
    queues.enqueue(redis, PHOTOS, *keys)

    assert [job.key for job in bench.take(8)] == keys[:8]
    assert [job.key for job in bench.take(100)] == keys[8:]
    assert bench.take(1) == []


def test_who_waits_takes_nothing(redis: Redis, bench: Bench) -> None:
    assert not bench.wait(1)
    threading.Timer(0.1, queues.enqueue, (redis, PHOTOS, "mastodon:1", "mastodon:2")).start()

    begin = time.monotonic()
    assert bench.wait(3)

    assert time.monotonic() - begin < 2
    assert [job.key for job in bench.take(8)] == ["mastodon:1", "mastodon:2"]


def ids(redis: Redis) -> list[str]:
    return Queue(PHOTOS, connection=redis).job_ids


def test_a_failed_job_that_an_operator_gives_back_is_taken_again(redis: Redis, bench: Bench) -> None:
    queues.enqueue(redis, PHOTOS, KEY)
    [job] = bench.take(1)
    bench.fail(job, "somebody stumbled over a cable")
    assert redis.ttl(job.record) > 0

    Record.fetch(job.id, redis, serializer=JSONSerializer).requeue()

    [again] = bench.take(1)
    assert (again.id, again.key) == (job.id, KEY)
    assert redis.ttl(job.record) == -1


def test_a_job_whose_record_is_gone_does_not_hold_up_the_others(redis: Redis, bench: Bench) -> None:
    queues.enqueue(redis, PHOTOS, "mastodon:1", "mastodon:2", "mastodon:3")
    redis.delete(*(f"rq:job:{name}" for name in ids(redis)[:2]))

    assert [job.key for job in bench.take(1)] == ["mastodon:3"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (zlib.compress(json.dumps(["os.system", None, ["true"], {}]).encode()), "'os.system'"),
        (zlib.compress(json.dumps([JOBS[PHOTOS], None, [7], {}]).encode()), "this queue's jobs run"),
        (zlib.compress(b"\x80\x04K\x07."), "cannot be read"),
        (b"nonsense", "cannot be read"),
    ],
)
def test_a_foreign_job_fails_and_says_why(redis: Redis, bench: Bench, data: bytes, words: str) -> None:
    queues.enqueue(redis, PHOTOS, "mastodon:1", "mastodon:2")
    redis.hset(f"rq:job:{ids(redis)[0]}", "data", data)

    assert [job.key for job in bench.take(8)] == ["mastodon:2"]

    [failed] = FailedJobRegistry(PHOTOS, connection=redis, serializer=JSONSerializer).get_job_ids()
    result = Record.fetch(failed, redis, serializer=JSONSerializer).latest_result()
    assert result
    assert words in (result.exc_string or "")


def pass_time(redis: Redis, job: Job, seconds: float) -> None:
    """As if so many seconds had gone since the job was last heard of."""
    redis.zincrby("rq:wip:photos", -seconds, job.attempt)


def test_rqs_maintenance_finds_what_a_killed_worker_had_in_hand(redis: Redis, bench: Bench) -> None:
    queues.enqueue(redis, PHOTOS, KEY)
    [job] = bench.take(1)
    registry = StartedJobRegistry(PHOTOS, connection=redis, serializer=JSONSerializer)
    failed = FailedJobRegistry(PHOTOS, connection=redis, serializer=JSONSerializer)

    pass_time(redis, job, TIMEOUT_SECONDS + 50)
    registry.cleanup()
    assert failed.get_job_ids() == []
    pass_time(redis, job, 20)
    registry.cleanup()

    assert failed.get_job_ids() == [job.id]
    assert registry.get_job_ids() == []
    # Whoever was only slow leaves no trace of it that leads nowhere.
    bench.end([job])
    assert failed.get_job_ids() == []


def test_the_next_worker_gives_up_what_was_abandoned_as_rq_would(redis: Redis, bench: Bench) -> None:
    kept = []
    registry = StartedJobRegistry(PHOTOS, connection=redis, serializer=JSONSerializer)
    for tidy in (registry.cleanup, Bench(redis, PHOTOS).sign_on):
        queues.enqueue(redis, PHOTOS, KEY)
        [job] = bench.take(1)
        pass_time(redis, job, TIMEOUT_SECONDS + 70)

        tidy()

        failed = FailedJobRegistry(PHOTOS, connection=redis, serializer=JSONSerializer)
        assert failed.get_job_ids() == [job.id]
        result = Record.fetch(job.id, redis, serializer=JSONSerializer).latest_result()
        assert result
        kept.append((result.exc_string, snapshot(redis)))
        redis.delete(*redis.keys("rq:[^w]*"))

    (theirs, before), (ours, after) = kept
    assert (theirs or "").startswith("Moved to FailedJobRegistry")
    assert (ours or "").startswith("given up: its worker gave no sign of life")
    for found in (before, after):
        found["rq:results:JOB"][0][0].pop("exc_string")
        for name in [name for name in found if name.startswith("rq:worker")]:
            found.pop(name)
    assert after == before


def test_what_failed_long_ago_is_forgotten(redis: Redis, bench: Bench) -> None:
    queues.enqueue(redis, PHOTOS, "mastodon:1", "mastodon:2")
    old, new = bench.take(2)
    for job in (old, new):
        bench.fail(job, "somebody stumbled over a cable")
    redis.zincrby("rq:failed:photos", -jobs.FAILED_TTL_SECONDS - 1, old.id)

    Bench(redis, PHOTOS).sign_on()

    assert redis.zrange("rq:failed:photos", 0, -1) == [new.id.encode()]


class Web:
    """Notes what is sent to it, and what is called."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.url = ""


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            web.heard.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        web.url = f"http://127.0.0.1:{server.server_port}/internal"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield web
        server.shutdown()
        thread.join()


called: list[object] = []


def callback(*arguments: object) -> None:
    """What somebody would have the bot call."""
    called.append(arguments)


def plant(redis: Redis, web: Web, **fields: str | bytes) -> None:
    """A record as whoever may write to Redis would have it."""
    name = f"{__name__}.callback"
    hook = {"url": web.url, "job_status": "failed", "method": "POST", "headers": {}, "timeout": 5}
    record: dict[Any, Any] = {
        "created_at": "2026-01-01T00:00:00.000000Z",
        "origin": PHOTOS,
        "data": zlib.compress(json.dumps([name, None, [], {}]).encode()),
        "timeout": TIMEOUT_SECONDS,
        "failure_ttl": -1,
        "retries_left": 3,
        "webhooks": json.dumps([hook]),
    } | {f"{kind}_callback_name": name for kind in ("success", "failure", "stopped")}
    redis.hset("rq:job:evil", mapping=record | fields)


def test_giving_up_a_job_calls_and_sends_nothing_that_its_record_names(
    redis: Redis, bench: Bench, web: Web
) -> None:
    called.clear()
    plant(redis, web, status="started")
    redis.zadd("rq:wip:photos", {"evil:execution": 1})

    Bench(redis, PHOTOS).sign_on()

    assert (called, web.heard) == ([], [])
    assert redis.zrange("rq:failed:photos", 0, -1) == [b"evil"]
    assert 0 < redis.ttl("rq:job:evil") <= jobs.FAILED_TTL_SECONDS
    assert bench.take(1) == []


def test_refusing_a_job_calls_and_sends_nothing_that_its_record_names(
    redis: Redis, bench: Bench, web: Web
) -> None:
    called.clear()
    plant(redis, web, status="queued")
    redis.rpush("rq:queue:photos", "evil")

    assert bench.take(1) == []

    assert (called, web.heard) == ([], [])
    assert redis.zrange("rq:failed:photos", 0, -1) == [b"evil"]
    assert bench.take(1) == []


def test_a_record_that_rq_cannot_read_is_refused_like_any_other(redis: Redis, bench: Bench) -> None:
    redis.hset("rq:job:evil", mapping={"created_at": "yesterday", "failure_ttl": "soon"})
    redis.rpush("rq:queue:photos", "evil")

    assert bench.take(1) == []

    assert redis.zrange("rq:failed:photos", 0, -1) == [b"evil"]


def test_jobs_taken_while_redis_went_away_are_not_kept_alive(redis: Redis, redis_url: str) -> None:
    client = queues.connect(redis_url)
    bench = Bench(client, PHOTOS)
    bench.sign_on()
    queues.enqueue(redis, PHOTOS, "mastodon:1", "mastodon:2")
    redis.hset(f"rq:job:{ids(redis)[0]}", "data", b"nonsense")
    # Taking succeeds, and noting the failure does not.
    redis.set("rq:failed:photos", "no registry")
    with pytest.raises(RedisError):
        bench.take(2)
    redis.delete("rq:failed:photos")
    left: Any = redis.zrange("rq:wip:photos", 0, -1)[0]
    redis.zincrby("rq:wip:photos", -30, left)
    stale = redis.zscore("rq:wip:photos", left)

    bench.beat(now=True)

    assert redis.zscore("rq:wip:photos", left) == stale


def test_a_heartbeat_keeps_jobs_and_worker_alive(redis: Redis, bench: Bench) -> None:
    queues.enqueue(redis, PHOTOS, KEY)
    [job] = bench.take(1)
    after = snapshot(redis)
    pass_time(redis, job, 100)
    for name in (*job.traces, f"rq:worker:{bench.name}"):
        redis.expire(name, 5)
    assert snapshot(redis) != after

    bench.beat(now=True)

    # A worker between two beats may be silent for longer than one whose beats a job holds up.
    assert redis.ttl(f"rq:worker:{bench.name}") > 400
    differing = {name for name, value in snapshot(redis).items() if value != after[name]}
    assert differing == {"rq:worker:ID", "rq:worker:ID:executions"}


def test_a_heartbeat_does_not_bring_back_what_is_over(redis: Redis, bench: Bench) -> None:
    queues.enqueue(redis, PHOTOS, KEY)
    taken = bench.take(1)
    with redis.pipeline() as pipeline:
        # As another process would: this one still believes that it has it.
        Bench(redis, PHOTOS, bench.name).finish(pipeline, taken)
        pipeline.execute()
    before = set(redis.keys("rq:*"))

    bench.beat(now=True)

    assert set(redis.keys("rq:*")) == before


def test_a_worker_that_rq_has_forgotten_signs_on_again(redis: Redis, bench: Bench) -> None:
    redis.flushall()

    bench.beat(now=True)

    assert Worker.count(queue=Queue(PHOTOS, connection=redis)) == 1


def test_a_worker_that_was_forgotten_over_its_work_signs_on_again(redis: Redis, bench: Bench) -> None:
    queues.enqueue(redis, PHOTOS, KEY)
    taken = bench.take(1)
    redis.flushall()
    bench.end(taken)
    assert Worker.count(queue=Queue(PHOTOS, connection=redis)) == 0

    bench.beat(now=True)

    assert Worker.count(queue=Queue(PHOTOS, connection=redis)) == 1


def test_a_worker_signs_on_while_its_other_threads_end_jobs(redis: Redis, bench: Bench) -> None:
    queues.enqueue(redis, PHOTOS, KEY)
    taken = bench.take(1)
    is_over = threading.Event()

    def end() -> None:
        while not is_over.is_set():
            bench.end(taken)

    thread = threading.Thread(target=end)
    thread.start()
    try:
        for _ in range(50):
            bench.sign_on()
    finally:
        is_over.set()
        thread.join()

    assert Worker.count(queue=Queue(PHOTOS, connection=redis)) == 1


def hand_back(redis: Redis, bench: Bench, taken: list[Job]) -> None:
    with redis.pipeline() as pipeline:
        bench.hand_back(pipeline, taken)
        pipeline.execute()


def test_a_job_handed_back_is_as_if_it_had_never_been_taken(redis: Redis, bench: Bench) -> None:
    queues.enqueue(redis, PHOTOS, KEY)
    before = snapshot(redis)

    hand_back(redis, bench, bench.take(1))

    after = snapshot(redis)
    # All but the worker itself, which has seen something meanwhile.
    assert {name for name in after if after[name] != before.get(name)} == {"rq:worker:ID"}
    assert set(after) == set(before)


def test_jobs_handed_back_are_the_next_to_be_taken(redis: Redis, bench: Bench) -> None:
    queues.enqueue(redis, PHOTOS, "mastodon:1", "mastodon:2", "mastodon:3")

    hand_back(redis, bench, bench.take(2))

    assert [job.key for job in bench.take(8)] == ["mastodon:1", "mastodon:2", "mastodon:3"]


def test_a_hand_back_whose_answer_was_lost_and_that_is_sent_again_puts_a_job_back_once(
    redis: Redis, bench: Bench
) -> None:
    queues.enqueue(redis, PHOTOS, "mastodon:1", "mastodon:2", "mastodon:3")
    taken = bench.take(2)
    with redis.pipeline() as pipeline:
        bench.hand_back(pipeline, taken)
        # As redis-py does when the connection breaks after EXEC.
        commands = list(pipeline.command_stack)
        pipeline.execute()
        pipeline.command_stack = commands
        pipeline.execute()

    assert [job.key for job in bench.take(8)] == ["mastodon:1", "mastodon:2", "mastodon:3"]


def test_a_hand_back_that_is_sent_again_after_somebody_else_took_and_ended_the_job_leaves_no_record(
    redis: Redis, bench: Bench
) -> None:
    queues.enqueue(redis, PHOTOS, KEY)
    taken = bench.take(1)
    hand_back(redis, bench, taken)
    bench.end(bench.take(1))

    hand_back(redis, bench, taken)

    assert redis.keys("rq:job:*") == []
    assert ids(redis) == []


def test_a_job_that_was_given_up_comes_back_if_its_slow_worker_hands_it_back(
    redis: Redis, bench: Bench
) -> None:
    queues.enqueue(redis, PHOTOS, KEY)
    before = snapshot(redis)
    [job] = bench.take(1)
    pass_time(redis, job, TIMEOUT_SECONDS + 70)
    Bench(redis, PHOTOS).sign_on()

    hand_back(redis, bench, [job])

    assert redis.zcard("rq:failed:photos") == 0
    assert snapshot(redis)["rq:job:JOB"] == before["rq:job:JOB"]
    assert [job.key for job in bench.take(8)] == [KEY]


def test_two_attempts_at_one_job_are_kept_apart(redis: Redis, bench: Bench) -> None:
    queues.enqueue(redis, PHOTOS, KEY)
    redis.rpush("rq:queue:photos", *ids(redis))
    first, second = bench.take(2)
    bench.forget([first])
    for job in (first, second):
        pass_time(redis, job, 30)
    stale = redis.zscore("rq:wip:photos", first.attempt)

    bench.beat(now=True)

    assert redis.zscore("rq:wip:photos", first.attempt) == stale
    assert (redis.zscore("rq:wip:photos", second.attempt) or 0) > (stale or 0) + 20


def test_a_suspended_worker_takes_nothing(redis: Redis, bench: Bench) -> None:
    queues.enqueue(redis, PHOTOS, KEY)
    suspend(redis)
    assert not bench.wait(1)
    assert bench.take(8) == []
    resume(redis)
    assert bench.wait(1)
    assert [job.key for job in bench.take(8)] == [KEY]


def test_other_users_of_the_connection_still_get_their_answers_in_time(redis_url: str) -> None:
    client = queues.connect(redis_url)
    Bench(client, PHOTOS)

    assert client.connection_pool.connection_kwargs["socket_timeout"] == queues.TIMEOUT_SECONDS
