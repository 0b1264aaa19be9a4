from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

import pytest

from worker.turns import Turns


class Crowd:
    """Downloads that last until they are let go, and who of them came in."""

    def __init__(self, total: int, per_host: int) -> None:
        self.turns = Turns(total, per_host)
        self.running: list[str] = []
        self.late: list[str] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, name: str, *, seconds: float = 60, lasts: float = 60) -> None:
        """Have "host/what" ask for a turn, and give the others theirs."""
        self._tasks[name] = asyncio.create_task(self._download(name, seconds, lasts))
        await settled()

    async def end(self, *names: str) -> None:
        for name in names:
            self._tasks[name].cancel()
        await settled()

    async def _download(self, name: str, seconds: float, lasts: float) -> None:
        try:
            async with asyncio.timeout(seconds) as deadline:
                async with self.turns.turn(name.partition("/")[0].encode(), deadline):
                    self.running.append(name)
                    try:
                        await asyncio.sleep(lasts)
                    finally:
                        self.running.remove(name)
        except TimeoutError:
            self.late.append(name)


class _Impatient(selectors.DefaultSelector):
    """Waits for nothing: time passes instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += max(0.0, timeout or 0.0)
        return super().select(0)


class _Clockwork(asyncio.SelectorEventLoop):
    """A loop whose clock a machine that stands still does not disturb."""

    def __init__(self) -> None:
        self._selecting = _Impatient()
        super().__init__(self._selecting)

    def time(self) -> float:
        return self._selecting.now


def play(scene: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=_Clockwork) as runner:
        runner.run(scene)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_so_many_run_at_once_and_the_next_comes_when_one_is_done() -> None:
    async def scene() -> None:
        crowd = Crowd(total=2, per_host=2)
        for name in ("a", "b", "c"):
            await crowd.start(name)
        assert crowd.running == ["a", "b"]
        await crowd.end("a")
        assert crowd.running == ["b", "c"]

    play(scene())


def test_one_host_has_only_so_many_and_holds_nobody_back() -> None:
    async def scene() -> None:
        crowd = Crowd(total=3, per_host=2)
        for name in ("a/1", "a/2", "a/3", "b/1", "c/1"):
            await crowd.start(name)
        assert crowd.running == ["a/1", "a/2", "b/1"]
        await crowd.end("b/1")
        assert crowd.running == ["a/1", "a/2", "c/1"]
        await crowd.end("a/1")
        assert crowd.running == ["a/2", "c/1", "a/3"]

    play(scene())


def test_hosts_take_turns() -> None:
    async def scene() -> None:
        crowd = Crowd(total=1, per_host=1)
        for name in ("x", "a/1", "a/2", "a/3", "b/1", "b/2"):
            await crowd.start(name)
        order = []
        while crowd.running:
            order += crowd.running
            await crowd.end(*crowd.running)
        assert order == ["x", "a/1", "b/1", "a/2", "b/2", "a/3"]

    play(scene())


def test_to_wait_for_ones_own_host_counts() -> None:
    async def scene() -> None:
        crowd = Crowd(total=5, per_host=1)
        await crowd.start("a/1")
        await crowd.start("a/2", seconds=0.05)
        await asyncio.sleep(0.07)
        assert crowd.late == ["a/2"]
        await crowd.end("a/1")

    play(scene())


def test_to_wait_for_all_the_others_does_not_count() -> None:
    async def scene() -> None:
        crowd = Crowd(total=1, per_host=1)
        await crowd.start("a/1")
        await crowd.start("b/1", seconds=0.05, lasts=0.01)
        await asyncio.sleep(0.15)
        await crowd.end("a/1")
        assert crowd.running == ["b/1"]
        await asyncio.sleep(0.03)
        assert crowd.running == crowd.late == []

    play(scene())


def test_what_was_waited_for_ones_own_host_is_taken_off_what_is_left() -> None:
    async def scene() -> None:
        crowd = Crowd(total=5, per_host=1)
        await crowd.start("a/1")
        await crowd.start("a/2", seconds=0.1)
        await asyncio.sleep(0.06)
        await crowd.end("a/1")
        assert crowd.running == ["a/2"]
        await asyncio.sleep(0.06)
        assert crowd.late == ["a/2"]

    play(scene())


def test_a_host_is_to_blame_only_while_it_has_all_it_may() -> None:
    async def scene() -> None:
        crowd = Crowd(total=2, per_host=2)
        for name in ("b", "a/1"):
            await crowd.start(name)
        await crowd.start("a/2", seconds=0.05, lasts=0)
        await asyncio.sleep(0.1)
        assert crowd.late == []
        await crowd.end("b")
        assert crowd.late == []
        assert crowd.running == ["a/1"]
        await crowd.end("a/1")

    play(scene())


@pytest.mark.parametrize("total", [1, 5])
def test_whoever_gives_up_waiting_leaves_nothing_behind(total: int) -> None:
    async def scene() -> None:
        crowd = Crowd(total=total, per_host=1)
        for name in ("a/1", "a/2", "a/3", "b/1"):
            await crowd.start(name)
        await crowd.end("a/2", "b/1")
        await crowd.end("a/1")
        assert crowd.running == ["a/3"]
        await crowd.end("a/3")
        assert crowd.turns._hosts == {}
        await crowd.start("c/1")
        assert crowd.running == ["c/1"]
        await crowd.end("c/1")

    play(scene())
