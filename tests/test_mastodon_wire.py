from __future__ import annotations

import time
from typing import Any

import pytest

from bot.messages import Command, Mention
from bot.networks.mastodon import REPLY_VISIBILITY
from bot.networks.mastodon_wire import (
    MAX_ATTACHMENTS,
    Notification,
    Status,
    above,
    mention_from,
    placed,
)
from bot.networks.wire import parse, parse_json

BOT = "1"
TIME = "2026-11-22T10:00:00.000Z"


def status(**fields: Any) -> dict[str, Any]:
    account = {"id": "2", "acct": "ann@example.social", "bot": False}
    return {"id": "7", "created_at": TIME, "content": "<p>hi</p>", "account": account} | fields


def mention(**fields: Any) -> Mention | None:
    notification = parse(
        Notification, {"id": "9", "type": "mention", "created_at": TIME, "status": status(**fields)}
    )
    assert notification
    return mention_from(notification, BOT)


def reply(*ancestors: dict[str, Any], **fields: Any) -> Mention:
    """A reply to the last of some posts, placed below them."""
    found = mention(**{"in_reply_to_id": "5"} | fields)
    assert found
    statuses = [parsed for each in ancestors if (parsed := parse(Status, each))]
    assert len(statuses) == len(ancestors)
    return placed(found, above(statuses), BOT)


def urls(content: str) -> list[str | None]:
    found = mention(content=content)
    assert found
    return [photo.url for photo in found.photos]


def test_an_attached_image_is_what_is_judged() -> None:
    found = mention(
        media_attachments=[{"type": "image", "url": "http://x/a.jpg", "preview_url": "http://x/s.jpg"}]
    )

    assert found
    assert [(photo.medium, photo.url) for photo in found.photos] == [("image", "http://x/a.jpg")]


def test_a_linked_image_is_judged_when_nothing_is_attached() -> None:
    assert urls('<p>see <a href="http://x/a.jpg">x</a></p>') == ["http://x/a.jpg"]


def test_of_a_post_with_hundreds_of_photos_the_first_ones_are_judged() -> None:
    found = mention(media_attachments=[{"type": "image", "url": f"http://x/{n}.jpg"} for n in range(500)])

    assert found
    assert [photo.url for photo in found.photos] == [f"http://x/{n}.jpg" for n in range(MAX_ATTACHMENTS)]


def test_a_link_beside_an_attached_image_is_left_alone() -> None:
    found = mention(
        content='<a href="http://x/">x</a>',
        media_attachments=[{"type": "image", "url": "http://x/a.jpg"}],
    )

    assert found
    assert [photo.url for photo in found.photos] == ["http://x/a.jpg"]


def test_mentions_and_hashtags_are_no_links() -> None:
    assert not urls(
        '<a class="u-url mention" href="http://x/@bot">@bot</a><a class="mention hashtag" href="/t">#t</a>'
    )


def test_a_link_posted_twice_is_judged_once() -> None:
    assert urls('<a href="http://x/a">a</a> <a href="http://x/a">a</a>') == ["http://x/a"]


def test_no_more_than_four_links_are_followed() -> None:
    assert len(urls("".join(f'<a href="http://x/{n}">x</a>' for n in range(9)))) == 4


@pytest.mark.parametrize(
    ("attachment", "medium", "url"),
    [
        (
            {"type": "gifv", "url": "http://x/a.mp4", "preview_url": "http://x/a.png"},
            "video",
            "http://x/a.png",
        ),
        ({"type": "video", "url": "http://x/a.mp4", "preview_url": None}, "video", None),
        ({"type": "video", "url": "http://x/a.mp4", "preview_url": "http://x/a.mp4"}, "video", None),
        ({"type": "audio", "url": "http://x/a.mp3", "preview_url": "http://x/cover.png"}, "audio", None),
        ({"type": "unknown", "url": None, "preview_url": "http://x/a"}, "image", "http://x/a"),
    ],
)
def test_other_attachments_are_judged_by_their_preview_or_not_at_all(
    attachment: dict[str, Any], medium: str, url: str | None
) -> None:
    found = mention(media_attachments=[attachment])

    assert found
    assert [(photo.medium, photo.url) for photo in found.photos] == [(medium, url)]


def test_the_bots_own_posts_are_no_mentions() -> None:
    assert mention(account={"id": BOT, "acct": "deepselfie"}) is None


def test_a_reply_to_the_bot_is_known_as_one() -> None:
    found = mention(in_reply_to_account_id=BOT)

    assert found
    assert found.answers_bot


def test_ids_are_strings_whatever_a_server_sends() -> None:
    found = mention(id=7)

    assert found
    assert found.id == "7"


def test_an_unknown_visibility_is_treated_as_the_narrowest() -> None:
    found = mention(visibility="mutuals_only")

    assert found
    assert found.visibility == "direct"


def test_a_reply_is_never_wider_than_its_mention() -> None:
    widths = ["direct", "private", "unlisted", "public"]

    for asked, answered in REPLY_VISIBILITY.items():
        assert widths.index(answered) <= widths.index(asked)
    assert "public" not in REPLY_VISIBILITY.values()


def test_nonsense_from_a_server_is_logged_and_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    assert parse_json(Notification, b'{"id": "9", "type": "mention"}') is None
    assert parse_json(Notification, b"nonsense") is None
    assert "not understood" in caplog.text


# ── what etiquette has to know ──


def test_boosts_are_no_mentions() -> None:
    assert mention(reblog=status(id="6")) is None


@pytest.mark.parametrize("kind", ["update", "status", "reblog", "favourite"])
def test_edits_and_other_notifications_are_no_mentions(kind: str) -> None:
    notification = parse(Notification, {"id": "9", "type": kind, "created_at": TIME, "status": status()})

    assert notification
    assert mention_from(notification, BOT) is None


