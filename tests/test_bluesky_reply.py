from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from bot.messages import Mention, Picture, Reply
from bot.networks.bluesky_pictures import MAX_BYTES, fitted
from bot.networks.bluesky_reply import record, rkey
from bot.networks.bluesky_wire import Post
from tests.photos import encoded

MOMENT = datetime(2026, 11, 22, 10, 0, 0, 123000, UTC)
# https://atproto.com/specs/tid
TID = re.compile(r"^[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}$")


def mention(number: int = 1, created_at: datetime = MOMENT, author: str = "ann.example") -> Mention:
    uri = f"at://did:plc:ann/app.bsky.feed.post/{number}"
    return Mention(network="bluesky", id=uri, author=author, created_at=created_at)


def made(text: str) -> dict[str, Any]:
    post = Post.model_validate(
        {
            "uri": mention().id,
            "cid": "c1",
            "author": {"did": "did:plc:ann", "handle": "ann.example"},
            "record": {"text": "look"},
        }
    )
    return record(mention(), post, Reply(text=text, visibility="public", language="fr"), [])


def seconds_in(tid: str) -> float:
    number = 0
    for letter in tid:
        number = number * 32 + "234567abcdefghijklmnopqrstuvwxyz".index(letter)
    return (number >> 10) / 1_000_000


def test_the_name_of_a_reply_is_a_tid_of_the_mentions_second() -> None:
    name = rkey(mention())

    assert TID.match(name)
    assert int(seconds_in(name)) == int(MOMENT.timestamp())


def test_the_same_mention_has_the_same_name_and_others_of_the_same_moment_have_others() -> None:
    names = [rkey(mention(number)) for number in range(10_000)]

    assert names == [rkey(mention(number)) for number in range(10_000)]
    assert len(set(names)) == 10_000


@pytest.mark.parametrize("moment", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_a_mention_of_any_time_gives_a_name_that_is_valid(moment: datetime) -> None:
    assert TID.match(rkey(mention(created_at=moment)))


def test_a_reply_is_made_of_the_mention_alone() -> None:
    reply = made("83/100.")

    assert reply == made("83/100.")
    assert reply["createdAt"] == "2026-11-22T10:01:00.123Z"
    assert reply["langs"] == ["fr"]
    assert reply["reply"] == {
        "root": {"uri": mention().id, "cid": "c1"},
        "parent": {"uri": mention().id, "cid": "c1"},
    }


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("83/100.", []),
        ("Great, @ann.example!", [(7, 19)]),
        ("👍🏽 @Ann.Example", [(9, 21)]),
        ("@ann.example.com", []),
        ("me@ann.example", []),
        ("@ben.example", []),
    ],
)
def test_the_author_and_nobody_else_is_called_by_name(text: str, places: list[tuple[int, int]]) -> None:
    facets = made(text).get("facets", [])

    assert [(facet["index"]["byteStart"], facet["index"]["byteEnd"]) for facet in facets] == places
    assert {facet["features"][0]["did"] for facet in facets} <= {"did:plc:ann"}


def test_a_reply_does_not_say_that_it_was_written_before_its_mention() -> None:
    assert made("x")["createdAt"] > (MOMENT + timedelta(seconds=1)).isoformat()


# ── pictures ──


def test_a_picture_that_is_small_enough_is_sent_as_it_is() -> None:
    picture = Picture(content=encoded(Image.new("RGB", (9, 9)), "PNG"), kind="image/png", description="d")

    assert fitted(picture) is picture


def test_a_picture_that_is_too_large_is_made_smaller() -> None:
    noise = Image.effect_noise((2400, 1800), 100).convert("RGB")
    large = Picture(content=encoded(noise, "PNG"), kind="image/png", description="d")
    assert len(large.content) > 2 * MAX_BYTES

    small = fitted(large)

    assert small
    assert len(small.content) <= MAX_BYTES
    assert (small.kind, small.description) == ("image/jpeg", "d")
    with Image.open(BytesIO(small.content)) as opened:
        assert opened.format == "JPEG"
        assert opened.width / opened.height == pytest.approx(4 / 3, abs=0.01)
