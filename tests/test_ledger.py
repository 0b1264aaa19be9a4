from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from redis import Redis, RedisError

from bot.keys import COUNTS, OPEN, SALT
from bot.ledger import JUDGE_TRIES, Fields, Ledger
from bot.messages import APOLOGY, Judged, Mention, Photo, Verdict
from bot.people import People
from bot.record import Admission, Lease, Policy, Record, State
from tests.clock import let_pass

MENTION = Mention(
    network="mastodon",
    id="7",
    author="Ann@example.social",
    created_at=datetime.now(UTC),
    warning="my face",
    photos=(Photo(medium="image", url="https://files.example.social/a.jpg"),),
)
KEY = MENTION.key
VERDICT = Verdict(opinions=(Judged(score=0.5, label="good"),), judge="test 1")
JUDGED: Fields = {"verdict": VERDICT.model_dump_json(), "score": 0.5, "label": "good"}

# Longer than a lease and than a queued mention's grace, shorter than the promise; and longer than that too.
TOO_LONG = 5
LATE = 61
DAY = 24 * 3600


@pytest.fixture
def ledger(redis: Redis) -> Ledger:
    return Ledger(redis)


def hear(ledger: Ledger, mention: Mention = MENTION) -> None:
    assert ledger.ingest("mastodon", [Admission(mention)])


def take(ledger: Ledger, state: State, key: str = KEY) -> Lease:
    """Claim a mention as the process would whose step that state is."""
    leave: dict[State, list[State]] = {"judging": ["new"], "sending": ["ready", "sending"]}
    lease = ledger.claim(key, leave[state], state)
    assert lease
    return lease


def judge(ledger: Ledger, mention: Mention = MENTION) -> None:
    hear(ledger, mention)
    assert ledger.pass_on(take(ledger, "judging", mention.key), "ready", JUDGED)


def bring_to(ledger: Ledger, state: State) -> None:
    """Bring a mention to one of the open states."""
    if state in {"new", "judging"}:
        hear(ledger)
    else:
        judge(ledger)
    if state in {"judging", "sending"}:
        take(ledger, state)


def answer(ledger: Ledger, mention: Mention = MENTION) -> None:
    judge(ledger, mention)
    assert ledger.close(take(ledger, "sending", mention.key), "sent", {"reply_id": "8"})


def refuse(ledger: Ledger) -> None:
    judge(ledger)
    assert ledger.close(take(ledger, "sending"), "failed", {"reason": "deleted"})


def rescue(ledger: Ledger, queue: str = "") -> dict[str, str]:
    """One sweep, with all jobs waiting in one queue, or none."""
    return ledger.rescue(dict.fromkeys(ledger.overdue(), queue))


def record(ledger: Ledger, key: str = KEY) -> Record:
    found = ledger.read(key)
    assert found
    return found


def everything(redis: Redis) -> str:
    """All that a Redis holds, as text."""
    dumps: list[Any] = []
    for name in sorted(redis.keys("*")):
        kind: Any = redis.type(name)
        match kind:
            case b"hash":
                dumps.append((name, redis.hgetall(name)))
            case b"set":
                dumps.append((name, redis.smembers(name)))
            case b"zset":
                dumps.append((name, redis.zrange(name, 0, -1)))
            case _:
                dumps.append((name, redis.get(name)))
    return str(dumps)


# ── heard ──


def test_a_mention_is_written_down_once(ledger: Ledger) -> None:
    assert ledger.ingest("mastodon", [Admission(MENTION), Admission(MENTION)]) == {KEY: ("photos", "")}
    assert ledger.ingest("mastodon", [Admission(MENTION)]) == {}


def test_what_was_written_is_read_again(ledger: Ledger) -> None:
    hear(ledger)

    found = record(ledger)
    assert (found.state, found.mention, found.verdict, found.ends) == ("new", MENTION, None, None)
    assert found.deadline == pytest.approx(found.times["new"] + 60)


def test_an_unknown_mention_has_no_record(ledger: Ledger) -> None:
    assert ledger.read("mastodon:0") is None


