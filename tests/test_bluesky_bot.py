"""A whole bot on a real Bluesky network: listener, worker and responder as processes, and the real model."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from bot.demo import BOT, UNLIMITED
from bot.processes import Processes
from tests.bluesky_network import Person, card, until
from tests.photos import portrait_jpeg
from tests.web import file, web
from tests.words import notice

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("bluesky")]

READY_SECONDS = 30
SCORED = re.compile(r"\d+/100.*\nBetter than \d\d?% of the drawn portraits I was tested on\.\n")
# The SDK and its types are some 35 of them.
MEGABYTES = 100


@pytest.fixture(scope="module")
def bot() -> Person:
    return Person("bot")


@pytest.fixture(scope="module")
def processes(bot: Person, redis_url: str) -> Iterator[Processes]:
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    processes = Processes(lambda _name, _event: None)
    settings = bot.settings() | {
        "REDIS_URL": redis_url,
        "LOG_FORMAT": "json",
        "WORKER_PRIVATE_ADDRESSES": "allow",
    }
    try:
        for name, (command, _) in BOT.items():
            processes.deepselfie(name, [command], os.environ | UNLIMITED | settings)
        for name, (_, event) in BOT.items():
            processes.wait_for(name, event, READY_SECONDS)
        yield processes
    finally:
        processes.stop()


@pytest.fixture(scope="module")
def ann() -> Person:
    return Person("ann")


def answer(person: Person, post: str) -> str:
    """The one reply under a post."""
    until(lambda: len(person.replies(post)), 1)
    (reply,) = person.replies(post)
    return str(reply["record"]["text"])


@pytest.mark.usefixtures("processes")
def test_a_photo_gets_its_score(ann: Person, bot: Person) -> None:
    post = ann.post("look", bot, embed=ann.images(portrait_jpeg()))

    assert SCORED.search(answer(ann, post))


@pytest.mark.usefixtures("processes")
def test_a_linked_photo_gets_its_score(ann: Person, bot: Person) -> None:
    with web({"/photo.jpg": file(portrait_jpeg())}) as site:
        post = ann.post("look", bot, embed=card(f"{site}/photo.jpg"))

        assert SCORED.search(answer(ann, post))


@pytest.mark.usefixtures("processes")
def test_who_says_delete_below_a_reply_has_it_deleted(ann: Person, bot: Person) -> None:
    post = ann.post("look", bot, embed=ann.images(portrait_jpeg()))
    answer(ann, post)
    (reply,) = ann.replies(post)

    command = ann.post("delete", reply=ann.replying(reply["uri"], post))

    assert answer(ann, command) == notice(command, "deleted", deleted=1, network="bluesky")
    assert until(lambda: len(ann.replies(post)), 0) == 0


@pytest.mark.parametrize("name", ["listener", "responder"])
def test_a_process_stays_small(processes: Processes, name: str) -> None:
    status = Path(f"/proc/{processes.pid(name)}/status").read_text()

    assert int(status.partition("VmRSS:")[2].split()[0]) < MEGABYTES * 1024
