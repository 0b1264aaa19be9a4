from __future__ import annotations

from typing import Any

import pytest

from bot.messages import Mention
from bot.networks.mastodon import REPLY_VISIBILITY
from bot.networks.mastodon_wire import Notification, mention_from, parse

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
    assert parse(Notification, b'{"id": "9", "type": "mention"}') is None
    assert parse(Notification, b"nonsense") is None
    assert "not understood" in caplog.text
