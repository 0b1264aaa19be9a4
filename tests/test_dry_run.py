"""`--dry-run`: a whole bot, of which nobody in the network notices anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from bot.ledger import Ledger
from bot.people import People
from bot.processes import Event
from bot.record import Record
from bot.sandbox.person import Person
from tests.network import SECONDS, Network

pytestmark = pytest.mark.e2e


class Rehearsal:
    """A network, and a listener and a responder that have been told to post nothing."""

    def __init__(self, directory: Path, redis: Redis, redis_url: str) -> None:
        self.network = Network(directory, redis_url)
        self.ledger = Ledger(redis)
        self.ann = Person(self.network.url, "ann")
        self.start("listener", "listen", "stream open")
        self.start("responder", "respond", "ready")

    def start(self, name: str, command: str, event: str) -> None:
        self.network.processes.deepselfie(name, [command, "--dry-run"], self.network.environment)
        self.network.processes.wait_for(name, event, SECONDS)

    def event(self, name: str, process: str = "responder") -> Event:
        """What a process has logged under that name."""
        return self.network.processes.wait_for(process, name, SECONDS)

    def record(self, post: str) -> Record:
        """What the ledger knows of a mention that is over."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            record = self.ledger.read(f"mastodon:{post}")
            if record and record.mention is None:
                return record
            time.sleep(0.01)
        raise AssertionError("still open")


@pytest.fixture
def rehearsal(tmp_path: Path, redis: Redis, redis_url: str) -> Iterator[Rehearsal]:
    rehearsal = Rehearsal(tmp_path, redis, redis_url)
    yield rehearsal
    rehearsal.network.processes.stop()


def test_the_reply_is_logged_not_posted_and_never_tried_again(rehearsal: Rehearsal) -> None:
    post = rehearsal.ann.post("@deepselfie help")

    event = rehearsal.event("would answer")
    record = rehearsal.record(post)

    assert event["key"] == f"mastodon:{post}"
    assert "photo" in event["text"]
    assert (record.state, record.reason, record.reply_id) == ("skipped", "dry run", None)
    assert rehearsal.ann.replies(post) == []
    assert list(rehearsal.ledger.open()) == []
    assert rehearsal.ledger.retry(f"mastodon:{post}") == ""
    assert rehearsal.ledger.counts() == {"skipped": 1}


def test_a_reply_that_its_author_wants_gone_stays_until_the_bot_runs_for_real(
    rehearsal: Rehearsal, redis: Redis
) -> None:
    network = rehearsal.network
    network.processes.kill("responder")
    network.processes.deepselfie("real", ["respond"], network.environment)
    first = rehearsal.ann.post("@deepselfie help")
    assert rehearsal.ann.wait_for_reply(first, SECONDS)
    rehearsal.record(first)
    network.processes.kill("real")
    rehearsal.start("dry", "respond", "ready")

    second = rehearsal.ann.post("@deepselfie delete")

    assert rehearsal.event("would delete", "dry")["replies"] == 1
    assert rehearsal.record(second).state == "skipped"
    assert len(rehearsal.ann.replies(first)) == 1
    assert len(People(redis).replies("mastodon", "ann")) == 1


def test_a_reply_whose_mention_is_deleted_stays_until_the_bot_runs_for_real(rehearsal: Rehearsal) -> None:
    network, ann = rehearsal.network, rehearsal.ann
    network.processes.kill("responder")
    network.processes.deepselfie("real", ["respond"], network.environment)
    post = ann.post("@deepselfie help")
    reply = ann.wait_for_reply(post, SECONDS)
    assert reply
    rehearsal.record(post)

    ann.client.status_delete(post)

    assert rehearsal.event("would delete", "listener")["key"] == f"mastodon:{post}"
    assert ann.client.status(reply.status["id"])["content"] == reply.status["content"]
