"""Listener, ledger and responder on a real network: whom they answer, how often, what they do when told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from mastodon import MastodonNotFoundError
from redis import Redis

from bot import queues
from bot.ledger import Ledger
from bot.messages import Mention, Notice
from bot.networks.mastodon import Mastodon
from bot.processes import ProcessDied
from bot.record import Record
from bot.sandbox.person import Person
from tests.network import SECONDS, TOKEN, Network
from tests.photos import portrait_jpeg
from tests.words import notice

pytestmark = pytest.mark.e2e

# The defaults, but for a quota that a test does not want.
DEFAULTS = {
    "BOT_USER_PER_MINUTE": "5",
    "BOT_NEWCOMER_PER_MINUTE": "2",
    "BOT_PER_THREAD": "2",
}
NO_QUOTA = DEFAULTS | {"BOT_USER_PER_MINUTE": "1000", "BOT_NEWCOMER_PER_MINUTE": "1000"}


class Town:
    """A network with a bot, but without a worker: what has to be judged stays in its queue."""

    def __init__(self, directory: Path, redis: Redis, redis_url: str) -> None:
        self.redis = redis
        self.ledger = Ledger(redis)
        self.network = Network(directory / "network", redis_url)
        self.photo = directory / "photo.jpg"
        self.photo.write_bytes(portrait_jpeg(64, 64))

    def open(self, **settings: str) -> None:
        """Start the bot."""
        self.network.listen(**settings)
        self.network.processes.deepselfie("responder", ["respond"], self.network.environment)
        self.network.settle()
        self.network.processes.wait_for("responder", "ready", SECONDS)

    def person(self, name: str = "ann", **profile: Any) -> Person:
        return Person(self.network.url, name, **profile)

    def mention(self, person: Person, text: str = "hello", photos: int = 0, **options: object) -> str:
        """Have somebody mention the bot and return the post's id."""
        media = [person.upload(self.photo) for _ in range(photos)]
        return person.post(f"@deepselfie {text}", media, **options)

    def reply(self, person: Person, post: str) -> str:
        """What the bot says under a post."""
        reply = person.wait_for_reply(post, SECONDS)
        assert reply, "no reply"
        return reply.text.removeprefix(f"@{person.name} ")

    def is_told(self, person: Person, post: str, kind: Notice, deleted: int = 0) -> bool:
        """Whether what the bot says under a post is this notice, word for word."""
        return self.reply(person, post) == notice(post, kind, deleted=deleted)

    def record(self, post: str) -> Record:
        """What the ledger knows of a mention as soon as it knows it."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if record := self.ledger.read(f"mastodon:{post}"):
                return record
            time.sleep(0.01)
        raise AssertionError("not heard")

    def reason(self, post: str) -> str | None:
        """Why a mention was skipped."""
        record = self.record(post)
        assert record.state == "skipped"
        return record.reason


@pytest.fixture
def town(tmp_path: Path, redis: Redis, redis_url: str) -> Iterator[Town]:
    town = Town(tmp_path, redis, redis_url)
    yield town
    town.network.processes.stop()


def test_who_says_stop_gets_silence_until_they_say_start(town: Town) -> None:
    town.open(**NO_QUOTA)
    ann = town.person()
    assert town.is_told(ann, town.mention(ann), "help")

    assert town.is_told(ann, town.mention(ann, "please stop"), "stopped")
    assert town.reason(town.mention(ann)) == "author said stop"
    assert town.reason(town.mention(ann, photos=1)) == "author said stop"

    assert town.is_told(ann, town.mention(ann, "start"), "started")
    assert town.is_told(ann, town.mention(ann), "help")


def test_stop_may_be_said_under_a_reply_of_the_bot(town: Town) -> None:
    town.open(**NO_QUOTA)
    ann = town.person()
    post = town.mention(ann)
    town.reply(ann, post)

    stop = town.mention(ann, "stop", in_reply_to_id=ann.replies(post)[0].status["id"])

    assert town.is_told(ann, stop, "stopped")


def test_who_says_delete_has_the_replies_to_them_deleted_and_nobody_elses(town: Town) -> None:
    town.open(**NO_QUOTA)
    ann, bob = town.person(), town.person("bob")
    hers = [town.mention(ann) for _ in range(2)]
    his = town.mention(bob)
    for person, post in [*((ann, post) for post in hers), (bob, his)]:
        town.reply(person, post)
    reply = bob.replies(his)[0].status["id"]
    # She may not have his deleted, though she asks under it.
    assert town.is_told(ann, town.mention(ann, "delete", in_reply_to_id=reply), "deleted", 0)

    # Two replies, and the confirmation that there was nothing to delete.
    assert town.is_told(ann, town.mention(ann, "delete"), "deleted", 3)

    assert [len(ann.replies(post)) for post in hers] == [0, 0]
    assert ann.client.status(reply)
    assert town.record(hers[0]).deleted


def test_delete_under_one_reply_means_that_one(town: Town) -> None:
    town.open(**NO_QUOTA)
    ann = town.person()
    first, second = town.mention(ann), town.mention(ann)
    town.reply(ann, first)
    town.reply(ann, second)
    replies = [ann.replies(post)[0].status["id"] for post in (first, second)]

    delete = town.mention(ann, "delete", in_reply_to_id=replies[0])

    assert town.is_told(ann, delete, "deleted", 1)
    with pytest.raises(MastodonNotFoundError):
        ann.client.status(replies[0])
    assert ann.client.status(replies[1])


def test_help_is_given_to_who_asks_for_it(town: Town) -> None:
    town.open(**DEFAULTS)
    ann = town.person()

    assert town.is_told(ann, town.mention(ann, "help!"), "help")


def test_newcomers_are_slowed_down_earlier_than_others(town: Town) -> None:
    town.open(**DEFAULTS)
    new, old = town.person("new"), town.person("old", created_at="2020-01-01")

    for person, most in ((new, 2), (old, 5)):
        posts = [town.mention(person) for _ in range(most + 2)]
        assert all(town.is_told(person, post, "help") for post in posts[:most])
        assert town.is_told(person, posts[most], "slow_down")
        assert town.reason(posts[-1]) == f"more than {most} in 60 s (author)"


def test_stream_and_poller_and_a_restart_together_count_a_mention_once(town: Town) -> None:
    town.open(**DEFAULTS, BOT_POLL_SECONDS="0.1")
    ann = town.person()
    first = town.mention(ann)
    town.reply(ann, first)
    time.sleep(0.5)
    town.network.processes.kill("listener")
    town.network.listen(**DEFAULTS, BOT_POLL_SECONDS="0.1")
    town.network.settle()

    assert town.is_told(ann, town.mention(ann), "help")
    assert town.is_told(ann, town.mention(ann), "slow_down")


def test_a_thread_gets_no_more_than_two_replies(town: Town) -> None:
    town.open(**NO_QUOTA)
    ann, bob = town.person(), town.person("bob")
    root = ann.post("a thread that nobody is mentioned in")
    first = town.mention(ann, in_reply_to_id=root)
    second = town.mention(bob, in_reply_to_id=first)
    town.reply(ann, first)
    town.reply(bob, second)

    third = town.mention(ann, in_reply_to_id=second)

    assert town.reason(third) == "more than 2 in 2592000 s (thread)"
    assert town.is_told(ann, town.mention(ann), "help")


def test_photos_marked_as_sensitive_are_left_alone(town: Town) -> None:
    town.open(**NO_QUOTA)
    ann = town.person()

    assert town.is_told(ann, town.mention(ann, photos=1, sensitive=True), "sensitive")
    assert town.is_told(ann, town.mention(ann, photos=1, spoiler_text="skin"), "sensitive")
    assert town.record(town.mention(ann, photos=1)).state == "new"


def test_or_judged_if_the_operator_wants_that(town: Town) -> None:
    town.open(**NO_QUOTA, BOT_SENSITIVE="judge")
    ann = town.person()

    assert town.record(town.mention(ann, photos=1, sensitive=True)).state == "new"


def test_somebody_elses_photos_are_not_judged_and_ones_own_are(town: Town) -> None:
    town.open(**NO_QUOTA)
    ann, bob = town.person(), town.person("bob")
    post = ann.post("me", [ann.upload(town.photo)])

    assert town.is_told(bob, town.mention(bob, "look at her", in_reply_to_id=post), "not_yours")

    record = town.record(town.mention(ann, "look at me", in_reply_to_id=post))
    assert record.state == "new"
    assert record.mention
    assert len(record.mention.photos) == 1


def test_or_anyones_if_the_operator_wants_that(town: Town) -> None:
    town.open(**NO_QUOTA, BOT_PHOTOS_OF="anyone")
    ann, bob = town.person(), town.person("bob")
    post = ann.post("me", [ann.upload(town.photo)])

    assert town.record(town.mention(bob, in_reply_to_id=post)).state == "new"


def test_a_thread_that_cannot_be_read_costs_nobody_an_answer(town: Town) -> None:
    town.network.switch_on(endpoint="GET /api/v1/statuses/:id/context", kind="server_error", times=1)
    town.open(**NO_QUOTA)
    ann = town.person()

    post = town.mention(ann, in_reply_to_id=ann.post("hi"))

    town.network.processes.wait_for("listener", "thread unknown", SECONDS)
    assert town.is_told(ann, post, "help")


def test_a_thread_is_read_once_however_often_its_mention_is(town: Town) -> None:
    class Counting(Mastodon):
        looks: ClassVar[list[str]] = []

        def _place(self, mention: Mention) -> Mention:
            self.looks.append(mention.id)
            return super()._place(mention)

    ann = town.person()
    root = ann.post("hi")
    post = town.mention(ann, in_reply_to_id=ann.post("more", in_reply_to_id=root))
    network = Counting.login(town.network.url, TOKEN)

    pages = [network.mentions_after("0").mentions for _ in range(3)]

    assert [[mention.thread for mention in page] for page in pages] == [[root]] * 3
    assert network.looks == [post]


def test_who_is_on_the_blocklist_is_skipped_as_soon_as_they_are(town: Town, tmp_path: Path) -> None:
    file = tmp_path / "blocklist"
    file.write_text("# nobody yet\n")
    town.open(**NO_QUOTA, BOT_BLOCKLIST=str(file))
    ann = town.person()
    assert town.is_told(ann, town.mention(ann), "help")

    file.write_text("@ann # no more\n")

    assert town.reason(town.mention(ann)) == "author is on the blocklist"


def test_a_blocklist_that_is_missing_ends_the_listener_with_one_sentence(town: Town, tmp_path: Path) -> None:
    with pytest.raises(ProcessDied, match=r"BOT_BLOCKLIST names .*missing, which cannot be read as text"):
        town.open(BOT_BLOCKLIST=str(tmp_path / "missing"))


def test_who_wants_no_bots_is_not_answered(town: Town) -> None:
    town.open(**NO_QUOTA)

    assert town.reason(town.mention(town.person(note="I am #NoBot"))) == "author's profile says #nobot"


@pytest.fixture
def rush(town: Town) -> None:
    """A photo that has waited for an hour."""
    queues.enqueue(town.redis, queues.PHOTOS, "mastodon:0")
    since = datetime.now(UTC) - timedelta(hours=1)
    for name in town.redis.scan_iter("rq:job:*"):
        town.redis.hset(name, "enqueued_at", f"{since:%Y-%m-%dT%H:%M:%S.%fZ}")


@pytest.mark.usefixtures("rush")
def test_while_photos_wait_too_long_new_ones_are_turned_away_at_once(town: Town) -> None:
    town.open(**NO_QUOTA)
    ann = town.person()

    assert town.is_told(ann, town.mention(ann, photos=1), "busy")
    assert town.is_told(ann, town.mention(ann), "help")


@pytest.mark.usefixtures("rush")
def test_or_passed_over_in_silence_if_the_operator_wants_that(town: Town) -> None:
    town.open(**NO_QUOTA, BOT_WHEN_LATE="silence")
    ann = town.person()

    assert town.reason(town.mention(ann, photos=1)) == "too many photos wait"
