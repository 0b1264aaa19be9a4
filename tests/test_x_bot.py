"""Listener and responder on X, between a fake X where much goes wrong and a real Redis."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from redis import Redis

from bot.demo import UNLIMITED
from bot.ledger import Ledger
from bot.messages import Judged, Mention, Verdict
from bot.networks.x import X
from bot.processes import ProcessDied
from bot.record import Admission, Record
from bot.responder import QUARANTINE_SECONDS, Responder
from bot.sweeper import Sweeper
from tests.clock import let_pass
from tests.fake_x_faults import TIMELINE
from tests.waiting import eventually
from tests.x import POST, SECONDS, STREAM, FakeX, Person, fake_x

pytestmark = pytest.mark.e2e

# A link is something to look at; nobody follows it here.
LOOK = "@deepselfie look http://photos.example/a.jpg"
VERDICT = Verdict(opinions=(Judged(score=0.83, label="good"),), judge="test 1")


@pytest.fixture
def network(tmp_path: Path, redis: Redis, redis_url: str) -> Iterator[FakeX]:
    redis.ping()
    with fake_x(tmp_path, redis_url) as running:
        yield running


@pytest.fixture
def ann(network: FakeX) -> Person:
    return network.join("ann")


def listen(network: FakeX, **settings: str) -> None:
    environment = UNLIMITED | os.environ | network.settings(LOG_FORMAT="json", **settings)
    network.processes.deepselfie("listener", ["listen"], environment)
    network.processes.wait_for("listener", "logged in", SECONDS)


def are_heard(redis: Redis, posts: list[str]) -> bool:
    ledger = Ledger(redis)
    return eventually(lambda: all(ledger.read(f"x:{post}") for post in posts), SECONDS)


# ── listening ──


def test_without_a_stream_mentions_are_polled(network: FakeX, ann: Person, redis: Redis) -> None:
    before = ann.post(LOOK)
    listen(network, X_STREAM="off", BOT_POLL_SECONDS="0.2")
    assert are_heard(redis, [before])

    assert are_heard(redis, [ann.post(f"{LOOK} {number}") for number in range(3)])


def test_a_stream_that_ends_with_each_event_is_opened_once_a_second_at_most_and_nothing_is_lost_or_doubled(
    network: FakeX, ann: Person, redis: Redis
) -> None:
    network.switch_on(endpoint=STREAM, kind="stream_closes")
    network.switch_on(endpoint=STREAM, kind="stream_repeats")
    listen(network, BOT_POLL_SECONDS="0.5")
    network.processes.wait_for("listener", "stream open", SECONDS)

    posts: list[str] = []
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        posts.append(ann.post(f"{LOOK} {len(posts)}"))
        time.sleep(0.05)

    assert are_heard(redis, posts)
    # The ledger knows a mention a moment before the queue does.
    assert eventually(lambda: redis.llen("rq:queue:photos") >= len(posts), SECONDS)
    assert redis.llen("rq:queue:photos") == len(posts)
    connects = network.connects()
    assert len(connects) > 1
    assert min(later - earlier for earlier, later in pairwise(connects)) >= 1


def test_a_stream_that_is_reordered_and_full_of_garbage_loses_nothing(
    network: FakeX, ann: Person, redis: Redis
) -> None:
    for kind in ("stream_reorders", "stream_garbage", "stream_untagged"):
        network.switch_on(endpoint=STREAM, kind=kind)
    listen(network, BOT_POLL_SECONDS="3600")
    network.processes.wait_for("listener", "stream open", SECONDS)

    assert are_heard(redis, [ann.post(f"{LOOK} {number}") for number in range(6)])


def test_mentions_of_a_dead_time_are_heard_when_both_are_back(
    network: FakeX, ann: Person, redis: Redis
) -> None:
    listen(network, BOT_POLL_SECONDS="0.5")
    assert are_heard(redis, [ann.post(LOOK)])
    network.processes.kill("listener")
    posts = [ann.post(f"{LOOK} {number}") for number in range(110)]
    network.restart()

    listen(network, BOT_POLL_SECONDS="0.5")

    assert are_heard(redis, posts)


def test_wrong_tokens_end_the_listener_with_one_sentence(network: FakeX) -> None:
    with pytest.raises(ProcessDied, match=r"X answered 401 Unauthorized; set valid X_CONSUMER_KEY"):
        listen(network, X_ACCESS_TOKEN="wrong")


# ── replying ──


class Desk:
    """One mention after the other, and the responder that answers them."""

    def __init__(self, redis: Redis, bot: X, ann: Person) -> None:
        self.redis = redis
        self.bot = bot
        self.ann = ann
        self.ledger = Ledger(redis)
        self.responder = Responder(bot, self.ledger, apologise=True)

    def judged(self) -> str:
        """Have ann mention the bot and a worker look at it; return the mention's key."""
        post = self.ann.post("@deepselfie look")
        mention = Mention(network="x", id=post, author="ann", created_at=datetime.now(UTC))
        self.ledger.ingest("x", [Admission(mention)])
        lease = self.ledger.claim(mention.key, ["new"], "judging")
        assert lease
        self.ledger.pass_on(lease, "ready", {"verdict": VERDICT.model_dump_json(), "score": 0.83})
        return mention.key

    def see_through(self, key: str) -> Record:
        """Respond, and go on for as long as the mention is open."""
        for _ in range(6):
            self.responder.respond(key)
            let_pass(self.redis, key, QUARANTINE_SECONDS + 1)
            Sweeper(self.redis, self.ledger).sweep()
        record = self.ledger.read(key)
        assert record
        return record

    def replies(self) -> int:
        """How often the bot has posted."""
        answer = self.bot._client.get_users_tweets(self.bot._me.id, max_results=100, user_auth=True)
        return len(answer.get("data", []))


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("kind", ["dropped_answer", "error_after_success", "server_error", "rate_limited"])
def test_whatever_happens_to_a_post_there_is_one_reply(
    network: FakeX, ann: Person, redis: Redis, kind: str, times: int
) -> None:
    desk = Desk(redis, network.bot(), ann)
    key = desk.judged()
    network.switch_on(endpoint=POST, kind=kind, times=times)

    assert desk.see_through(key).state == "sent"

    assert desk.replies() == 1


