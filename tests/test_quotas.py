"""What the ledger counts and remembers about who is answered, in a real Valkey."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from itertools import count

import pytest
from redis import Redis

from bot.keys import quota
from bot.ledger import Ledger
from bot.messages import Command, Mention, Verdict
from bot.record import Admission, Fate, Limit
from tests.clock import let_quotas_pass

ENOUGH = Verdict(notice="slow_down")
MINUTE = Limit("author", 2, 60, ENOUGH)
DAY = Limit("author", 3, 86400, ENOUGH)
THREAD = Limit("thread", 1, 86400)
ALL = Limit("all", 3, 3600)

JUDGED = ("photos", "")


class Street:
    """People who mention the bot, and the ledger they come before."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.ledger = Ledger(redis)
        self._numbers = count()

    def mention(self, author: str = "ann", **fields: object) -> Mention:
        plain = {"network": "mastodon", "id": str(next(self._numbers)), "author": author}
        return Mention.model_validate(plain | {"created_at": datetime.now(UTC)} | fields)

    def come(self, *limits: Limit, author: str = "ann", thread: str | None = None) -> Fate:
        return self.enter(Admission(self.mention(author, thread=thread), limits=limits))

    def enter(self, admission: Admission) -> Fate:
        return self.ledger.ingest("mastodon", [admission])[admission.mention.key]

    def say(self, command: Command, *limits: Limit, author: str = "ann", skip: str = "") -> Fate:
        verdict = None if skip else Verdict(notice="help")
        return self.enter(Admission(self.mention(author, command=command), skip, verdict, limits))

    def told(self, mention: Mention) -> str | None:
        record = self.ledger.read(mention.key)
        assert record
        return record.verdict.notice if record.verdict else None


@pytest.fixture
def street(redis: Redis) -> Street:
    return Street(redis)


# ── quotas ──


def test_who_comes_too_often_is_told_so_once_and_then_gets_silence(street: Street) -> None:
    fates = [street.come(MINUTE) for _ in range(5)]

    over = "more than 2 in 60 s (author)"
    assert fates == [JUDGED, JUDGED, ("replies", over), ("", over), ("", over)]


def test_the_one_line_is_what_the_limit_says(street: Street) -> None:
    street.come(MINUTE)
    street.come(MINUTE)
    third = street.mention()

    street.enter(Admission(third, limits=(MINUTE,)))

    record = street.ledger.read(third.key)
    assert record
    assert (record.state, record.verdict) == ("ready", ENOUGH)


def test_one_author_does_not_use_up_anothers_quota(street: Street) -> None:
    for _ in range(3):
        street.come(MINUTE)

    assert street.come(MINUTE, author="bob") == JUDGED
    assert street.come(MINUTE, author="Ann").queue != "photos"


def test_windows_slide(street: Street) -> None:
    street.come(MINUTE)
    let_quotas_pass(street.redis, 40)
    street.come(MINUTE)
    assert street.come(MINUTE).queue == "replies"

    let_quotas_pass(street.redis, 21)  # the first of them has left the window, the second has not

    assert street.come(MINUTE) == JUDGED
    # Who has been told within a minute is not told again.
    assert street.come(MINUTE).queue == ""
    let_quotas_pass(street.redis, 40)
    assert street.come(MINUTE) == JUDGED
    assert street.come(MINUTE).queue == "replies"


def test_what_is_refused_does_not_count(street: Street) -> None:
    for _ in range(10):
        street.come(MINUTE)

    assert street.redis.zcard(quota(f"author:{street.ledger.people.hash('mastodon', 'ann')}:60")) == 2


def test_what_is_passed_over_in_silence_counts_against_nothing(street: Street) -> None:
    bot = Limit("all", 4, 3600)
    for _ in range(6):
        street.come(bot, MINUTE)  # two are judged, one is told, three are nothing

    assert street.come(bot, MINUTE, author="bob") == JUDGED
    assert street.come(bot, MINUTE, author="eve") == ("", bot.reason)


def test_a_mention_counts_against_all_of_its_quotas_or_none(street: Street) -> None:
    for _ in range(6):
        street.come(DAY, MINUTE)
    let_quotas_pass(street.redis, 61)

    assert [street.come(DAY, MINUTE).queue for _ in range(3)] == ["photos", "replies", ""]


