"""The listener as a process, between a real network and a real Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mastodon import MastodonNotFoundError
from redis import Redis

from bot.alarms import alarms
from bot.keys import answered, cursor
from bot.ledger import Ledger
from bot.processes import ProcessDied
from bot.sandbox.person import Person
from tests.network import SECONDS, Network
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

# A link is something to look at; nobody follows it here.
LOOK = "@deepselfie look http://photos.example/a.jpg"


@pytest.fixture
def network(tmp_path: Path, redis: Redis, redis_url: str) -> Iterator[Network]:
    redis.ping()
    network = Network(tmp_path, redis_url)
    yield network
    network.processes.stop()


@pytest.fixture
def ann(network: Network) -> Person:
    return Person(network.url, "ann")


@pytest.fixture
def state(redis: Redis) -> Callable[[str], str | None]:
    """The state of a post's mention, as soon as it has one."""
    ledger = Ledger(redis)

    def state(post: str) -> str | None:
        eventually(lambda: ledger.read(f"mastodon:{post}") is not None, SECONDS)
        record = ledger.read(f"mastodon:{post}")
        return record.state if record else None

    return state


State = Callable[[str], str | None]


def test_a_mention_posted_before_the_first_start_is_heard(
    network: Network, ann: Person, state: State
) -> None:
    post = ann.post(LOOK)

    network.listen()

    assert state(post) == "new"


def test_mentions_posted_while_the_listener_was_dead_are_heard_when_it_is_back(
    network: Network, ann: Person, state: State
) -> None:
    network.listen()
    network.settle()
    assert state(ann.post(LOOK)) == "new"
    network.processes.kill("listener")
    # More than one page of notifications.
    posts = [ann.post(f"{LOOK} {number}") for number in range(90)]

    network.listen()

    assert [state(post) for post in posts] == ["new"] * 90


def test_without_a_stream_mentions_are_polled(network: Network, ann: Person, state: State) -> None:
    network.switch_on(endpoint="GET /api/v1/streaming", kind="server_error")
    network.listen(BOT_POLL_SECONDS="0.2")
    assert state(ann.post(f"{LOOK} at the first look")) == "new"

    assert state(ann.post(f"{LOOK} at a later one")) == "new"


def test_a_stream_that_closes_again_and_again_is_opened_again(
    network: Network, ann: Person, state: State
) -> None:
    network.switch_on(endpoint="GET /api/v1/streaming", kind="stream_closes")
    network.listen(BOT_POLL_SECONDS="3600")
    network.settle()

    assert [state(ann.post(f"{LOOK} {number}")) for number in range(3)] == ["new"] * 3


def test_a_poll_that_fails_in_a_way_that_nobody_foresaw_does_not_end_the_listener(
    network: Network, ann: Person, state: State, redis: Redis
) -> None:
    redis.set(cursor("mastodon"), b"\xff")
    network.listen(BOT_POLL_SECONDS="0.1")
    network.settle()
    network.processes.wait_for("listener", "poll failed", SECONDS)

    assert state(ann.post(LOOK)) == "new"


def test_each_mention_is_queued_once_though_stream_and_poller_both_hear_it(
    network: Network, ann: Person, state: State, redis: Redis
) -> None:
    network.listen(BOT_POLL_SECONDS="0.1")
    network.settle()

    posts = [ann.post(f"{LOOK} {number}") for number in range(5)]
    assert [state(post) for post in posts] == ["new"] * 5
    assert eventually(lambda: redis.llen("rq:queue:photos") >= 5)
    time.sleep(0.5)

    assert redis.llen("rq:queue:photos") == 5


def test_old_mentions_are_skipped_not_answered_late(network: Network, ann: Person, state: State) -> None:
    post = ann.post(LOOK)

    network.listen(BOT_CATCH_UP_MINUTES="0.00001")

    assert state(post) == "skipped"


def test_the_bot_does_not_talk_to_bots(network: Network, state: State) -> None:
    network.listen()

    assert state(Person(network.url, "robot", bot=True).post(LOOK)) == "skipped"


def test_a_token_that_the_network_refuses_ends_the_listener_with_one_sentence(network: Network) -> None:
    network.listen(MASTODON_TOKEN="wrong")

    with pytest.raises(ProcessDied, match=r"does not accept the token .* set a valid MASTODON_TOKEN$"):
        network.settle()


def test_mentions_that_cannot_be_read_are_an_alarm_until_they_can(
    network: Network, ann: Person, state: State, redis: Redis
) -> None:
    network.switch_on(endpoint="GET /api/v1/notifications", kind="server_error")
    network.listen()

    assert eventually(lambda: "mastodon poll" in alarms(redis), 20)
    network.switch_off()

    assert state(ann.post(LOOK)) == "new"
    assert eventually(lambda: "mastodon poll" not in alarms(redis), 20)


def test_when_a_mention_is_deleted_so_is_its_reply(network: Network, ann: Person, redis: Redis) -> None:
    network.listen(BOT_POLL_SECONDS="3600")
    network.processes.deepselfie("responder", ["respond"], network.environment)
    network.settle()
    post = ann.post("@deepselfie help")
    reply = ann.wait_for_reply(post, SECONDS)
    assert reply
    assert eventually(lambda: redis.zscore(answered("mastodon"), f"mastodon:{post}") is not None, SECONDS)

    ann.client.status_delete(post)

    assert eventually(lambda: is_gone(ann, reply.status["id"]), SECONDS)


def is_gone(person: Person, post: str) -> bool:
    try:
        person.client.status(post)
    except MastodonNotFoundError:
        return True
    return False
