"""Collecting from a real Bluesky network on loopback."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from model.collection.bluesky import Bluesky, Login
from model.collection.gathering import Gatherer, Order, Tally
from model.collection.held import Held
from model.collection.photos import Photos
from model.collection.refreshing import refresh
from model.collection.visitor import CollectionError
from tests.bluesky_network import URL, Person, labels, until
from tests.collecting import photos, rows, visiting
from tests.instance import photo
from tests.test_forget import age

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("bluesky")]

APPVIEW = "http://localhost:7343"


@pytest.fixture(scope="module")
def reader() -> Person:
    return Person("reader")


@pytest.fixture
def tag() -> str:
    """A tag of the test's own: the network is never emptied."""
    return f"selfie{secrets.token_hex(4)}"


def selfie(author: Person, tag: str, number: int = 1, **fields: Any) -> str:
    text = f"me #{tag}"
    facet = {
        "index": {"byteStart": 3, "byteEnd": len(text)},
        "features": [{"$type": "app.bsky.richtext.facet#tag", "tag": tag}],
    }
    return author.post(text, facets=[facet], **{"embed": author.images(photo(number)), **fields})


@contextmanager
def network(reader: Person | None, **wishes: Any) -> Iterator[tuple[Bluesky, Photos]]:
    with visiting() as visitor:
        login = Login(reader.handle, reader.password) if reader else None
        bluesky = Bluesky(visitor, URL if reader else APPVIEW, login, **wishes)
        yield bluesky, Photos(visitor, bluesky.hosts, secure=False)


def collect(folder: Path, reader: Person | None, tag: str, **wishes: Any) -> Tally:
    folder.mkdir(exist_ok=True)
    with network(reader, **wishes) as (bluesky, fetch):
        held = Held(folder)
        gatherer = Gatherer(bluesky, fetch, held, Order(URL, tag, 100), lambda _: None)
        gatherer.run()
        held.publish()
        return gatherer.tally


def shown(reader: Person, uris: Sequence[str]) -> None:
    """Wait until the network shows posts to those who search."""

    def look() -> set[str]:
        return {post["uri"] for post in reader.ask("app.bsky.feed.getPosts", uris=list(uris))["posts"]}

    assert until(look, set(uris)) == set(uris)


def test_a_post_is_collected_with_its_photo_its_likes_and_its_audience(
    tmp_path: Path, reader: Person, tag: str
) -> None:
    ann = Person("ann")
    uri = selfie(ann, tag)
    shown(reader, [uri])
    reader.put("app.bsky.feed.like", "3l" + "a" * 11, like(ann, uri))
    reader.put(
        "app.bsky.graph.follow", "3l" + "b" * 11, {"subject": ann.did, "createdAt": "2026-01-01T00:00:00Z"}
    )
    until(lambda: reader.ask("app.bsky.feed.getPosts", uris=[uri])["posts"][0]["likeCount"], 1)
    until(lambda: reader.ask("app.bsky.actor.getProfile", actor=ann.did)["followersCount"], 1)

    collect(tmp_path, reader, tag)

    [row] = rows(tmp_path)
    assert (row["id"], row["author"], row["language"]) == (uri, ann.did, "en")
    assert (row["likes"], row["followers"], row["tags"]) == (1, 1, 1)
    assert photos(tmp_path) == 1


def test_who_is_to_be_left_alone_is(tmp_path: Path, reader: Person, tag: str) -> None:
    hidden = Person("hidden", labels=labels("!no-unauthenticated"))
    shy = Person("shy", description="please #nobot")
    ann = Person("ann")
    taken = selfie(ann, tag)
    others = [
        selfie(hidden, tag),
        selfie(shy, tag),
        selfie(ann, tag, labels=labels("nudity")),
        selfie(ann, tag, embed=ann.images(photo(1), photo(2))),
        ann.post(f"me #{tag}2", embed=ann.images(photo(1))),
    ]
    shown(reader, [taken, *others])

    tally = collect(tmp_path, reader, tag)

    assert [row["id"] for row in rows(tmp_path)] == [taken]
    assert dict(tally.left_alone) == {
        "author hides from strangers": 1,
        "author wants no bots": 1,
        "sensitive": 1,
        "not one photo": 1,
        "without the tag": 1,
    }


def test_a_later_run_takes_what_is_new(tmp_path: Path, reader: Person, tag: str) -> None:
    ann = Person("ann")
    first = selfie(ann, tag, 1)
    shown(reader, [first])
    collect(tmp_path, reader, tag)
    second = selfie(ann, tag, 2)
    shown(reader, [second])

    tally = collect(tmp_path, reader, tag)

    assert tally.collected == 1
    assert {row["id"] for row in rows(tmp_path)} == {first, second}


def test_what_was_deleted_since_goes_from_the_dataset(tmp_path: Path, reader: Person, tag: str) -> None:
    ann = Person("ann")
    going, staying = selfie(ann, tag, 1), selfie(ann, tag, 2)
    shown(reader, [going, staying])
    collect(tmp_path, reader, tag)
    age(tmp_path)
    ann.delete(going)
    until(lambda: len(reader.ask("app.bsky.feed.getPosts", uris=[going])["posts"]), 0)

    with network(reader) as (bluesky, _):
        held = Held(tmp_path)
        renewal = refresh(bluesky, URL, held, lambda _: None)
        held.publish()

    assert (renewal.read, renewal.gone) == (1, 1)
    assert [row["id"] for row in rows(tmp_path)] == [staying]
    assert photos(tmp_path) == 1


def test_an_appview_that_lets_everybody_search_needs_no_account(
    tmp_path: Path, tag: str, reader: Person
) -> None:
    uri = selfie(Person("ann"), tag)
    shown(reader, [uri])

    collect(tmp_path, None, tag)

    assert [row["id"] for row in rows(tmp_path)] == [uri]


def test_a_server_that_wants_an_account_is_told_so(tag: str) -> None:
    with (
        visiting() as visitor,
        pytest.raises(CollectionError, match="log in with --handle and --password-file"),
    ):
        Bluesky(visitor, URL, None).page(tag, "")


def test_a_wrong_password_is_told(tag: str, reader: Person) -> None:
    with (
        visiting() as visitor,
        pytest.raises(CollectionError, match=r"answers 401 \(Invalid identifier or password"),
    ):
        Bluesky(visitor, URL, Login(reader.handle, "wrong")).page(tag, "")


def like(author: Person, uri: str) -> dict[str, Any]:
    return {"subject": author.reference(uri), "createdAt": "2026-01-01T00:00:00Z"}
