"""What the bot says, in every language: each text there is, filled in as it will be."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import get_args

import pytest

from bot.locale import Band, locales
from bot.messages import Declined, Judged, Mention, Notice, Opinion, Photo, Reason, Verdict
from bot.wording import reply_to

CAUTION = "I learned from drawings."
# The default judge's.
REFERENCE = "the drawn portraits I was tested on"
LONG_CAUTION = "I learned from drawn portraits only, so take this as a game."

VARIANTS = 8
# What X has room for, with CJK counted double; no other network has less.
ROOM = 280
ENDLESS = 10_000

LANGUAGES = sorted(locales())


def mention(**fields: object) -> Mention:
    return Mention.model_validate(
        {"network": "mastodon", "id": "7", "author": "ann", "created_at": datetime.now(UTC)} | fields
    )


def verdict(*opinions: Opinion, **fields: object) -> Verdict:
    told = {"opinions": opinions, "judge": "test 1", "reference_name": "the test photos"}
    return Verdict.model_validate(told | fields)


def judged(score: float, **fields: object) -> Judged:
    return Judged.model_validate({"score": score, "label": "good"} | fields)


def text(verdict: Verdict, language: str = "en", room: int = ENDLESS, attempt: int = 0) -> str:
    return reply_to(mention(language=language), verdict, room=room, attempt=attempt).text


def ways(verdict: Verdict, language: str = "en") -> list[str]:
    """All ways of saying it."""
    return [text(verdict, language, attempt=attempt) for attempt in range(VARIANTS)]


def on_x(verdict: Verdict, language: str, attempt: int) -> str:
    """What is posted where there is room for 280, as X counts."""
    return reply_to(mention(language=language), verdict, room=ROOM, length=weighted, attempt=attempt).text


def weighted(text: str) -> int:
    """A text's length as X counts it."""
    light = (range(4352), range(8192, 8206), range(8208, 8224), range(8242, 8248))
    composed = unicodedata.normalize("NFC", text)
    return sum(1 if any(ord(character) in part for part in light) else 2 for character in composed)


def every_verdict() -> Iterator[Verdict]:
    """One of each kind, with the longest values that are to be expected."""
    for notice in get_args(Notice):
        for deleted in (0, 1, 1000):
            yield Verdict(notice=notice, deleted=deleted)
    for reason in get_args(Reason):
        yield verdict(Declined(reason=reason, value=1000, limit=1000))
    for percentile in (0.99, 0.7, 0.5, 0.3, 0.1):
        for from_video in (False, True):
            photo = judged(1, percentile=percentile, from_video=from_video)
            yield verdict(photo, reference_name=REFERENCE, caution=LONG_CAUTION, accuracy=0.87)
    one, two = judged(0.1), judged(0.2, from_video=True)
    yield verdict(one, two, accuracy=0.87, caution=LONG_CAUTION)
    yield verdict(one, Declined(reason="damaged"), accuracy=0.87, caution=LONG_CAUTION)


# ── one photo ──


def test_a_photo_gets_its_score_a_verdict_a_comparison_and_how_often_that_is_right() -> None:
    photo = judged(0.724, percentile=0.83)

    reply = text(verdict(photo, caution=CAUTION, accuracy=0.61))

    score, comparison, accuracy, caution = reply.splitlines()
    assert score in [words.format(score="72/100") for words in locales()["en"].verdicts["excellent"]]
    assert comparison == "Better than 83% of the test photos."
    assert accuracy == "For fun: in my tests I'm right about 6 times in 10."
    assert caution == CAUTION


def test_a_judge_that_knows_nothing_more_gives_a_score_and_a_verdict() -> None:
    reply = text(verdict(judged(0.724), reference_name=""))

    assert reply in [words.format(score="72/100") for words in locales()["en"].verdicts["good"]]


@pytest.mark.parametrize(
    ("share", "band"),
    [
        (0.0, "poor"), (0.19, "poor"), (0.2, "weak"), (0.39, "weak"), (0.4, "fair"), (0.59, "fair"),
        (0.6, "good"), (0.79, "good"), (0.8, "excellent"), (1.0, "excellent"),
    ],
)  # fmt: skip
def test_the_verdict_goes_by_the_fifth_of_the_known_photos_or_else_of_the_scale(
    share: float, band: Band
) -> None:
    words = locales()["en"].verdicts[band]

    assert text(verdict(judged(0.5, percentile=share))).splitlines()[0] in [
        way.format(score="50/100") for way in words
    ]
    assert text(verdict(judged(share))) in [way.format(score=f"{round(share * 100)}/100") for way in words]