def test_hearing_a_mention_again_does_not_begin_it_anew(ledger: Ledger) -> None:
    answer(ledger)

    assert ledger.ingest("mastodon", [Admission(MENTION)]) == {}
    assert record(ledger).state == "sent"


def test_mentions_and_cursor_are_written_by_one_script(ledger: Ledger, redis: Redis) -> None:
    mentions = [Admission(MENTION.model_copy(update={"id": str(number)})) for number in range(3)]
    ledger.ingest("mastodon", mentions, "1")  # the script is known now
    redis.config_resetstat()

    ledger.ingest("mastodon", [Admission(MENTION), *mentions], "7")

    statistics: Any = redis.info("commandstats")
    assert statistics["cmdstat_evalsha"]["calls"] == 1
    assert ledger.cursor("mastodon") == "7"


def test_the_cursor_never_passes_a_mention_that_could_not_be_written(ledger: Ledger, redis: Redis) -> None:
    ledger.ingest("mastodon", [], "1")
    redis.set(OPEN, "something in the way")

    with pytest.raises(RedisError):
        ledger.ingest("mastodon", [Admission(MENTION)], "7")

    assert ledger.cursor("mastodon") == "1"


def test_each_network_has_its_own_cursor_which_stays_when_none_comes(ledger: Ledger) -> None:
    assert ledger.cursor("mastodon") is None

    ledger.ingest("mastodon", [], "7")
    ledger.ingest("mastodon", [Admission(MENTION)])

    assert ledger.cursor("mastodon") == "7"
    assert ledger.cursor("x") is None


def test_a_skipped_mention_keeps_the_reason_and_is_nobodys_work(ledger: Ledger) -> None:
    assert ledger.ingest("mastodon", [Admission(MENTION, skip="too old")]) == {KEY: ("", "too old")}

    found = record(ledger)
    assert (found.state, found.reason, found.mention) == ("skipped", "too old", None)
    assert ledger.claim(KEY, ["new"], "judging") is None
    assert not list(ledger.open())


# ── worked on ──


def test_a_mention_goes_its_way_and_leaves_its_times(ledger: Ledger) -> None:
    answer(ledger)

    found = record(ledger)
    assert (found.state, found.reply_id, found.score, found.label) == ("sent", "8", 0.5, "good")
    assert list(found.times) == ["new", "judging", "ready", "sending", "sent"]
    assert sorted(found.times.values()) == list(found.times.values())


def test_of_two_processes_only_one_gets_the_lease(ledger: Ledger) -> None:
    hear(ledger)

    assert [bool(ledger.claim(KEY, ["new", "judging"], "judging")) for _ in range(2)] == [True, False]


def test_a_lease_tells_what_was_known_before(ledger: Ledger) -> None:
    judge(ledger)

    lease = take(ledger, "sending")

    assert (lease.mention, lease.before.verdict, lease.before.state, lease.tries) == (
        MENTION,
        VERDICT,
        "ready",
        1,
    )


@pytest.mark.parametrize("state", ["judging", "ready", "sending"])
def test_a_mention_is_judged_in_no_other_state_than_new(ledger: Ledger, state: State) -> None:
    bring_to(ledger, state)

    assert ledger.claim(KEY, ["new"], "judging") is None


def test_an_unknown_mention_cannot_be_claimed(ledger: Ledger) -> None:
    assert ledger.claim("mastodon:0", ["new"], "judging") is None


def test_what_is_worked_on_is_not_overdue(ledger: Ledger) -> None:
    hear(ledger)
    take(ledger, "judging")
    let_pass(ledger._redis, KEY, 3.5)

    assert ledger.overdue() == []


def test_a_renewed_lease_lasts_longer(ledger: Ledger, redis: Redis) -> None:
    hear(ledger)
    lease = take(ledger, "judging")

    for _ in range(3):
        let_pass(redis, KEY, 3)
        assert ledger.overdue() == []
        assert ledger.renew(lease)
    let_pass(redis, KEY, TOO_LONG)

    assert ledger.overdue() == [KEY]