@pytest.mark.parametrize("limit", [THREAD, ALL])
def test_over_the_limit_of_a_thread_or_of_the_bot_there_is_silence(street: Street, limit: Limit) -> None:
    fates = [street.come(limit, author=f"person{number}", thread="1") for number in range(limit.most + 1)]

    assert fates[:-1] == [JUDGED] * limit.most
    assert fates[-1] == ("", limit.reason)


def test_a_thread_begins_with_its_first_post(street: Street) -> None:
    first = street.mention()
    assert street.enter(Admission(first, limits=(THREAD,))) == JUDGED

    assert street.come(THREAD, thread=first.id, author="bob").queue == ""
    assert street.come(THREAD, author="bob") == JUDGED


def test_being_told_counts_as_a_reply_in_the_thread_and_of_the_bot(street: Street) -> None:
    limits = Limit("thread", 2, 86400), Limit("author", 1, 60, ENOUGH)
    assert street.come(*limits, thread="1") == JUDGED
    assert street.come(*limits, thread="1").queue == "replies"

    assert street.come(*limits, thread="1", author="bob") == ("", limits[0].reason)


def test_a_mention_seen_again_and_again_counts_once(street: Street) -> None:
    mention = street.mention()
    admission = Admission(mention, limits=(MINUTE,))

    fates = [street.ledger.ingest("mastodon", [admission, admission]) for _ in range(5)]

    assert fates == [{mention.key: JUDGED}, {}, {}, {}, {}]
    assert street.come(MINUTE) == JUDGED