@pytest.mark.parametrize(("percentile", "words"), [(0.0, "1%"), (1.0, "99%")])
def test_nobody_is_better_or_worse_than_all(percentile: float, words: str) -> None:
    assert f"than {words} of" in text(verdict(judged(0.5, percentile=percentile)))


@pytest.mark.parametrize(
    ("accuracy", "times"), [(0.54, 5), (0.56, 6), (0.869, 9), (0.949, 9), (0.97, 9), (1.0, 9)]
)
def test_the_accuracy_is_the_cards_rounded_and_never_perfect(accuracy: float, times: int) -> None:
    assert f"right about {times} times in 10." in text(verdict(judged(0.5), accuracy=accuracy))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_judge_that_nobody_has_measured_says_nothing_about_its_accuracy(language: str) -> None:
    measured = text(verdict(judged(0.5), accuracy=0.6), language)

    assert measured.startswith(f"{text(verdict(judged(0.5)), language)}\n")


def test_a_video_is_judged_by_its_preview_picture_and_the_reply_says_so() -> None:
    still, moving = (text(verdict(judged(0.5, from_video=is_video))) for is_video in (False, True))

    assert moving == f"I looked at the preview picture. {still}"


def test_every_score_carries_the_judges_own_caution() -> None:
    assert text(verdict(judged(0.5), caution=CAUTION)).endswith(f"\n{CAUTION}")


def test_a_reply_without_a_score_carries_no_caution_and_no_accuracy() -> None:
    declined = Declined(reason="empty")

    assert text(verdict(declined, caution=CAUTION, accuracy=0.6)) == text(verdict(declined))


# ── several photos ──


def test_several_photos_are_numbered_and_the_best_comes_first() -> None:
    photos = judged(0.2), judged(0.9), Declined(reason="damaged"), judged(0.5)

    first, *lines = text(verdict(*photos)).splitlines()

    assert first in [words.format(photo=2) for words in locales()["en"].ranking]
    assert lines == [
        "Photo 2: 90/100",
        "Photo 4: 50/100",
        "Photo 1: 20/100",
        "Photo 3: That photo is damaged or cut off, I can't open it. Could you send it again?",
    ]


def test_of_several_photos_one_alone_may_have_a_score_or_none() -> None:
    lost = Declined(reason="empty")
    sorry = locales()["en"].sorry

    first, *lines = text(verdict(lost, judged(0.9, from_video=True), caution=CAUTION)).splitlines()
    assert first in sorry
    assert lines == ["Photo 2: 90/100 (preview picture)", f"Photo 1: {EMPTY}", CAUTION]

    first, *lines = text(verdict(lost, lost, caution=CAUTION)).splitlines()
    assert first in sorry
    assert lines == [f"Photo 1: {EMPTY}", f"Photo 2: {EMPTY}"]


EMPTY = locales()["en"].declined["empty"]


# ── in place of an opinion ──


def test_a_mention_without_a_photo_gets_one_short_help() -> None:
    assert ways(verdict()) == ways(Verdict(notice="help"))
    assert max(map(len, ways(verdict()))) < 120


@pytest.mark.parametrize("language", LANGUAGES)
def test_help_names_every_command_in_the_language(language: str) -> None:
    for words in locales()[language].commands.values():
        assert words[0] in text(Verdict(notice="help"), language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_asked_for_replies_to_be_deleted_is_told_how_many_were(language: str) -> None:
    told = [text(Verdict(notice="deleted", deleted=deleted), language) for deleted in (0, 1, 2, 30)]

    assert len(set(told)) == 4
    assert [re.findall(r"\d+", words) for words in told] == [[], [], ["2"], ["30"]]


@pytest.mark.parametrize(
    ("deleted", "words"),
    [
        (0, "There is no reply of mine to you left that I know of."),
        (1, "I deleted my reply to you."),
        (2, "I deleted 2 replies to you."),
    ],
)
def test_one_reply_is_not_several(deleted: int, words: str) -> None:
    assert text(Verdict(notice="deleted", deleted=deleted)).endswith(f" {words}")


def test_a_photo_that_is_too_large_is_told_its_size_and_the_limit() -> None:
    words = text(verdict(Declined(reason="too_many_pixels", value=100, limit=40)))

    assert "100 megapixels" in words
    assert "up to 40" in words


# ── in which language ──


def test_the_bot_speaks_seven_languages() -> None:
    assert LANGUAGES == ["de", "en", "es", "fr", "ja", "pt", "zh"]


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("de", "de"), ("en-GB", "en"), ("pt-BR", "pt"), ("zh-Hant-TW", "zh"), ("FR", "fr"),
        (None, "en"), ("", "en"), ("nl", "en"), ("und", "en"), ("den", "en"), ("../de", "en"),
    ],
)  # fmt: skip
def test_a_reply_is_in_the_mentions_language_or_else_in_english(tag: str | None, language: str) -> None:
    reply = reply_to(mention(language=tag), verdict(), room=ENDLESS)

    assert (reply.language, reply.text) == (language, text(verdict(), language))