def test_a_step_that_is_done_cannot_be_renewed(ledger: Ledger) -> None:
    hear(ledger)
    lease = take(ledger, "judging")
    ledger.pass_on(lease, "ready")

    assert not ledger.renew(lease)


def test_a_step_is_done_once(ledger: Ledger) -> None:
    hear(ledger)
    lease = take(ledger, "judging")

    assert [ledger.pass_on(lease, "ready") for _ in range(2)] == [True, False]


def test_the_longest_overdue_mention_is_first(ledger: Ledger, redis: Redis) -> None:
    mentions = [MENTION.model_copy(update={"id": str(number)}) for number in range(3)]
    for mention, seconds in zip(mentions, (20, 30, 1), strict=True):
        hear(ledger, mention)
        let_pass(redis, mention.key, seconds)

    assert ledger.overdue() == ["mastodon:1", "mastodon:0"]


# ── leases that ran out ──


@pytest.mark.parametrize("state", ["judging", "sending"])
def test_a_lease_that_ran_out_is_void(ledger: Ledger, redis: Redis, state: State) -> None:
    bring_to(ledger, "new" if state == "judging" else "ready")
    lease = take(ledger, state)
    let_pass(redis, KEY, TOO_LONG)
    rescue(ledger)
    before = everything(redis)

    assert not ledger.renew(lease)
    assert not ledger.pass_on(lease, "ready", {"reason": "too late"})
    assert not ledger.close(lease, "sent", {"reply_id": "too late"})
    assert everything(redis) == before


@pytest.mark.parametrize("state", ["judging", "sending"])
def test_a_void_lease_cannot_disturb_its_successor(ledger: Ledger, redis: Redis, state: State) -> None:
    bring_to(ledger, "new" if state == "judging" else "ready")
    lease = take(ledger, state)
    let_pass(redis, KEY, TOO_LONG)
    rescue(ledger)
    successor = take(ledger, state)
    before = everything(redis)

    assert not ledger.renew(lease)
    assert not ledger.pass_on(lease, "ready", {"reason": "too late"})
    assert not ledger.close(lease, "sent", {"reply_id": "too late"})
    assert everything(redis) == before
    assert ledger.renew(successor)


def test_a_lease_that_ran_out_can_be_taken_over_before_any_sweep(ledger: Ledger, redis: Redis) -> None:
    judge(ledger)
    lease = take(ledger, "sending")
    let_pass(redis, KEY, TOO_LONG)

    assert take(ledger, "sending").tries == 2
    assert not ledger.close(lease, "sent")


@pytest.mark.parametrize(
    ("state", "queue", "then"),
    [
        ("new", "photos", "new"),
        ("judging", "photos", "new"),
        ("ready", "replies", "ready"),
        ("sending", "replies", "sending"),
    ],
)
def test_what_nobody_looks_after_is_rescued(
    ledger: Ledger, redis: Redis, state: State, queue: str, then: State
) -> None:
    bring_to(ledger, state)
    let_pass(redis, KEY, TOO_LONG)

    assert rescue(ledger) == {KEY: queue}
    assert record(ledger).state == then
    assert rescue(ledger) == {}


@pytest.mark.parametrize("state", ["new", "judging", "ready", "sending"])
def test_what_is_not_overdue_is_left_alone(ledger: Ledger, state: State) -> None:
    bring_to(ledger, state)

    assert ledger.rescue({KEY: ""}) == {}


@pytest.mark.parametrize(
    ("state", "queue"),
    [("new", "photos"), ("judging", "photos"), ("ready", "replies"), ("sending", "replies")],
)
def test_what_still_waits_in_its_queue_is_not_put_there_again(
    ledger: Ledger, redis: Redis, state: State, queue: str
) -> None:
    bring_to(ledger, state)
    let_pass(redis, KEY, TOO_LONG)

    assert rescue(ledger, queue) == {}
    assert ledger.overdue() == []
    let_pass(redis, KEY, TOO_LONG)
    assert ledger.overdue() == [KEY]


