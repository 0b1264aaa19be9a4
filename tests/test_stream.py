"""What keeps a stream open, with networks that do all that real ones have been seen to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from redis import Redis

from bot import backoff
from bot.alarms import alarms, raise_alarm
from bot.beats import silences
from bot.messages import Mention
from bot.networks.base import Alive, Gone, Happening, NetworkError, Trouble
from bot.stream import ALARMING_FAILURES, Stream

MENTION = Mention(network="mastodon", id="1", author="ann", created_at=datetime.now(UTC))


class Broadcast:
    """A network whose stream does what a test says, again and again."""

    name = "mastodon"

    def __init__(self, show: Callable[[Callable[[Happening], None]], None]) -> None:
        self._show = show
        self.opened: list[float] = []
        self.hung_up = threading.Event()
        self.open: Callable[[], None] = lambda: None

    def watch(self, deliver: Callable[[Happening], None], alive: Alive) -> None:
        self.opened.append(time.monotonic())
        self.open()
        alive(self.hung_up.set)
        self._show(deliver)


class Stage:
    """A stream, and what came of it."""

    def __init__(self, redis: Redis, show: Callable[[Callable[[Happening], None]], None]) -> None:
        self.redis = redis
        self.network = Broadcast(show)
        self.taken: list[Happening] = []
        self.looks = 0
        self.stream = Stream(self.network, redis, self.take, self.look)  # type: ignore[arg-type]

    def take(self, happening: Happening) -> None:
        self.taken.append(happening)

    def look(self) -> None:
        self.looks += 1

    def play(self, seconds: float) -> bool:
        """Run for some seconds; whether it gave up by itself."""
        thread = threading.Thread(target=self.stream.run, daemon=True)
        thread.start()
        thread.join(seconds)
        gave_up = not thread.is_alive()
        self.stream.stop()
        return gave_up


def refuse(trouble: Trouble) -> Callable[[Callable[[Happening], None]], None]:
    def show(_: Callable[[Happening], None]) -> None:
        raise NetworkError("no", trouble=trouble, permanent=True)

    return show


def test_a_thousand_ends_in_a_row_are_never_less_than_a_second_apart() -> None:
    pauses = [backoff.pause(failures) for failures in range(1, 1001)]

    assert min(pauses) >= 1
    assert max(pauses) <= backoff.LONGEST_SECONDS
    # Jitter: those who lost one server do not come back in step.
    assert len({round(pause, 3) for pause in pauses[10:]}) > 900


def test_the_alarm_falls_within_a_minute_even_if_each_silence_lasts_for_half_of_one() -> None:
    longest = sum(2.0**failures for failures in range(1, ALARMING_FAILURES))

    assert longest + ALARMING_FAILURES * 25 < 60


@pytest.mark.e2e
def test_a_stream_that_is_closed_at_once_is_opened_once_a_second_and_raises_an_alarm(redis: Redis) -> None:
    stage = Stage(redis, lambda _: None)

    stage.play(3.5)

    gaps = [later - earlier for earlier, later in pairwise(stage.network.opened)]
    assert gaps
    assert min(gaps) >= 1
    assert list(alarms(redis)) == ["mastodon stream"]
    # What happened in between, only a poll can tell.
    assert stage.looks == len(stage.network.opened)


@pytest.mark.e2e
def test_a_network_that_names_a_pause_gets_it(redis: Redis) -> None:
    def show(_: Callable[[Happening], None]) -> None:
        raise NetworkError("too many connections", trouble="rate_limited", retry_after=60)

    stage = Stage(redis, show)
    stage.play(3)

    assert len(stage.network.opened) == 1


def test_a_refused_stream_raises_an_alarm_and_is_not_tried_again(redis: Redis) -> None:
    stage = Stage(redis, refuse("unauthorized"))

    assert stage.play(5)

    assert len(stage.network.opened) == 1
    assert "refused" in alarms(redis)["mastodon stream"].words


def test_a_network_without_a_stream_is_no_alarm(redis: Redis) -> None:
    stage = Stage(redis, refuse("refused"))

    assert stage.play(5)

    assert not alarms(redis)
    assert not silences(redis)


def test_what_fails_with_one_event_neither_ends_the_stream_nor_loses_it(redis: Redis) -> None:
    def show(deliver: Callable[[Happening], None]) -> None:
        deliver(Gone("0"))
        deliver(MENTION)
        refuse("refused")(deliver)

    stage = Stage(redis, show)

    def take(happening: Happening) -> None:
        if happening != MENTION:
            raise LookupError("of all things")
        stage.taken.append(happening)

    stage.stream = Stream(stage.network, redis, take, stage.look)  # type: ignore[arg-type]
    stage.play(5)

    assert stage.taken == [MENTION]
    # Once for the stream that opened, once for the event that failed: the poller finds it.
    assert stage.looks == 2
    assert "of all things" in alarms(redis)["mastodon events"].words


@pytest.mark.e2e
def test_an_adapter_that_fails_is_given_another_chance(redis: Redis) -> None:
    def show(_: Callable[[Happening], None]) -> None:
        raise TypeError("NoneType is not iterable")

    stage = Stage(redis, show)

    assert not stage.play(3.5)

    assert len(stage.network.opened) > 1
    assert "NoneType" in alarms(redis)["mastodon stream"].words


def test_an_alarm_is_told_once_and_keeps_its_beginning(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    raise_alarm(redis, "mastodon stream", "first")
    raise_alarm(redis, "mastodon stream", "second")

    assert alarms(redis)["mastodon stream"].words == "first"
    assert len(caplog.records) == 1


@pytest.mark.e2e
@pytest.mark.parametrize("after", [0, 0.2])
def test_who_is_told_to_stop_hangs_up_even_while_the_stream_is_being_opened(
    redis: Redis, after: float
) -> None:
    def show(_: Callable[[Happening], None]) -> None:
        stage.network.hung_up.wait(10)

    stage = Stage(redis, show)
    thread = threading.Thread(target=stage.stream.run)
    if not after:
        stage.network.open = stage.stream.stop
    thread.start()
    time.sleep(after)
    stage.stream.stop()
    thread.join(2)

    assert not thread.is_alive()
    assert stage.network.hung_up.is_set()
    assert len(stage.network.opened) == 1
