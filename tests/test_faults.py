"""Never lost, never twice, while everything breaks: a small run of benchmarks.faults, and what it plans."""

from __future__ import annotations

import pytest

from benchmarks.faults_plan import WHOLE_COMMAND, WHOLE_TRANSACTION, Options, plan
from benchmarks.faults_run import run

SEED = 7
SMALL = Options(mentions=500, kills=20, seed=SEED)


def test_a_seed_always_plans_the_same_and_another_one_something_else() -> None:
    assert plan(SMALL) == plan(SMALL)
    assert plan(SMALL) != plan(Options(mentions=500, kills=20, seed=SEED + 1))


def test_a_killed_valkey_leaves_only_what_nobody_was_told_of_unfinished() -> None:
    actions = plan(Options(mentions=10_000, kills=500))
    torn = {action.torn for action in actions if action.torn}

    assert torn
    assert all(action.target == "redis" for action in actions if action.torn)
    for tail in torn:
        assert any(whole.startswith(tail) and whole != tail for whole in (WHOLE_COMMAND, WHOLE_TRANSACTION))


def test_the_small_run_has_everything_but_the_long_outage() -> None:
    actions = plan(SMALL)
    killed = [action.target for action in actions if action.kind == "kill"]

    assert len(killed) == SMALL.kills
    assert {name.rstrip("12") for name in killed} == {"worker", "responder", "listener", "sandbox", "redis"}
    assert {a.target.rstrip("12") for a in actions if a.kind == "stop"} >= {"worker", "responder"}
    assert max(action.seconds for action in actions) < 10


def seen_in(options: Options) -> tuple[int, int, int, int]:
    """Mentions and kills, and how many were lost and answered twice."""
    outcome = run(options, lambda _: None)
    return outcome.mentions, outcome.kills, outcome.lost, outcome.double


@pytest.mark.e2e
def test_on_x_nothing_is_lost_and_nothing_twice() -> None:
    options = Options(mentions=150, kills=8, seed=SEED, network="x")

    assert seen_in(options) == (150, 8, 0, 0)


@pytest.mark.e2e
@pytest.mark.usefixtures("bluesky")
def test_on_bluesky_nothing_is_lost_and_nothing_twice() -> None:
    options = Options(mentions=100, kills=6, seed=SEED, rate=10, network="bluesky")

    assert seen_in(options) == (100, 6, 0, 0)


@pytest.mark.e2e
def test_500_mentions_and_20_kills_nothing_lost_and_nothing_twice() -> None:
    said: list[str] = []

    outcome = run(SMALL, said.append)

    assert (outcome.mentions, outcome.kills) == (500, 20)
    assert (outcome.lost, outcome.double) == (0, 0), said[-20:]