def test_who_cannot_look_does_not_post(network: FakeX, ann: Person, redis: Redis) -> None:
    desk = Desk(redis, network.bot(), ann)
    key = desk.judged()
    network.switch_on(endpoint=POST, kind="dropped_answer", times=1)
    network.switch_on(endpoint="GET /2/users/:id/tweets", kind="server_error", times=2)

    assert desk.see_through(key).state == "sent"

    assert desk.replies() == 1


def test_a_reply_that_x_does_not_show_yet_is_not_posted_in_other_words(
    network: FakeX, ann: Person, redis: Redis
) -> None:
    desk = Desk(redis, network.bot(), ann)
    key = desk.judged()
    network.switch_on(endpoint=POST, kind="dropped_answer", times=1)
    network.switch_on(endpoint=TIMELINE, kind="lags", seconds=3600, times=1)
    network.switch_on(endpoint=POST, kind="duplicate")

    record = desk.see_through(key)

    # Posted again, it was refused as a duplicate: then it was looked for once more.
    assert (record.state, record.tries["sending"], desk.replies()) == ("sent", 3, 1)


def test_a_mention_that_is_gone_fails_and_says_why(network: FakeX, ann: Person, redis: Redis) -> None:
    desk = Desk(redis, network.bot(), ann)
    key = desk.judged()
    ann.delete(key.partition(":")[2])

    record = desk.see_through(key)

    assert (record.state, desk.replies()) == ("failed", 0)
    assert "deleted or not visible" in (record.reason or "")
