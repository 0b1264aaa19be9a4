"""Containers that are killed, stopped, multiplied and replaced while people post. With Docker Compose 2."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.conftest import NewStack
from tests.compose.crowd import Crowd
from tests.compose.engine import docker
from tests.compose.stack import BOT, SERVICES, Stack, inspected
from tests.judges import brightness_judge
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

REST_SECONDS = 3


@pytest.fixture(scope="module")
def bot(new_stack: NewStack) -> Iterator[Stack]:
    with new_stack(2) as made:
        made.follow()
        yield made


def once_each(crowd: Crowd) -> bool:
    """Everybody has an answer, and nobody has two."""
    answers = crowd.answers()
    assert answers == Counter({1: len(crowd.posts)}), answers
    return len(crowd.posts) > 0


def judged_once_each(bot: Stack, crowd: Crowd) -> bool:
    """Every post was judged, and none twice; of what the other tests killed, some may have been."""
    return eventually(lambda: bot.judged(crowd.posts) == Counter(crowd.posts))


def test_whichever_container_is_killed_nothing_is_lost_and_nothing_answered_twice(
    bot: Stack, photo: Path
) -> None:
    with Crowd(bot.url, photo) as crowd:
        for service in SERVICES:
            time.sleep(REST_SECONDS)
            bot.crash(service)
        time.sleep(REST_SECONDS)

    assert once_each(crowd)


def test_whichever_container_is_stopped_ends_in_time_and_leaves_nothing_undone(
    bot: Stack, photo: Path
) -> None:
    with Crowd(bot.url, photo) as crowd:
        for service in BOT:
            time.sleep(REST_SECONDS)
            container, since = bot.container(service), time.monotonic()
            bot.run("stop", service)
            assert time.monotonic() - since < 15
            assert inspected(container)["State"]["ExitCode"] == 0
            bot.run("start", service)
        time.sleep(REST_SECONDS)

    assert once_each(crowd)


def test_redis_keeps_everything_when_it_is_stopped(bot: Stack, photo: Path) -> None:
    with Crowd(bot.url, photo) as crowd:
        time.sleep(REST_SECONDS)
        container = bot.container("redis")
        bot.run("stop", "redis")
        assert inspected(container)["State"]["ExitCode"] == 0
        time.sleep(REST_SECONDS)
        bot.run("start", "redis")
        time.sleep(REST_SECONDS)

    assert once_each(crowd)


def test_three_workers_share_the_photos(bot: Stack, photo: Path) -> None:
    bot.up("--scale", "worker=3", "--no-recreate")
    workers = bot.containers("worker")
    with Crowd(bot.url, photo, rate=8) as crowd:
        time.sleep(5)

    assert once_each(crowd)
    assert len(workers) == 3
    for worker in workers:
        assert '"event": "judged"' in docker("logs", worker, stderr=True)


def test_the_judge_is_swapped_while_people_post(bot: Stack, photo: Path) -> None:
    def swapped() -> bool:
        return any(
            event["event"] == "judge swapped" and event["name"] == "brightness" for event in bot.events()
        )

    with Crowd(bot.url, photo) as crowd:
        time.sleep(REST_SECONDS)
        draft = brightness_judge(bot.folder / "models/.brightness.part")
        draft.rename(bot.folder / "models/brightness.onnx")
        assert eventually(swapped, 20)
        time.sleep(REST_SECONDS)

    assert once_each(crowd)
    assert judged_once_each(bot, crowd)


def test_an_update_under_load_loses_nothing_and_judges_nothing_twice(bot: Stack, photo: Path) -> None:
    # What is judged from here on is known even of containers that go.
    bot.follow()
    before = {service: bot.containers(service) for service in BOT}
    with Crowd(bot.url, photo) as crowd:
        time.sleep(REST_SECONDS)
        for package in ("bot", "worker"):
            with (bot.folder / package / "__init__.py").open("a") as code:
                code.write("# changed\n")
        bot.up("--build")
        time.sleep(REST_SECONDS)

    assert once_each(crowd)
    for service in BOT:
        assert not set(before[service]) & set(bot.containers(service))
    assert judged_once_each(bot, crowd)
