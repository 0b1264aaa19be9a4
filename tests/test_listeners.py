"""What befalls the listening to one network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis

from bot.alarms import alarms
from bot.leader import leaders
from bot.listeners import Listeners
from bot.networks import connect
from bot.networks.accounts import MastodonAccount
from bot.networks.base import Page
from bot.settings import ListenerSettings, load
from tests.sandbox import Network
from tests.waiting import eventually

SECONDS = 10


class Troubled:
    """A network on which something is wrong for a while."""

    def __init__(self, network: Any, trouble: Callable[[], None]) -> None:
        self._network = network
        self._trouble = trouble
        self.looks = 0

    @property
    def name(self) -> str:
        """The first that a listener asks for."""
        self._trouble()
        return "mastodon"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def mentions_after(self, cursor: str | None) -> Page:
        self.looks += 1
        page: Page = self._network.mentions_after(cursor)
        return page


class Slow(Troubled):
    """A network that answers no look until it is told to."""

    def __init__(self, network: Any) -> None:
        super().__init__(network, lambda: None)
        self.asked = threading.Event()
        self.answers = threading.Event()

    def mentions_after(self, cursor: str | None) -> Page:
        self.asked.set()
        self.answers.wait(SECONDS * 2)
        return super().mentions_after(cursor)


@pytest.fixture
def account(network: Network) -> MastodonAccount:
    return load(MastodonAccount, {"MASTODON_URL": network.url, "MASTODON_TOKEN": network.token})


@contextmanager
def listening(
    redis: Redis, redis_url: str, account: MastodonAccount, network: Troubled | None = None
) -> Iterator[Listeners]:
    settings = load(ListenerSettings, {"REDIS_URL": redis_url, "BOT_POLL_SECONDS": "3600"})
    listeners = Listeners([account], redis, settings)
    if network:
        listeners._networks[account] = network  # type: ignore[assignment]
    thread = threading.Thread(target=listeners.run)
    thread.start()
    try:
        yield listeners
    finally:
        listeners.stop()
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_a_network_whose_listening_fails_as_nobody_foresaw_is_begun_again_and_is_an_alarm_meanwhile(
    redis: Redis, redis_url: str, account: MastodonAccount
) -> None:
    causes = [RuntimeError("can't start new thread")]

    def trouble() -> None:
        if causes:
            raise causes.pop()

    network = Troubled(connect(account, redis), trouble)
    with listening(redis, redis_url, account, network) as listeners:
        assert eventually(lambda: "mastodon" in alarms(redis), SECONDS)
        assert "can't start new thread" in alarms(redis)["mastodon"].words

        assert eventually(lambda: "mastodon poll" in listeners.live(), SECONDS)
        assert eventually(lambda: network.looks > 0 and not alarms(redis), SECONDS)


@pytest.mark.e2e
def test_a_leader_whose_poll_hangs_hands_over_to_who_stands_by_and_stands_by_when_it_goes_on(
    redis: Redis, redis_url: str, account: MastodonAccount
) -> None:
    slow = Slow(connect(account, redis))
    fine = Troubled(connect(account, redis), lambda: None)
    with listening(redis, redis_url, account, slow) as stuck:
        assert slow.asked.wait(SECONDS)
        with listening(redis, redis_url, account, fine) as other:
            [listener] = stuck._listening.values()
            assert not eventually(lambda: fine.looks > 0, 3)

            # More than a minute later.
            listener.pulse._last -= 76

            assert eventually(lambda: fine.looks > 0, SECONDS)
            assert other.live().keys() >= {"mastodon poll"}
            slow.answers.set()
            assert eventually(lambda: not stuck._listening, SECONDS)
            assert leaders(redis)
            assert slow.looks == 1
