"""What a job is in Redis: RQ's record of it, enqueued and started for many jobs at once.

What stands there is what RQ 3 would have put there (tests/test_jobs.py compares them key by key), so that
`rq info`, its registries and its maintenance go on being right. What is left out is what our jobs do without:
results, retries, dependents, groups and rate limits.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.client import Pipeline
from rq.job import JobStatus
from rq.utils import utcformat

PHOTOS = "photos"
REPLIES = "replies"

# What RQ shows of a job, and by what ours are known from others. These are names only: there is no
# worker.judge.judge, and nobody imports or calls what a record names.
JOBS = {PHOTOS: "worker.judge.judge", REPLIES: "bot.responder.respond"}

# A job that runs longer has missed the one-minute promise anyway.
TIMEOUT_SECONDS = 55
# The ledger knows what failed; RQ's own list is only for looking at the last ones.
FAILED_TTL_SECONDS = 3600


def put(pipeline: Pipeline, queue: str, keys: Iterable[str]) -> None:
    """Enqueue a job for each mention, when the pipeline is executed."""
    now = utcformat(datetime.now(UTC))
    ids = []
    for key in keys:
        # A new id each time: a job that a dead worker took must not share one with its successor.
        ids.append(f"{digest(key)}-{secrets.token_hex(4)}")
        pipeline.hset(f"rq:job:{ids[-1]}", mapping=_record(queue, key, now))
    if ids:
        pipeline.sadd("rq:queues", f"rq:queue:{queue}")
        pipeline.rpush(f"rq:queue:{queue}", *ids)


def digest(key: str) -> str:
    """How the ids of a mention's jobs begin: RQ allows letters, digits, - and _ there, networks anything."""
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()


_ABSENT = (
    "success_callback_name",
    "failure_callback_name",
    "stopped_callback_name",
    "started_at",
    "ended_at",
    "last_heartbeat",
    "worker_name",
    "group_id",
)


def _record(queue: str, key: str, now: str) -> dict[Any, Any]:
    return dict.fromkeys(_ABSENT, "") | {
        "status": JobStatus.QUEUED.value,
        "created_at": now,
        "enqueued_at": now,
        "origin": queue,
        "description": f"{queue} {key}",
        # RQ reads any level, and a key is too short to be worth compressing.
        "data": zlib.compress(json.dumps([JOBS[queue], None, [key], {}]).encode(), 0),
        "timeout": TIMEOUT_SECONDS,
        "result_ttl": 0,
        "failure_ttl": FAILED_TTL_SECONDS,
    }


@dataclass(frozen=True)
class Job:
    """A job that this process has started."""

    id: str
    execution: str
    """What RQ calls this attempt at it."""
    key: str
    """The mention's."""
    since: datetime
    """When it was started."""

    @property
    def attempt(self) -> str:
        """Its entry in RQ's registries."""
        return f"{self.id}:{self.execution}"

    @property
    def record(self) -> str:
        """Redis' key of it."""
        return f"rq:job:{self.id}"

    @property
    def traces(self) -> tuple[str, ...]:
        """Redis' keys of what else RQ keeps of a job that is under way."""
        return (f"rq:executions:{self.id}", f"rq:execution:{self.attempt}")


# The scripts write what RQ 3's prepare_execution, prepare_job_execution and maintain_heartbeats write; the
# keys of single jobs they make themselves. Scores are whole seconds, as RQ's are.

# How long RQ waits for a heartbeat of a job: its timeout and a minute, or seven minutes if it has none.
_PATIENCE = """
local function patience(timeout)
  timeout = tonumber(timeout) or 420
  return timeout == -1 and 420 or math.floor(timeout) + 60
end
"""

# Pop jobs and start them, so that there is no moment at which one is in neither list. Ids whose job is gone
# are dropped, as RQ does. KEYS: queue, started jobs, worker, its executions, whether RQ is suspended.
# ARGV: how many, now as RQ writes it, now in seconds, worker's name, beginning of the executions' ids.
# Returns id, execution, data of each.
TAKE = (
    _PATIENCE
    + """
if redis.call('EXISTS', KEYS[5]) == 1 then return {} end
local taken, longest = {}, 0
while #taken < tonumber(ARGV[1]) do
  local ids = redis.call('LPOP', KEYS[1], ARGV[1] - #taken)
  if not ids then break end
  for _, id in ipairs(ids) do
    local job = 'rq:job:' .. id
    if redis.call('EXISTS', job) == 1 then
      local known = redis.call('HMGET', job, 'data', 'timeout')
      local ttl, execution = patience(known[2]), ARGV[5] .. string.format('%08x', #taken)
      local until_, attempt = math.floor(ARGV[3]) + ttl, id .. ':' .. execution
      redis.call('HSET', 'rq:execution:' .. attempt, 'id', execution, 'job_id', id, 'created_at', ARGV[3],
                 'last_heartbeat', ARGV[3], 'worker_name', ARGV[4])
      redis.call('EXPIRE', 'rq:execution:' .. attempt, ttl)
      redis.call('ZADD', 'rq:executions:' .. id, until_ + 60, execution)
      redis.call('EXPIRE', 'rq:executions:' .. id, ttl + 60)
      redis.call('ZADD', KEYS[2], until_, attempt)
      redis.call('SADD', KEYS[4], attempt)
      redis.call('HSET', job, 'status', 'started', 'started_at', ARGV[2], 'last_heartbeat', ARGV[2],
                 'worker_name', ARGV[4])
      redis.call('PERSIST', job)
      taken[#taken + 1] = {id, execution, known[1]}
      longest = math.max(longest, ttl)
    end
  end
end
if #taken > 0 then
  redis.call('HSET', KEYS[3], 'state', 'busy', 'last_heartbeat', ARGV[2])
  redis.call('EXPIRE', KEYS[3], longest)
  redis.call('EXPIRE', KEYS[4], longest)
end
return taken
"""
)

