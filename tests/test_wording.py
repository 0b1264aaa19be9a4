from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import get_args

import pytest

from bot import wording
from bot.messages import Declined, Judged, Mention, Notice, Opinion, Photo, Reason, Verdict

CAUTION = "I learned from drawings."


def mention(**fields: object) -> Mention:
    return Mention.model_validate(
        {"network": "mastodon", "id": "7", "author": "ann", "created_at": datetime.now(UTC)} | fields
    )


def verdict(*opinions: Opinion, caution: str = "") -> Verdict:
    return Verdict(opinions=opinions, judge="test 1", reference_name="the test photos", caution=caution)


def text(*opinions: Opinion, caution: str = "", room: int = 500) -> str:
    return wording.reply_to(mention(), verdict(*opinions, caution=caution), room=room).text


def notice(kind: Notice, deleted: int = 0) -> str:
    return wording.reply_to(mention(), Verdict(notice=kind, deleted=deleted), room=500).text


def judged(score: float, **fields: object) -> Judged:
    return Judged.model_validate({"score": score, "label": "good"} | fields)


def test_one_photo_gets_its_score() -> None:
    assert text(judged(0.724)) == "72/100."


def test_a_judge_with_a_reference_says_how_many_photos_are_worse() -> None:
    assert text(judged(0.724, percentile=0.83)) == "72/100, better than 83 % of the test photos."


@pytest.mark.parametrize(("percentile", "words"), [(0.0, "1 %"), (1.0, "99 %")])
def test_nobody_is_better_or_worse_than_all(percentile: float, words: str) -> None:
    assert words in text(judged(0.5, percentile=percentile))


def test_several_photos_are_numbered_and_the_best_comes_first() -> None:
    reply = text(judged(0.2), judged(0.9), Declined(reason="damaged"), judged(0.5))

    assert reply.splitlines() == [
        "Best first:",
        "Photo 2: 90/100",
        "Photo 4: 50/100",
        "Photo 1: 20/100",
        "Photo 3: That photo is damaged or cut off, I can't open it. Could you send it again?",
    ]


def test_a_video_is_judged_by_its_preview_picture_and_the_reply_says_so() -> None:
    assert text(judged(0.5, from_video=True)) == "I looked at the preview picture: 50/100."


def test_a_mention_without_a_photo_gets_one_short_help() -> None:
    assert text() == notice("help") == wording.NOTICES["help"]
    assert len(notice("help")) < 120


@pytest.mark.parametrize("kind", get_args(Notice))
def test_every_notice_has_words_of_its_own(kind: Notice) -> None:
    assert notice(kind).endswith(".")
    assert "{" not in notice(kind)
    assert [other for other in get_args(Notice) if notice(other) == notice(kind)] == [kind]


@pytest.mark.parametrize(
    ("deleted", "words"),
    [
        (0, "Done: there is no reply of mine to you left that I know of."),
        (1, "Done: I deleted my reply to you."),
        (2, "Done: I deleted 2 replies to you."),
    ],
)
def test_who_asked_for_replies_to_be_deleted_is_told_how_many_were(deleted: int, words: str) -> None:
    assert notice("deleted", deleted) == words


def test_what_others_wrote_calls_nobody_and_still_fits() -> None:
    warning = "@bob @eve@example.social \uff20mia"
    reply = wording.reply_to(mention(warning=warning), verdict(judged(0.5), caution=CAUTION), room=40)

    assert reply.warning.replace("\u2060", "") == warning
    assert not re.search("[@\uff20](?!\u2060)", reply.warning)
    # The network counts the warning as it came.
    assert len(reply.text) + len(reply.warning) <= 40 + len(warning)


def test_every_score_carries_the_judges_own_caution() -> None:
    assert text(judged(0.5), caution=CAUTION) == f"50/100.\n{CAUTION}"


def test_a_reply_without_a_score_carries_no_caution() -> None:
    assert CAUTION not in text(Declined(reason="empty"), caution=CAUTION)


@pytest.mark.parametrize("reason", get_args(Reason))
def test_every_reason_has_a_sentence_of_its_own(reason: Reason) -> None:
    sentence = wording.declined(Declined(reason=reason, value=404, limit=40))

    assert sentence.endswith((".", "?"))
    assert "{" not in sentence
    assert [r for r in get_args(Reason) if wording.DECLINED[r] == wording.DECLINED[reason]] == [reason]


def test_a_photo_that_is_too_large_is_told_its_size_and_the_limit() -> None:
    words = text(Declined(reason="too_many_pixels", value=100, limit=40))

    assert "100 megapixels" in words
    assert "up to 40" in words


def test_a_network_with_little_room_loses_the_last_photos_but_never_the_caution() -> None:
    assert (
        text(judged(0.9), judged(0.5), judged(0.1), caution=CAUTION, room=55)
        == f"Best first:\nPhoto 1: 90/100\n{CAUTION}"
    )


def test_a_reply_is_never_longer_than_there_is_room() -> None:
    assert text(room=20) == "Hi! Mention me with…"


def test_a_reply_is_as_private_as_its_mention_and_keeps_its_warning() -> None:
    reply = wording.reply_to(mention(visibility="private", warning="eyes"), verdict(judged(0.5)), room=500)

    assert (reply.visibility, reply.warning) == ("private", "eyes")


def test_no_reply_holds_a_link_or_a_live_mention() -> None:
    # X charges twenty times as much for a reply with a link, and an @ would call somebody.
    for sentence in [*wording.DECLINED.values(), *wording.NOTICES.values(), wording.NOTHING_TO_DELETE]:
        assert "@" not in sentence
        assert "://" not in sentence


def test_a_photo_is_known_by_its_mentions_key() -> None:
    assert mention(photos=(Photo(medium="image", url="x"),)).key == "mastodon:7"