# ── in which words ──


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_can_be_said_in_eight_ways_and_no_two_attempts_say_the_same(language: str) -> None:
    for each in every_verdict():
        assert len(set(ways(each, language))) == VARIANTS, each
        assert text(each, language, attempt=VARIANTS) == text(each, language), each


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_reply_has_words_of_its_own(language: str) -> None:
    told = [(each.notice, text(each, language)) for each in every_verdict() if not each.deleted]

    assert len({words for _, words in told}) == len(told)


def test_the_same_mention_is_always_answered_in_the_same_words_and_mentions_differ() -> None:
    # Known answers: another process, another day and another machine must not say it differently.
    replies = [reply_to(mention(id=str(n)), verdict(judged(0.7)), room=ENDLESS).text for n in range(4)]

    assert replies == [
        "70/100. Good shot. A bit more and I'd be speechless.",
        "70/100. I like this one.",
        "70/100. I like this one.",
        "70/100. Well done, this photo works.",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_filled_in_and_calls_nobody_and_links_nowhere(language: str) -> None:
    # X charges twenty times as much for a reply with a link, and an @ would call somebody.
    for each in every_verdict():
        for words in ways(each, language):
            assert not re.search(r"[@\uff20#\uff03{}]|://|www\.|\w\.\w", words.replace(LONG_CAUTION, "")), (
                words
            )
            assert words == words.strip()
            assert "  " not in words


# What a language may fill in, and where.
PLACEHOLDERS = {
    "comparison": {"percent"}, "accuracy": {"times"}, "preview": {"verdict"}, "ranked": {"photo", "score"},
    "ranked_preview": {"photo", "score"}, "declined_among": {"photo", "reason"},
    "declined_alone": {"sorry", "reason"}, "no_ranking": {"sorry"},
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_says_all_that_it_has_to_say(language: str) -> None:
    locale = locales()[language]
    needed = [(getattr(locale, name), names) for name, names in PLACEHOLDERS.items()]
    needed += [(words, {"score"}) for variants in locale.verdicts.values() for words in variants]
    needed += [(locale.deleted.many, {"done", "count"})]
    needed += [(locale.declined["too_many_pixels"], {"value", "limit"})]
    needed += [(locale.declined[reason], {"value"}) for reason in ("not_found", "server_error")]
    needed += [(locale.declined[reason], {"limit"}) for reason in ("too_many_bytes", "too_slow")]

    for words, names in needed:
        found = re.findall(r"{(\w+)}", words)
        assert set(found) - {"reference"} == names, words
        assert len(found) == len(set(found)), words


# The article found that style decides more than the person: nothing is ever said about the person.
PERSON = {
    "en": r"s?he|him|her|man|woman|boy|girl|guys?|face|body|old|young|pretty|ugly|beaut\w*|handsome|sexy",
    "de": r"er|mann|frau|junge|mädchen|gesicht|körper|alt|jung|hübsch|hässlich|schön\w*|süß|heiß|sexy",
    "es": r"él|ella|hombre|mujer|chic[oa]|cara|cuerpo|viej[oa]|joven|guap[oa]|fe[oa]|bonit[oa]|lind[oa]|sexy",
    "fr": r"elle|homme|femme|fille|garçon|visage|corps|vieux|vieille|jeune|beau|belle|jolie?|laide?|moche",
    "pt": r"ele|ela|homem|mulher|menin[oa]|rosto|cara|corpo|velh[oa]|jovem|bonit[oa]|fei[oa]|lind[oa]|sexy",
    "ja": "彼|男|女|顔|体|若|老|美|醜|可愛|かわい|かっこ|ブス|イケメン|セクシー",
    "zh": "他|她|男|女|脸|身材|年轻|老了|美|丑|帅|漂亮|可爱|性感",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_verdict_is_about_the_photo_and_never_about_who_is_in_it(language: str) -> None:
    found = re.compile(PERSON[language] if language in {"ja", "zh"} else rf"\b({PERSON[language]})\b", re.I)

    for variants in locales()[language].verdicts.values():
        for words in variants:
            assert not found.search(words), words


@pytest.mark.parametrize("language", ["fr", "de", "es"])
def test_no_line_starts_with_what_belongs_to_the_word_before(language: str) -> None:
    before = "[!?:;%»]" if language == "fr" else "%"

    for each in every_verdict():
        assert not any(re.search(f" {before}", words) for words in ways(each, language)), each


# ── what there is room for ──


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reply_fits_into_a_post_on_x_with_all_that_it_has_to_say(language: str) -> None:
    for each in every_verdict():
        for attempt in range(VARIANTS):
            whole = text(each, language, attempt=attempt)
            assert on_x(each, language, attempt) == whole, weighted(whole)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_does_not_fit_goes_the_accuracy_first_then_the_comparison_never_the_caution(
    language: str,
) -> None:
    for band, percentile in zip(get_args(Band), (0.9, 0.7, 0.5, 0.3, 0.1), strict=True):
        each = verdict(judged(0.5, percentile=percentile), caution=CAUTION, accuracy=0.6)
        score, comparison, accuracy, caution = text(each, language).splitlines()
        for lines in ([score, comparison, accuracy, caution], [score, comparison, caution], [score, caution]):
            kept = "\n".join(lines)
            assert text(each, language, room=len(kept)) == kept, band


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_longest_caution_that_a_card_may_have_leaves_room_for_the_score(language: str) -> None:
    longest = "A judge may have this much to say. " * 4
    cautious = [each.model_copy(update={"caution": longest[:120]}) for each in every_verdict() if each.best]
    for each in cautious:
        for attempt in range(VARIANTS):
            first, *_, last = text(each, language, attempt=attempt).splitlines()
            lines = on_x(each, language, attempt).splitlines()
            assert (lines[0], lines[-1]) == (first, last)


def test_a_text_is_as_long_as_the_network_says() -> None:
    each = verdict(judged(0.5), caution=CAUTION, accuracy=0.6)
    reply = text(each, "zh")
    assert weighted(reply) > len(reply)

    def fitted(room: int) -> str:
        return reply_to(mention(language="zh"), each, room=room, length=weighted).text

    assert fitted(weighted(reply)) == reply
    assert len(fitted(weighted(reply) - 1).splitlines()) == 2


def test_a_network_with_little_room_loses_the_last_photos_but_never_the_caution() -> None:
    each = verdict(judged(0.9), judged(0.5), judged(0.1), caution=CAUTION, accuracy=0.6)
    first, best, *_ = text(each).splitlines()

    assert text(each, room=len(f"{first}\n{best}\n{CAUTION}")) == f"{first}\n{best}\n{CAUTION}"


@pytest.mark.parametrize("room", [0, 1, 20, 30])
def test_a_reply_is_never_longer_than_there_is_room(room: int) -> None:
    reply = text(verdict(judged(0.5), caution=CAUTION), room=room)

    assert len(reply) <= max(room, 1)
    assert reply.endswith("…" if room < len(CAUTION) else CAUTION)
    assert text(verdict(), room=20).startswith(text(verdict(), room=ENDLESS)[:15])


# ── as the mention was ──


def test_what_others_wrote_calls_nobody_and_still_fits() -> None:
    warning = "@bob @eve@example.social \uff20mia"
    reply = reply_to(mention(warning=warning), verdict(judged(0.5), caution=CAUTION), room=40)

    assert reply.warning.replace("\u2060", "") == warning
    assert not re.search("[@\uff20](?!\u2060)", reply.warning)
    # The network counts the warning as it came.
    assert len(reply.text) + len(reply.warning) <= 40 + len(warning)


def test_a_reply_is_as_private_as_its_mention_and_keeps_its_warning() -> None:
    reply = reply_to(mention(visibility="private", warning="eyes"), verdict(judged(0.5)), room=500)

    assert (reply.visibility, reply.warning) == ("private", "eyes")


def test_a_photo_is_known_by_its_mentions_key() -> None:
    assert mention(photos=(Photo(medium="image", url="x"),)).key == "mastodon:7"