def test_of_many_at_once_exactly_as_many_get_in_as_may(street: Street) -> None:
    limit = Limit("all", 5, 3600)
    fates: list[Fate] = []
    together = threading.Barrier(4)
    admissions = [[Admission(street.mention(), limits=(limit,)) for _ in range(10)] for _ in range(4)]

    def come(theirs: list[Admission]) -> None:
        ledger = Ledger(street.redis)
        together.wait()
        for admission in theirs:
            fates.extend(ledger.ingest("mastodon", [admission]).values())

    threads = [threading.Thread(target=come, args=(theirs,)) for theirs in admissions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [fate.queue for fate in fates].count("photos") == 5


def test_nothing_of_a_quota_outlives_its_window(street: Street) -> None:
    for _ in range(4):
        street.come(THREAD, ALL, MINUTE)

    names = list(street.redis.scan_iter(quota("*")))
    assert len(names) >= 5
    for name in names:
        seconds = int(name.removesuffix(b":told").rpartition(b":")[2])
        assert 0 < street.redis.ttl(name) <= seconds


# ── what is said at once ──


def test_a_mention_that_needs_no_judge_is_ready_at_once(street: Street) -> None:
    mention = street.mention()

    assert street.enter(Admission(mention, verdict=Verdict(notice="help"))) == ("replies", "")

    record = street.ledger.read(mention.key)
    assert record
    assert (record.state, record.verdict, record.mention) == ("ready", Verdict(notice="help"), mention)
    assert street.ledger.claim(mention.key, ["new"], "judging") is None
    assert street.ledger.claim(mention.key, ["ready"], "sending")


def test_what_needed_no_judge_needs_none_when_it_is_tried_again(street: Street) -> None:
    mention = street.mention()
    street.enter(Admission(mention, verdict=Verdict(notice="sensitive")))
    lease = street.ledger.claim(mention.key, ["ready"], "sending")
    assert lease
    street.ledger.close(lease, "failed", {"reason": "some"})

    assert street.ledger.retry(mention.key) == "replies"

    assert street.told(mention) == "sensitive"
    assert street.ledger.claim(mention.key, ["ready"], "sending")


# ── stop and start ──


def test_who_says_stop_is_not_answered_until_they_say_start(street: Street) -> None:
    assert street.come() == JUDGED
    assert street.say("stop").queue == "replies"

    assert street.come() == ("", "author said stop")
    assert street.say("help") == ("", "author said stop")
    assert street.say("stop") == ("", "author said stop")
    assert street.come(author="bob") == JUDGED

    assert street.say("start").queue == "replies"
    assert street.come() == JUDGED


def test_who_said_stop_may_still_have_replies_deleted(street: Street) -> None:
    street.say("stop")

    assert street.say("delete").queue == "replies"
    assert street.come().queue == ""


def test_stop_and_start_take_effect_without_a_word_when_the_quota_is_used_up(street: Street) -> None:
    for _ in range(2):
        street.come(MINUTE)

    # As etiquette has it for commands.
    in_silence = Limit("author", 2, 60)
    assert street.say("stop", in_silence).queue == ""
    assert street.come(author="Ann") == ("", "author said stop")
    assert street.say("start", in_silence).queue == ""
    assert street.come() == JUDGED


def test_a_stop_that_is_heard_too_late_to_be_answered_takes_effect(street: Street) -> None:
    assert street.say("stop", skip="too old") == ("", "too old")

    assert street.come() == ("", "author said stop")


def test_a_stop_that_is_seen_again_does_not_undo_a_later_start(street: Street) -> None:
    stop = Admission(street.mention(command="stop"), verdict=Verdict(notice="stopped"))
    street.enter(stop)
    street.say("start")

    street.ledger.ingest("mastodon", [stop])

    assert street.come() == JUDGED


def test_who_is_skipped_uses_no_quota(street: Street) -> None:
    street.say("stop")
    for _ in range(5):
        street.come(MINUTE)
    street.say("start")

    assert [street.come(MINUTE) for _ in range(2)] == [JUDGED, JUDGED]


def test_a_wish_to_be_left_alone_outlives_being_forgotten_and_is_kept_as_a_hash(street: Street) -> None:
    street.come(MINUTE)
    street.say("stop")

    street.ledger.people.forget("mastodon", "ann")

    assert street.come() == ("", "author said stop")
    assert not list(street.redis.scan_iter(quota("author:*")))
    assert street.redis.smembers("deepselfie:stopped") == {
        street.ledger.people.hash("mastodon", "ann").encode()
    }


def test_who_is_forgotten_is_forgotten_in_the_quotas_that_all_share(street: Street) -> None:
    everybody, thread = Limit("all", 5, 60), Limit("thread", 5, 60)
    street.come(everybody, thread, MINUTE)
    street.come(everybody, thread, MINUTE, author="bob", thread="0")

    street.ledger.people.forget("mastodon", "ann")

    kept = [street.redis.zrange(name, 0, -1) for name in street.redis.scan_iter(quota("*"))]
    assert kept == [[b"mastodon:1"]] * 3


# ── replies that still stand ──


def test_the_replies_to_an_author_are_known_until_they_are_deleted(street: Street) -> None:
    keys = []
    for author, reply in (("ann", "91"), ("ann", "92"), ("bob", "93")):
        mention = street.mention(author)
        street.enter(Admission(mention, verdict=Verdict(notice="help")))
        lease = street.ledger.claim(mention.key, ["ready"], "sending")
        assert lease
        street.ledger.close(lease, "sent", {"reply_id": reply})
        keys.append(mention.key)
    people = street.ledger.people
    assert people.replies("mastodon", "Ann") == {keys[0]: "91", keys[1]: "92"}

    people.note_deleted(keys[0])
    people.note_deleted(keys[0])

    assert people.replies("mastodon", "ann") == {keys[1]: "92"}
    record = street.ledger.read(keys[0])
    assert record
    assert (record.state, record.reply_id) == ("sent", None)
    assert record.deleted == pytest.approx(record.times["sent"], abs=10)
    assert street.ledger.retry(keys[0]) == ""


def test_an_apology_that_was_deleted_does_not_make_its_mention_one_to_try_again(street: Street) -> None:
    mention = street.mention()
    street.enter(Admission(mention))
    lease = street.ledger.claim(mention.key, ["new"], "judging")
    assert lease
    street.ledger.close(lease, "failed", {"reply_id": "9"})

    street.ledger.people.note_deleted(mention.key)

    assert street.ledger.retry(mention.key) == ""


def test_noting_a_deletion_brings_no_record_back_that_has_gone_with_time(street: Street) -> None:
    street.ledger.people.note_deleted("mastodon:0")

    assert street.ledger.read("mastodon:0") is None