@pytest.mark.parametrize(("state", "queue"), [("new", "replies"), ("ready", "photos"), ("sending", "photos")])
def test_a_job_left_over_in_the_other_queue_is_no_help(
    ledger: Ledger, redis: Redis, state: State, queue: str
) -> None:
    bring_to(ledger, state)
    let_pass(redis, KEY, TOO_LONG)

    assert rescue(ledger, queue)


def test_a_mention_without_a_record_is_not_overdue_for_ever(ledger: Ledger, redis: Redis) -> None:
    redis.zadd(OPEN, {"mastodon:0": 0})

    assert rescue(ledger) == {}
    assert ledger.overdue() == []


def test_a_mention_that_ended_its_worker_twice_gets_an_apology_and_ends_as_failed(
    ledger: Ledger, redis: Redis
) -> None:
    hear(ledger)
    for _ in range(JUDGE_TRIES):
        take(ledger, "judging")
        let_pass(redis, KEY, TOO_LONG)
        rescued = rescue(ledger)

    assert rescued == {KEY: "replies"}
    found = record(ledger)
    assert (found.state, found.verdict, found.ends) == ("ready", APOLOGY, "failed")
    assert found.reason == "its worker ended 2 times"
    assert ledger.claim(KEY, ["new"], "judging") is None

    lease = take(ledger, "sending")
    assert ledger.close(lease, lease.before.ends or "sent", {"reply_id": "8"})
    assert record(ledger).state == "failed"
    assert list(ledger.failed()) == [KEY]
    assert not ledger.retry(KEY)


# ── late ──


@pytest.mark.parametrize("state", ["new", "judging"])
def test_a_mention_that_is_not_judged_in_time_gets_an_apology(
    ledger: Ledger, redis: Redis, state: State
) -> None:
    bring_to(ledger, state)
    let_pass(redis, KEY, LATE)

    # It may still wait for a worker: nobody should have to look at it.
    assert rescue(ledger, "photos") == {KEY: "replies"}
    found = record(ledger)
    assert (found.state, found.verdict, found.ends) == ("ready", APOLOGY, "expired")
    assert found.reason == "not judged in time"
    assert ledger.claim(KEY, ["new"], "judging") is None


@pytest.mark.parametrize("state", ["new", "judging"])
def test_or_silence_if_the_operator_wants_that(redis: Redis, state: State) -> None:
    ledger = Ledger(redis, Policy(apologise=False))
    bring_to(ledger, state)
    let_pass(redis, KEY, LATE)

    assert rescue(ledger) == {}
    assert record(ledger).state == "expired"
    assert not list(ledger.open())


def test_the_verdict_of_a_worker_that_is_late_is_not_taken(redis: Redis) -> None:
    for apologise in (True, False):
        redis.flushall()
        ledger = Ledger(redis, Policy(apologise=apologise))
        hear(ledger)
        lease = take(ledger, "judging")
        let_pass(redis, KEY, LATE)
        rescue(ledger)

        assert not ledger.pass_on(lease, "ready", JUDGED)
        assert record(ledger).verdict != VERDICT


def test_the_promise_is_the_operators(redis: Redis) -> None:
    ledger = Ledger(redis, Policy(promise_seconds=10, apologise=False))
    hear(ledger)
    let_pass(redis, KEY, 11)

    rescue(ledger)

    assert record(ledger).state == "expired"


def test_what_was_judged_in_time_is_for_the_responder_to_call_late(ledger: Ledger, redis: Redis) -> None:
    judge(ledger)
    let_pass(redis, KEY, LATE)

    assert rescue(ledger) == {KEY: "replies"}
    assert (record(ledger).state, record(ledger).verdict) == ("ready", VERDICT)


# ── tried again ──


def test_a_failed_mention_can_be_tried_again(ledger: Ledger, redis: Redis) -> None:
    refuse(ledger)

    assert ledger.retry(KEY) == "photos"
    found = record(ledger)
    assert (found.state, found.mention, found.tries, found.reason) == ("new", MENTION, {}, None)
    assert ledger.counts() == {"failed": 1, "retried": 1}
    assert redis.ttl(f"deepselfie:mention:{KEY}") == -1
    let_pass(redis, KEY, TOO_LONG)
    assert rescue(ledger) == {KEY: "photos"}
    take(ledger, "judging")