def test_an_edited_mention_is_the_same_mention() -> None:
    before, after = mention(), mention(content="<p>better words</p>", edited_at=TIME)

    assert before
    assert after
    assert before.key == after.key


@pytest.mark.parametrize(
    ("content", "command"),
    [
        ('<p><span class="h-card"><a class="u-url mention">@<span>bot</span></a></span> Stop!</p>', "stop"),
        ("<p>@bot<br />please<br />delete</p>", "delete"),
        ("<p>@bot</p><p>help</p>", "help"),
        ("<p>@bot don&#39;t stop</p>", None),
        ('<p>@bot stop <a href="http://x/">x</a></p>', None),
    ],
)
def test_a_command_is_recognised_in_the_html(content: str, command: Command | None) -> None:
    found = mention(content=content)

    assert found
    assert found.command == command


def test_the_text_itself_is_not_kept() -> None:
    found = mention(content="<p>@bot my secret</p>")

    assert found
    assert "secret" not in found.model_dump_json()


@pytest.mark.parametrize(
    ("note", "opts_out"),
    [
        ('<p><a href="/tags/nobot" class="mention hashtag" rel="tag">#<span>nobot</span></a></p>', True),
        ("<p>hi #NoBot please</p>", True),
        ("<p>#nobots</p>", True),
        ("<p>nobot</p>", False),
        ("<p>#nobottles</p>", False),
        ("", False),
        (None, False),
    ],
)
def test_a_profile_may_ask_not_to_be_answered(note: str | None, opts_out: bool) -> None:
    found = mention(account={"id": "2", "acct": "ann", "note": note})

    assert found
    assert found.author_opts_out == opts_out


def test_a_field_of_a_profile_may_ask_for_it_too() -> None:
    fields = [{"name": "Pronouns", "value": "she"}, {"name": "Bots", "value": "<p>#nobot</p>"}]
    found = mention(account={"id": "2", "acct": "ann", "fields": fields})

    assert found
    assert found.author_opts_out


@pytest.mark.parametrize(
    ("since", "year"),
    [("2020-01-01T00:00:00.000Z", 2020), ("2020-01-01", None), ("nonsense", None), ("", None), (None, None)],
)
def test_the_age_of_an_account_is_read_where_a_server_tells_it(since: str | None, year: int | None) -> None:
    found = mention(account={"id": "2", "acct": "ann", "created_at": since})

    assert found
    assert (found.author_since.year if found.author_since else None) == year


@pytest.mark.parametrize(("sent", "known"), [(True, True), (False, False), (None, False)])
def test_sensitive_photos_are_known_as_such(sent: bool | None, known: bool) -> None:
    found = mention(sensitive=sent)

    assert found
    assert found.sensitive == known


# ── threads ──

IMAGE = {"type": "image", "url": "http://x/a.jpg"}
OTHER_IMAGE = {"type": "image", "url": "http://x/b.jpg"}
BOB = {"id": "3", "acct": "bob@example.social"}


def test_a_post_that_replies_to_nothing_is_its_own_thread() -> None:
    found = mention()

    assert found
    assert (found.thread, found.in_reply_to) == (None, None)


def test_a_reply_belongs_to_the_thread_of_the_first_post_above_it() -> None:
    found = reply(status(id="3"), status(id="4"), status(id="5"))

    assert (found.thread, found.in_reply_to) == ("3", "5")


def test_of_an_unknown_thread_the_parent_counts_as_the_first_post() -> None:
    assert reply().thread == "5"


def test_a_reply_without_photos_asks_about_its_parents() -> None:
    found = reply(status(id="5", media_attachments=[IMAGE], sensitive=True))

    assert [(photo.url, photo.is_own) for photo in found.photos] == [("http://x/a.jpg", True)]
    assert found.sensitive


def test_the_photos_of_somebody_elses_post_are_somebody_elses() -> None:
    found = reply(status(id="5", media_attachments=[IMAGE], account=BOB))

    assert [(photo.url, photo.is_own) for photo in found.photos] == [("http://x/a.jpg", False)]


def test_a_reply_with_photos_asks_about_those() -> None:
    found = reply(status(id="5", media_attachments=[IMAGE], sensitive=True), media_attachments=[OTHER_IMAGE])

    assert [(photo.url, photo.is_own) for photo in found.photos] == [("http://x/b.jpg", True)]
    assert not found.sensitive


def test_only_the_parent_is_asked_about() -> None:
    assert not reply(status(id="4", media_attachments=[IMAGE]), status(id="5")).photos
    # The parent itself may be hidden from the bot.
    assert not reply(status(id="4", media_attachments=[IMAGE])).photos


def test_the_bot_never_looks_at_its_own_posts() -> None:
    bot = {"id": BOT, "acct": "deepselfie"}
    found = reply(
        status(id="5", content='<a href="http://x/">x</a>', media_attachments=[IMAGE], account=bot),
        in_reply_to_account_id=BOT,
    )

    assert not found.photos


@pytest.mark.parametrize("rest", [f"&#{'1' * 5000};", "<![x", "<a " * 30_000, "</" * 30_000])
def test_a_post_that_breaks_the_parser_is_read_up_to_there_and_soon(rest: str) -> None:
    begin = time.monotonic()
    found = mention(content=f"<p>stop</p>{rest}")

    assert found
    assert time.monotonic() - begin < 1


@pytest.mark.parametrize("content", ["stop", "stop &", "<p>stop</p>", "please &#115;top"])
def test_the_last_word_of_a_post_is_read(content: str) -> None:
    found = mention(content=content)

    assert found
    assert found.command == "stop"
