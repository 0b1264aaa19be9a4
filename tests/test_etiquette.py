"""Who is answered and how often: every rule on its own, without a network or a ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.etiquette import Moment, Rules, admit, command_in
from bot.messages import Command, Mention, Photo
from bot.record import Admission

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
PHOTO = Photo(medium="image", url="https://files.example.social/a.jpg")
OTHERS = PHOTO.model_copy(update={"is_own": False})
RULES = Rules()
QUIET = Moment(NOW)
LATE = Moment(NOW, is_late=True)


def mention(**fields: object) -> Mention:
    plain = {
        "network": "mastodon",
        "id": "7",
        "author": "ann@a.example",
        "created_at": NOW,
        "photos": (PHOTO,),
    }
    return Mention.model_validate(plain | fields)


def admitted(rules: Rules = RULES, moment: Moment = QUIET, **fields: Any) -> Admission:
    return admit(mention(**fields), rules, moment)


def blocking(name: str) -> Moment:
    return Moment(NOW, blocked=frozenset({name}))


def notice(admission: Admission) -> str | None:
    assert not admission.skip
    return admission.verdict.notice if admission.verdict else None


def quotas(admission: Admission) -> list[tuple[str, int, int]]:
    return [(limit.of, limit.most, limit.seconds) for limit in admission.limits]


# ── who is not answered ──


def test_a_photo_is_judged() -> None:
    assert admitted() == Admission(mention(), limits=admitted().limits)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"author_is_bot": True}, "author is a bot"),
        ({"author_is_bot": True, "command": "delete"}, "author is a bot"),
        ({"author_opts_out": True}, "author's profile says #nobot"),
        ({"author_opts_out": True, "command": "help"}, "author's profile says #nobot"),
        ({"created_at": NOW - timedelta(minutes=61)}, "too old"),
        ({"answers_bot": True, "photos": ()}, "small talk"),
    ],
)
def test_some_mentions_are_skipped_for_a_reason(fields: dict[str, Any], reason: str) -> None:
    assert admitted(**fields).skip == reason


@pytest.mark.parametrize(
    "listed", ["ann@a.example", "a.example", "example"]
)  # the handle, its domain, and the one above that
def test_a_blocklist_holds_handles_and_domains_with_all_below_them(listed: str) -> None:
    assert admitted(moment=blocking(listed), author="Ann@A.example").skip == "author is on the blocklist"


@pytest.mark.parametrize("listed", ["bob@a.example", "b.example", "xa.example", "ann"])
def test_who_is_not_on_the_blocklist_is_answered(listed: str) -> None:
    assert not admitted(moment=blocking(listed)).skip


def test_people_of_the_bots_own_server_are_listed_by_their_bare_name() -> None:
    assert admitted(moment=blocking("ann"), author="ann").skip
    assert not admitted(moment=blocking("example"), author="ann").skip


@pytest.mark.parametrize(
    "fields", [{"author_opts_out": True}, {"created_at": NOW - timedelta(days=3)}, {"answers_bot": True}]
)
def test_a_wish_to_delete_is_always_heard_and_never_counted(fields: dict[str, Any]) -> None:
    admission = admitted(command="delete", photos=(), **fields)

    assert (notice(admission), admission.limits) == ("deleted", ())


# ── what is said at once ──


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"photos": ()}, "help"),
        ({"command": "help"}, "help"),
        ({"command": "stop", "photos": ()}, "stopped"),
        ({"command": "start", "photos": ()}, "started"),
        ({"command": "stop", "photos": (), "answers_bot": True}, "stopped"),
        ({"sensitive": True}, "sensitive"),
        ({"sensitive": True, "photos": ()}, "help"),
        ({"photos": (OTHERS,)}, "not_yours"),
        ({"photos": (OTHERS,), "sensitive": True}, "not_yours"),
    ],
)
def test_what_needs_no_judge_is_answered_at_once_and_counts(fields: dict[str, Any], said: str) -> None:
    admission = admitted(**fields)

    assert notice(admission) == said
    assert len(admission.limits) == 4


def test_of_own_and_foreign_photos_only_the_own_ones_are_judged() -> None:
    assert admitted(photos=(OTHERS, PHOTO)).mention.photos == (PHOTO,)


def test_the_operator_may_have_anyones_photos_judged() -> None:
    admission = admitted(Rules(photos_of="anyone"), photos=(OTHERS,))

    assert (notice(admission), admission.mention.photos) == (None, (OTHERS,))


def test_the_operator_may_have_sensitive_photos_judged() -> None:
    assert notice(admitted(Rules(sensitive="judge"), sensitive=True)) is None


def test_while_photos_wait_too_long_new_ones_are_turned_away_at_once() -> None:
    assert notice(admitted(moment=LATE)) == "busy"
    assert admitted(Rules(when_late="silence"), LATE).skip == "too many photos wait"


@pytest.mark.parametrize("rules", [RULES, Rules(when_late="silence")])
def test_what_needs_no_judge_does_not_wait_for_one(rules: Rules) -> None:
    assert notice(admitted(rules, LATE, command="stop")) == "stopped"
    assert notice(admitted(rules, LATE, photos=())) == "help"


# ── how often ──


def test_thread_and_bot_and_author_have_their_limits() -> None:
    assert quotas(admitted()) == [
        ("thread", 2, 30 * 86400),
        ("all", 90, 3600),
        ("author", 30, 86400),
        ("author", 5, 60),
    ]


@pytest.mark.parametrize(
    ("since", "most"),
    [
        (NOW - timedelta(days=6.9), [10, 2]),
        (NOW - timedelta(days=7), [30, 5]),
        (None, [30, 5]),
    ],
)
def test_newcomers_get_less_where_the_network_tells(since: datetime | None, most: list[int]) -> None:
    assert [count for of, count, _ in quotas(admitted(author_since=since)) if of == "author"] == most


def test_only_an_author_is_ever_told_that_it_is_enough() -> None:
    told = {limit.of: limit.excess.notice if limit.excess else None for limit in admitted().limits}

    assert told == {"thread": None, "all": None, "author": "slow_down"}
    assert not any(limit.excess for limit in admitted(command="stop").limits)


# ── commands ──


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("@deepselfie stop", "stop"),
        ("@deepselfie STOP!!!", "stop"),
        ("stop @deepselfie@example.social", "stop"),
        ("@deepselfie please stop", "stop"),
        ("@deepselfie Stop it, please.", "stop"),
        ("@deepselfie\nunsubscribe", "stop"),
        ("@deepselfie st\u200bo\u00adp", "stop"),
        ("@deepselfie @bob opt-out", "stop"),
        ("@deepselfie \u201cstop\u201d \U0001f6d1", "stop"),
        ("@deepselfie start", "start"),
        ("@deepselfie delete", "delete"),
        ("@deepselfie Delete this.", "delete"),
        ("@deepselfie help?", "help"),
        # in other languages, whatever the mention's own
        ("@deepselfie Bitte löschen!", "delete"),
        ("@deepselfie Hilfe", "help"),
        ("@deepselfie arrête, s'il te plaît", "stop"),
        ("@deepselfie supprime, s\u2019il te pla\u00eet", "delete"),
        ("@deepselfie ¡ayúdame!", "help"),
        ("@deepselfie borra por favor", "delete"),
        ("@deepselfie começar", "start"),
        ("@deepselfie停止", "stop"),
        ("@deepselfie 请删除。", "delete"),
        ("@deepselfie@example.social やめてください\uff01", "stop"),
        ("@deepselfie \uff8d\uff99\uff8c\uff9f", "help"),  # half-width
        # a sentence is none
        ("@deepselfie don't stop", None),
        ("@deepselfie how do I start", None),
        ("@deepselfie stop looking at me like that", None),
        ("@deepselfie please", None),
        ("@deepselfie I need help", None),
        ("@deepselfie nonstop", None),
        ("@deepselfie bitte", None),
        ("@deepselfie para ti", None),
        ("@deepselfie no borra", None),
        ("@deepselfie 不要停止", None),
        ("@deepselfie 削除しないで", None),
        ("@stop @deepselfie", None),
        ("@deepselfie stop http://x.example/", None),
        ("@deepselfie", None),
        ("", None),
    ],
)
def test_a_command_is_all_that_a_mention_says(text: str, command: Command | None) -> None:
    assert command_in(text) == command
