from __future__ import annotations

from typing import Any

import pytest

from bot.messages import Command, Mention, Photo
from bot.networks.bluesky_mention import mention_from, photos_of
from bot.networks.bluesky_wire import Notification, Post
from bot.networks.wire import parse

BOT, ANN, BEN = "did:plc:bot", "did:plc:ann", "did:plc:ben"
TIME = "2026-11-22T10:00:00.000Z"
CALL = {
    "index": {"byteStart": 0, "byteEnd": 4},
    "features": [{"$type": "app.bsky.richtext.facet#mention", "did": BOT}],
}
IMAGES = {
    "$type": "app.bsky.embed.images",
    "images": [{"alt": "", "image": {"$type": "blob", "ref": {"$link": "bafy1"}, "mimeType": "image/jpeg"}}],
}
VIDEO = {"$type": "app.bsky.embed.video", "video": {"$type": "blob", "ref": {"$link": "bafy2"}}}
QUOTE = {"$type": "app.bsky.embed.record", "record": {"uri": f"at://{BEN}/app.bsky.feed.post/2", "cid": "c"}}


def post(author: dict[str, Any] | None = None, view: dict[str, Any] | None = None, **record: Any) -> Any:
    return {
        "uri": f"at://{ANN}/app.bsky.feed.post/1",
        "cid": "c",
        "author": {"did": ANN, "handle": "ann.example", **(author or {})},
        "record": {"$type": "app.bsky.feed.post", "text": "@bot hi", "createdAt": TIME, "facets": [CALL]}
        | record,
        "indexedAt": TIME,
        "labels": [],
        **({"embed": view} if view else {}),
    }


def mention(author: dict[str, Any] | None = None, **record: Any) -> Mention | None:
    notification = parse(Notification, {"reason": "mention", "isRead": False} | post(author, **record))
    assert notification
    return mention_from(notification, BOT)


def photos(view: dict[str, Any] | None = None, **record: Any) -> list[tuple[str, str | None]]:
    found = parse(Post, post(view=view, **record))
    assert found
    return [(photo.medium, photo.url) for photo in photos_of(found, blob_url)]


def blob_url(did: str, cid: str) -> str | None:
    return f"http://pds/{did}/{cid}"


def under(did: str) -> dict[str, Any]:
    uri = f"at://{did}/app.bsky.feed.post/9"
    return {"parent": {"uri": uri, "cid": "c"}, "root": {"uri": uri, "cid": "c"}}


@pytest.mark.parametrize(
    ("text", "command"),
    [("@bot.example stop", "stop"), ("Please delete!", "delete"), ("@bot.example how do I start?", None)],
)
def test_a_command_is_recognised(text: str, command: Command | None) -> None:
    found = mention(text=text)

    assert found
    assert found.command == command


@pytest.mark.parametrize(
    ("parent", "text", "heard"),
    [(BOT, "thanks", False), (BOT, "stop", True), (BEN, "stop", False)],
)
def test_who_does_not_call_the_bot_is_heard_only_with_a_command_below_its_reply(
    parent: str, text: str, heard: bool
) -> None:
    assert bool(mention(text=text, facets=[], reply=under(parent))) == heard


def test_the_bots_own_posts_are_no_mentions() -> None:
    assert mention({"did": BOT}) is None


def test_an_account_whose_handle_is_invalid_goes_by_its_lasting_name() -> None:
    found = mention({"handle": "handle.invalid"})

    assert found
    assert found.author == ANN


@pytest.mark.parametrize(("negated", "is_bot"), [(False, True), (True, False)])
def test_a_label_tells_bots_from_people_unless_it_is_taken_back(negated: bool, is_bot: bool) -> None:
    found = mention({"labels": [{"val": "bot", "src": ANN, "uri": ANN, "cts": TIME, "neg": negated}]})

    assert found
    assert found.author_is_bot == is_bot


def test_labels_of_the_author_and_of_moderators_make_a_post_sensitive() -> None:
    own = mention(labels={"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "porn"}]})
    notification = parse(Notification, post() | {"labels": [{"val": "graphic-media"}]})
    assert notification
    moderated = mention_from(notification, BOT)
    plain = mention(labels={"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "spoiler"}]})

    assert own
    assert moderated
    assert plain
    assert (own.sensitive, moderated.sensitive, plain.sensitive) == (True, True, False)


def test_the_text_itself_is_not_kept() -> None:
    found = mention(text="@bot my secret")

    assert found
    assert "secret" not in found.model_dump_json()


@pytest.mark.parametrize(
    "embed",
    [
        IMAGES,
        {"$type": "app.bsky.embed.recordWithMedia", "media": IMAGES, "record": QUOTE},
        {"$type": "app.bsky.embed.gallery", "items": IMAGES["images"]},
        {
            "$type": "app.bsky.embed.images",
            "images": [{"alt": "", "image": {"cid": "bafy1", "mimeType": "x"}}],
        },
    ],
)
def test_pictures_are_found_wherever_they_are(embed: dict[str, Any]) -> None:
    assert photos(embed=embed) == [("image", f"http://pds/{ANN}/bafy1")]


def test_a_picture_of_which_nobody_knows_the_original_is_judged_by_the_networks_copy() -> None:
    found = parse(Post, post(view={"images": [{"fullsize": "http://cdn/1", "thumb": "t"}]}, embed=IMAGES))

    assert found
    assert photos_of(found, lambda _did, _cid: None) == (Photo(medium="image", url="http://cdn/1"),)


def test_a_video_is_judged_by_its_thumbnail() -> None:
    view = {"$type": "app.bsky.embed.video#view", "thumbnail": "http://video/t.jpg", "playlist": "p"}

    assert photos(view, embed=VIDEO) == [("video", "http://video/t.jpg")]
    assert photos(embed=VIDEO) == [("video", None)]


def test_a_link_is_followed_once_though_it_stands_in_card_and_text_and_no_more_than_four_are() -> None:
    facets = [
        {"features": [{"$type": "app.bsky.richtext.facet#link", "uri": f"http://x/{n}"}]} for n in range(9)
    ]
    embed = {"$type": "app.bsky.embed.external", "external": {"uri": "http://x/1"}}

    assert photos(embed=embed, facets=facets) == [("link", f"http://x/{n}") for n in (1, 0, 2, 3)]


def test_what_a_post_quotes_is_known_with_and_without_media() -> None:
    beside = {
        "$type": "app.bsky.embed.recordWithMedia",
        "media": IMAGES,
        "record": {"record": QUOTE["record"]},
    }
    for embed in (QUOTE, beside):
        found = parse(Post, post(embed=embed))
        assert found
        assert found.quoted == f"at://{BEN}/app.bsky.feed.post/2"
    assert (plain := parse(Post, post()))
    assert plain.quoted is None


def test_what_makes_no_sense_is_logged_and_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    assert parse(Notification, {"uri": 7}) is None
    assert "not understood" in caplog.text