# Put off the moment at which RQ takes worker and jobs for dead. A job that is over stays so.
# KEYS: started jobs, worker, its executions. ARGV: now as RQ writes it, now in seconds, how long a worker may
# be silent, then id and execution of each job. Returns whether RQ still knew the worker.
BEAT = (
    _PATIENCE
    + """
for i = 4, #ARGV, 2 do
  local id, execution = ARGV[i], ARGV[i + 1]
  local job, attempt = 'rq:job:' .. id, ARGV[i] .. ':' .. ARGV[i + 1]
  if redis.call('HGET', job, 'status') == 'started' and redis.call('ZSCORE', KEYS[1], attempt) then
    local ttl = patience(redis.call('HGET', job, 'timeout'))
    local until_ = math.floor(ARGV[2]) + ttl
    redis.call('HSET', job, 'last_heartbeat', ARGV[1])
    redis.call('HSET', 'rq:execution:' .. attempt, 'last_heartbeat', ARGV[2])
    redis.call('EXPIRE', 'rq:execution:' .. attempt, ttl)
    redis.call('ZADD', KEYS[1], 'XX', until_, attempt)
    redis.call('ZADD', 'rq:executions:' .. id, 'XX', until_ + 60, execution)
    redis.call('EXPIRE', 'rq:executions:' .. id, ttl + 60)
  end
end
-- Without one it is no more than what was counted for a worker that Redis had forgotten.
if redis.call('HEXISTS', KEYS[2], 'birth') == 0 then return 0 end
redis.call('HSET', KEYS[2], 'last_heartbeat', ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('EXPIRE', KEYS[3], ARGV[3])
return 1
"""
)

# What both ways of failing have in common, as RQ writes it, but for callbacks, webhooks and retries.
_FAILED = """
local function failed(registry, id, now, ttl, words, ...)
  local job, results = 'rq:job:' .. id, 'rq:results:' .. id
  redis.call('HSET', job, 'status', 'failed')
  redis.call('EXPIRE', job, ttl)
  redis.call('ZADD', registry, math.floor(now) + ttl, id)
  redis.call('XADD', results, 'MAXLEN', '~', 10, '*', 'type', 2, 'exc_string', words, ...)
  redis.call('EXPIRE', results, ttl)
end
"""

# Fail a job, unless it was given up meanwhile. KEYS: started jobs, failed jobs. ARGV: now in seconds, how
# long to keep it, what went wrong, id, execution, worker's name, when it was started, now as RQ writes it.
FAIL = (
    _FAILED
    + """
local id, execution, job = ARGV[4], ARGV[5], 'rq:job:' .. ARGV[4]
if redis.call('ZSCORE', KEYS[1], id .. ':' .. execution) and redis.call('EXISTS', job) == 1 then
  redis.call('HSET', job, 'ended_at', ARGV[8])
  failed(KEYS[2], id, ARGV[1], ARGV[2], ARGV[3], 'worker_name', ARGV[6], 'execution_id', execution,
         'execution_started_at', ARGV[7], 'execution_ended_at', ARGV[1])
end
"""
)

# Fail what nobody has kept alive, and forget what failed long ago, as RQ's registries do in their cleanup.
# KEYS: started jobs, failed jobs. ARGV: now in seconds, how long to keep a job, what went wrong.
# Returns the ids of those that were abandoned.
TIDY = (
    _FAILED
    + """
local abandoned, now = {}, math.floor(ARGV[1])
for _, attempt in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], 0, now)) do
  local id = string.match(attempt, '^[^:]*')
  if redis.call('HGET', 'rq:job:' .. id, 'status') == 'started' then
    failed(KEYS[2], id, now, ARGV[2], ARGV[3], 'worker_name', '')
    abandoned[#abandoned + 1] = id
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now)
redis.call('ZREMRANGEBYSCORE', KEYS[2], 0, now)
return abandoned
"""
)

# Put jobs back at the head of the queue, if they are under way or were given up: to do it twice is to do it
# once. KEYS: queue, started jobs, failed jobs. ARGV: id and execution of each job.
HAND_BACK = """
for i = #ARGV - 1, 1, -2 do
  local id, job = ARGV[i], 'rq:job:' .. ARGV[i]
  local given_up = redis.call('ZREM', KEYS[3], id) == 1
  local under_way = redis.call('ZSCORE', KEYS[2], id .. ':' .. ARGV[i + 1])
  if (given_up or under_way) and redis.call('EXISTS', job) == 1 then
    redis.call('HSET', job, 'status', 'queued', 'started_at', '', 'last_heartbeat', '', 'worker_name', '')
    redis.call('PERSIST', job)
    redis.call('LPUSH', KEYS[1], id)
  end
end
"""
