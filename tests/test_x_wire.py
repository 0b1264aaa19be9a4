"""X's JSON, and the mentions that are made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.messages import Command, Mention
from bot.networks.x_wire import Answer, Around, event, mention_from

BOT, ANN, BEN = "1", "2", "3"
TIME = "2026-11-22T10:00:00.000Z"


def post(id_: str = "7", author: str = ANN, **fields: Any) -> dict[str, Any]:
    return {"id": id_, "text": "@deepselfie look", "author_id": author, "created_at": TIME} | fields


def refer(kind: str, id_: str) -> dict[str, Any]:
    return {"referenced_tweets": [{"type": kind, "id": id_}]}


def showing(key: str) -> dict[str, Any]:
    return {"attachments": {"media_keys": [key]}}


def link(url: str, **more: str) -> dict[str, Any]:
    return {"entities": {"urls": [{"url": "https://t.co/a", "expanded_url": url} | more]}}


def photo(key: str) -> dict[str, Any]:
    return {"media_key": key, "type": "photo", "url": f"https://pics.example/{key}"}


def mentions(*data: Any, tweets: Any = (), media: Any = (), **user: Any) -> list[Mention]:
    users = [{"id": ANN, "username": "ann", "created_at": TIME} | user, {"id": BEN, "username": "ben"}]
    includes = {"users": users, "media": list(media), "tweets": list(tweets)}
    answer = Answer.model_validate({"data": list(data), "includes": includes})
    around = Around.of(answer)
    return [found for each in answer.posts if (found := mention_from(each, around, BOT))]


def mention(data: Any, **around: Any) -> Mention:
    (found,) = mentions(data, **around)
    return found


def urls(found: Mention) -> list[str | None]:
    return [photo.url for photo in found.photos]


def test_a_post_is_a_mention_by_its_author() -> None:
    found = mention(post(lang="de", conversation_id="7"))

    assert (found.key, found.author, found.language) == ("x:7", "ann", "de")
    assert (found.visibility, found.thread, found.in_reply_to) == ("public", None, None)
    assert found.author_since
    assert found.author_since.year == 2026


def test_retweets_and_the_bots_own_posts_are_no_mentions() -> None:
    assert mentions(post(**refer("retweeted", "5")), post("8", author=BOT)) == []


def test_an_edited_post_is_the_same_mention() -> None:
    assert mention(post("9", edit_history_tweet_ids=["7", "9"])).id == "7"
    assert mention(post("9", edit_history_tweet_ids=["7", "9"], conversation_id="7")).thread is None


@pytest.mark.parametrize("language", ["und", "qme", "qht", "zxx", None])
def test_what_is_no_language_is_none(language: str | None) -> None:
    assert mention(post(lang=language)).language is None


def test_a_protected_author_has_no_public_mentions() -> None:
    assert mention(post(), protected=True).visibility == "private"


@pytest.mark.parametrize(("note", "opts_out"), [("I like #NoBot", True), ("#nobotany", False), (None, False)])
def test_a_profile_may_opt_out(note: str | None, opts_out: bool) -> None:
    assert mention(post(), description=note).author_opts_out is opts_out


@pytest.mark.parametrize(
    ("text", "command"), [("@deepselfie stop", "stop"), ("@deepselfie don't stop", None)]
)
def test_a_post_may_be_a_command(text: str, command: Command | None) -> None:
    assert mention(post(text=text)).command == command


def test_a_reply_tells_where_it_stands() -> None:
    found = mention(post(**refer("replied_to", "5"), conversation_id="4", in_reply_to_user_id=BOT))

    assert (found.in_reply_to, found.thread, found.answers_bot) == ("5", "4", True)


# ── what is looked at ──


def test_the_posts_own_photos_come_first() -> None:
    data = post(**showing("3_a"), **refer("quoted", "5"))

    found = mention(data, tweets=[post("5", **showing("3_b"))], media=[photo("3_a"), photo("3_b")])

    assert urls(found) == ["https://pics.example/3_a"]


@pytest.mark.parametrize(("author", "is_own"), [(ANN, True), (BEN, False)])
@pytest.mark.parametrize("kind", ["quoted", "replied_to"])
def test_without_photos_of_its_own_those_of_the_quoted_or_parent_post_count(
    kind: str, author: str, is_own: bool
) -> None:
    above = post("5", author=author, possibly_sensitive=True, **showing("3_b"))

    found = mention(post(**refer(kind, "5")), tweets=[above], media=[photo("3_b")])

    assert urls(found) == ["https://pics.example/3_b"]
    assert [photo.is_own for photo in found.photos] == [is_own]
    assert found.sensitive


def test_the_quoted_post_comes_before_the_parent() -> None:
    both = [{"type": "replied_to", "id": "5"}, {"type": "quoted", "id": "6"}]
    others = [post("5", **showing("3_a")), post("6", **showing("3_b"))]

    found = mention(post(referenced_tweets=both), tweets=others, media=[photo("3_a"), photo("3_b")])

    assert urls(found) == ["https://pics.example/3_b"]


def test_what_the_bot_posted_is_not_judged() -> None:
    above = post("5", author=BOT, **showing("3_b"))

    assert mention(post(**refer("replied_to", "5")), tweets=[above], media=[photo("3_b")]).photos == ()


@pytest.mark.parametrize("kind", ["video", "animated_gif"])
def test_of_a_video_the_preview_counts(kind: str) -> None:
    media = {"media_key": "7_a", "type": kind, "preview_image_url": "https://pics.example/p"}

    (shown,) = mention(post(**showing("7_a")), media=[media]).photos

    assert (shown.medium, shown.url) == ("video", "https://pics.example/p")


def test_without_attachments_a_link_counts() -> None:
    (shown,) = mention(post(**link("https://a.example/b.jpg"))).photos

    assert (shown.medium, shown.url) == ("link", "https://a.example/b.jpg")


@pytest.mark.parametrize("url", ["https://x.com/ben/status/5", "https://twitter.com/ben/status/5/photo/1"])
def test_the_link_to_a_quoted_post_is_nothing_to_open(url: str) -> None:
    assert mention(post(**link(url))).photos == ()


# ── what makes no sense ──


def test_a_post_that_makes_no_sense_is_left_out_and_the_others_stay() -> None:
    assert [found.id for found in mentions({"id": 7}, None, post("8"), post("9", created_at="soon"))] == ["8"]


def test_a_mention_whose_author_did_not_come_along_is_heard() -> None:
    assert mention(post(author="99")).author == "99"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*post(), "data", "type"]), inner),
)
PARTS = st.fixed_dictionaries({}, optional=dict.fromkeys(["data", "includes", "errors", "meta"], JSON))
FIELDS = dict.fromkeys(
    ("attachments", "author_id", "edit_history_tweet_ids", "entities", "lang", "referenced_tweets"), JSON
)


@given(PARTS | JSON, st.fixed_dictionaries({}, optional=FIELDS))
def test_whatever_an_event_holds_it_is_a_mention_or_left_out(thing: Any, fields: dict[str, Any]) -> None:
    for content in (thing, {"data": post(**fields), "includes": thing}):
        if answer := event(json.dumps(content).encode()):
            around = Around.of(answer)
            for each in answer.posts:
                mention_from(each, around, BOT)


@given(st.binary())
def test_whatever_a_line_holds_it_raises_nothing(line: bytes) -> None:
    event(line)


# ── what is gone ──


@pytest.mark.parametrize(
    ("problem", "unseen"),
    [
        ("resource-not-found", {"7"}),
        ("not-authorized-for-resource", {"7"}),
        ("resource-unavailable", set()),
        ("not-authorized-for-field", set()),
    ],
)
def test_only_a_post_that_x_says_is_not_to_be_seen_is_unseen(problem: str, unseen: set[str]) -> None:
    error = {"resource_id": "7", "type": f"https://api.twitter.com/2/problems/{problem}"}

    assert Answer.model_validate({"errors": [error, None, "nonsense"]}).unseen == unseen