def test_one_retry_is_one_more_life(ledger: Ledger) -> None:
    refuse(ledger)

    assert [ledger.retry(KEY) for _ in range(2)] == ["photos", ""]


def test_a_lease_from_before_the_retry_is_void(ledger: Ledger) -> None:
    judge(ledger)
    lease = take(ledger, "sending")
    ledger.close(lease, "failed")
    ledger.retry(KEY)
    ledger.pass_on(take(ledger, "judging"), "ready", JUDGED)
    take(ledger, "sending")

    assert not ledger.renew(lease)
    assert not ledger.close(lease, "sent", {"reply_id": "too late"})


@pytest.mark.parametrize("state", ["new", "judging", "ready", "sending"])
def test_what_is_still_open_is_not_tried_again(ledger: Ledger, state: State) -> None:
    bring_to(ledger, state)

    assert not ledger.retry(KEY)


def test_what_was_answered_skipped_or_never_heard_of_is_not_tried_again(ledger: Ledger) -> None:
    answer(ledger)
    skipped = MENTION.model_copy(update={"id": "9"})
    ledger.ingest("mastodon", [Admission(skipped, skip="too old")])

    assert not any(ledger.retry(key) for key in (KEY, skipped.key, "mastodon:0"))
    assert (record(ledger).state, record(ledger, skipped.key).state) == ("sent", "skipped")


# ── what is kept ──


def test_an_open_mention_does_not_expire_and_a_closed_one_does(redis: Redis) -> None:
    ledger = Ledger(redis, Policy(retention_seconds=7 * DAY))
    name = f"deepselfie:mention:{KEY}"
    judge(ledger)
    lease = take(ledger, "sending")
    assert redis.ttl(name) == -1

    ledger.close(lease, "sent")

    assert 7 * DAY - 10 < int(redis.ttl(name)) <= 7 * DAY


def test_skipped_and_expired_records_go_too(redis: Redis) -> None:
    ledger = Ledger(redis, Policy(apologise=False))
    hear(ledger)
    let_pass(redis, KEY, LATE)
    rescue(ledger)
    ledger.ingest("mastodon", [Admission(MENTION.model_copy(update={"id": "9"}), skip="too old")])

    for name in ("deepselfie:mention:mastodon:7", "deepselfie:mention:mastodon:9"):
        assert 30 * DAY - 10 < int(redis.ttl(name)) <= 30 * DAY


def test_all_but_cursor_salt_and_counts_goes_with_time(ledger: Ledger, redis: Redis) -> None:
    answer(ledger)
    ledger.ingest("mastodon", [], "7")

    lasting = {name for name in redis.keys("*") if redis.ttl(name) == -1}
    assert lasting == {SALT.encode(), COUNTS.encode(), b"deepselfie:cursor:mastodon"}


def test_the_index_of_an_author_stays_as_long_as_the_authors_last_record(
    ledger: Ledger, redis: Redis
) -> None:
    refuse(ledger)
    index = f"deepselfie:author:{ledger.people.hash('mastodon', MENTION.author)}"
    # A month later, just before all this would go, the operator tries it again.
    redis.expire(index, 60)
    ledger.retry(KEY)
    ledger.pass_on(take(ledger, "judging"), "ready", JUDGED)

    ledger.close(take(ledger, "sending"), "sent", {"reply_id": "8"})

    assert int(redis.ttl(index)) >= int(redis.ttl(f"deepselfie:mention:{KEY}")) > 60


@pytest.mark.parametrize("end", [answer, refuse])
def test_who_asked_is_kept_only_as_a_hash(ledger: Ledger, redis: Redis, end: Any) -> None:
    end(ledger)
    ledger.retry(KEY)  # only what nobody was told of can be
    if record(ledger).state == "new":
        ledger.pass_on(take(ledger, "judging"), "ready", JUDGED)
        ledger.close(take(ledger, "sending"), "sent", {"reply_id": "8"})

    text = everything(redis).lower()

    for personal in ("ann", "example", "a.jpg", "my face", "opinions"):
        assert personal not in text
    assert ledger.people.hash("mastodon", MENTION.author) in text


