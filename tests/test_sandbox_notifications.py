"""Notifications of the sandbox: who gets them, and how a client pages through many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from mastodon import Mastodon

from tests.sandbox import Network, join

pytestmark = pytest.mark.e2e
PATH = "/api/v1/notifications"


@pytest.fixture(scope="module")
def zoe(network: Network, ann: httpx.Client) -> Iterator[httpx.Client]:
    """Somebody whom ann mentioned five times."""
    with join(network, "zoe") as person:
        for number in range(5):
            ann.post("/api/v1/statuses", json={"status": f"@zoe {number}"})
        yield person


def numbers(answer: httpx.Response) -> list[int]:
    """The number in each notification's status, in the order answered."""
    return [int(told["status"]["content"][:-4][-1]) for told in answer.json()]


def page(person: httpx.Client, **params: Any) -> httpx.Response:
    return person.get(PATH, params=params).raise_for_status()


def test_a_mention_is_told_with_its_author_and_status(zoe: httpx.Client) -> None:
    newest = page(zoe).json()[0]
    assert newest["type"] == "mention"
    assert newest["account"]["acct"] == "ann"
    assert newest["status"]["mentions"][0]["acct"] == "zoe"
    assert zoe.get(f"{PATH}/{newest['id']}").json() == newest


def test_nobody_is_told_of_their_own_post_or_twice_of_one(network: Network, ann: httpx.Client) -> None:
    with join(network, "bob") as bob:
        bob.post("/api/v1/statuses", json={"status": "@bob me"})
        ann.post("/api/v1/statuses", json={"status": "@bob @bob you"})
        assert len(page(bob).json()) == 1


def test_pages_go_forward_from_min_id_and_stay_newest_with_since_id(zoe: httpx.Client) -> None:
    assert numbers(page(zoe)) == [4, 3, 2, 1, 0]
    ids = [told["id"] for told in page(zoe).json()][::-1]
    assert numbers(page(zoe, min_id=ids[0], limit=2)) == [2, 1]
    assert numbers(page(zoe, since_id=ids[0], limit=2)) == [4, 3]
    assert numbers(page(zoe, max_id=ids[3], limit=2)) == [2, 1]
    assert numbers(page(zoe, min_id=ids[0], max_id=ids[2])) == [1]
    assert page(zoe, min_id=ids[4]).json() == []
    assert zoe.get(PATH, params={"min_id": "x"}).status_code == 422


@pytest.mark.parametrize("name", ["account_id", "min_id", "max_id", "since_id", "limit"])
def test_a_number_that_no_id_could_be_is_refused(zoe: httpx.Client, name: str) -> None:
    assert zoe.get(PATH, params={name: 2**63 - 1}).status_code == 200
    for number in (2**63, 10**19 - 1, 10**40):
        answer = zoe.get(PATH, params={name: number})
        assert (answer.status_code, "must be a whole number up to" in answer.json()["error"]) == (422, True)


def test_links_lead_through_all_pages_and_keep_the_question(zoe: httpx.Client) -> None:
    first = page(zoe, limit=2, **{"types[]": "mention"})
    older = first.links["next"]["url"]
    assert "types%5B%5D=mention" in older
    assert numbers(zoe.get(older)) == [2, 1]
    assert zoe.get(first.links["prev"]["url"]).json() == []


def test_mastodon_py_pages_by_those_links(network: Network, zoe: httpx.Client) -> None:
    token = zoe.headers["Authorization"].removeprefix("Bearer ")
    api = Mastodon(access_token=token, api_base_url=network.url, ratelimit_method="throw")
    assert len(api.fetch_remaining(api.notifications(limit=2, types=["mention"]))) == 5


def test_types_are_chosen_and_excluded(zoe: httpx.Client) -> None:
    assert len(page(zoe, **{"types[]": ["follow", "mention"]}).json()) == 5
    assert page(zoe, **{"types[]": "follow"}).json() == []
    assert page(zoe, **{"exclude_types[]": "mention"}).json() == []
    assert len(page(zoe, **{"exclude_types[]": "follow"}).json()) == 5


def test_a_deleted_post_takes_its_notification_along(network: Network, ann: httpx.Client) -> None:
    with join(network, "eve") as eve:
        status = ann.post("/api/v1/statuses", json={"status": "@eve oh"}).json()
        assert len(page(eve).json()) == 1
        assert ann.delete(f"/api/v1/statuses/{status['id']}").json()["text"] == "@eve oh"
        assert page(eve).json() == []