def test_a_failed_mention_is_kept_as_it_was_until_it_is_tried_again_or_goes(ledger: Ledger) -> None:
    refuse(ledger)

    assert record(ledger).mention == MENTION


def test_an_author_has_another_hash_in_another_ledger_and_on_another_network(redis: Redis) -> None:
    here = People(redis).hash("mastodon", "ann")
    assert People(redis).hash("mastodon", "Ann") == here
    assert People(redis).hash("x", "ann") != here

    redis.flushall()

    assert People(redis).hash("mastodon", "ann") != here


def test_forgetting_someone_deletes_all_of_theirs_and_nothing_of_others(ledger: Ledger, redis: Redis) -> None:
    answer(ledger)
    hear(ledger, MENTION.model_copy(update={"id": "8"}))
    bob = MENTION.model_copy(update={"id": "9", "author": "bob"})
    hear(ledger, bob)

    assert ledger.people.forget("mastodon", MENTION.author.lower()) == 2

    for key in ("mastodon:7", "mastodon:8"):
        left = ledger.read(key)
        assert left
        assert (left.mention, left.reply_id, left.reason) == (None, None, "forgotten")
        assert redis.hlen(f"deepselfie:mention:{key}") == 2
        assert 0 < redis.ttl(f"deepselfie:mention:{key}") <= 24 * 3600
    assert [key for key, _ in ledger.open()] == [bob.key]
    assert ledger.people.hash("mastodon", MENTION.author) not in everything(redis)
    assert ledger.people.forget("mastodon", MENTION.author) == 0


def test_who_works_on_a_forgotten_mention_leaves_nothing_behind(ledger: Ledger, redis: Redis) -> None:
    judge(ledger)
    lease = take(ledger, "sending")
    ledger.people.forget("mastodon", MENTION.author)

    assert not ledger.renew(lease)
    assert not ledger.pass_on(lease, "ready")
    assert not ledger.close(lease, "sent", {"reply_id": "8"})
    left = ledger.read(KEY)
    assert left
    assert (left.state, left.reason) == ("skipped", "forgotten")
    assert redis.zcard(OPEN) == 0


def test_each_end_is_counted(redis: Redis) -> None:
    ledger = Ledger(redis, Policy(apologise=False))
    assert ledger.counts() == {}

    answer(ledger)
    for number, reason in enumerate(["too old", "small talk"]):
        ledger.ingest("mastodon", [Admission(MENTION.model_copy(update={"id": f"s{number}"}), skip=reason)])
    late = MENTION.model_copy(update={"id": "l"})
    hear(ledger, late)
    let_pass(redis, late.key, LATE)
    rescue(ledger)

    assert ledger.counts() == {"sent": 1, "skipped": 2, "expired": 1}


def test_a_finished_mention_takes_less_than_a_kilobyte(ledger: Ledger, redis: Redis) -> None:
    mentions = 1000
    ledger.ingest("mastodon", [], "113000000000000000")
    redis.memory_purge()
    memory: Any = redis.info("memory")
    before = memory["used_memory"]

    # Each by an author of their own: nobody shares an index.
    for number in range(mentions):
        file = f"{number:018}/original/{number:016x}.jpg"
        photo = f"https://files.example.social/media_attachments/files/113/{file}"
        answer(
            ledger,
            Mention(
                network="mastodon",
                id=str(113_000_000_000_000_000 + number),
                author=f"somebody_{number}@example.social",
                created_at=datetime.now(UTC),
                photos=(Photo(medium="image", url=photo),),
            ),
        )

    memory = redis.info("memory")
    assert (memory["used_memory"] - before) / mentions < 1000
    key = f"mastodon:{113_000_000_000_000_000}"
    author = ledger.people.hash("mastodon", "somebody_0@example.social")
    names = (f"deepselfie:mention:{key}", f"deepselfie:author:{author}")
    assert sum(int(redis.memory_usage(name) or 0) for name in names) < 1000
