"""The responder, on a real network where much goes wrong: always exactly one reply, or none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from mastodon import MastodonNotFoundError
from redis import Redis

from bot import keys, queues, wording
from bot.alarms import alarms
from bot.deletions import Deletions
from bot.ledger import Ledger
from bot.logs import FIELDS
from bot.messages import APOLOGY, Judged, Mention, Reply, Verdict
from bot.networks.base import NetworkError, Posted
from bot.networks.mastodon import Mastodon
from bot.people import CONFIRMATIONS
from bot.record import Admission, Policy, Record
from bot.responder import DUPLICATE_TRIES, QUARANTINE_SECONDS, SEND_TRIES, Responder
from bot.sandbox.person import Person
from bot.sweeper import Sweeper
from tests.clock import let_pass
from tests.network import SECONDS, TOKEN, Network
from tests.words import words

pytestmark = pytest.mark.e2e

VERDICT = Verdict(opinions=(Judged(score=0.83, label="good"),), judge="test 1")
POST = "POST /api/v1/statuses"
LOOK = "GET /api/v1/statuses/:id/context"

NUMBERS = count()

TOO_LONG = 5
LATE = 61
# In how many turns a mention must be over: two answers lost, the quarantine, the answer.
TURNS = 6


class Watched(Mastodon):
    """The network, and what the responder asked of it; `hook` is called before each call."""

    calls: list[str]
    hook: Callable[[str], None]

    def room(self, mention: Mention) -> int:
        self._note("room")
        return super().room(mention)

    def find_reply(self, mention: Mention) -> Posted | None:
        self._note("look")
        return super().find_reply(mention)

    def reply(self, mention: Mention, reply: Reply) -> Posted:
        self._note("post")
        return super().reply(mention, reply)

    def _note(self, call: str) -> None:
        if call != "room":
            self.calls.append(call)
        self.hook(call)


class Desk:
    """One mention after the other, and the responder that answers them."""

    def __init__(self, redis: Redis, network: Network, ann: Person, policy: Policy) -> None:
        self.redis = redis
        self.ann = ann
        self.ledger = Ledger(redis, policy)
        self.sweeper = Sweeper(redis, self.ledger)
        self.policy = policy
        self.network = self.colleague(network)
        self.responder = self.responder_on(self.network)
        self.post = ""

    @staticmethod
    def colleague(network: Network) -> Watched:
        watched = Watched.login(network.url, TOKEN)
        watched.calls, watched.hook = [], lambda _call: None
        return watched

    def responder_on(self, network: Watched) -> Responder:
        return Responder(network, self.ledger, apologise=self.policy.apologise)

    def judged(self) -> str:
        """Have ann mention the bot and a worker look at it; return the mention's key."""
        self.post = self.ann.post("@deepselfie look")
        mention = Mention(network="mastodon", id=self.post, author="ann", created_at=datetime.now(UTC))
        self.ledger.ingest("mastodon", [Admission(mention)])
        lease = self.ledger.claim(mention.key, ["new"], "judging")
        assert lease
        self.ledger.pass_on(lease, "ready", {"verdict": VERDICT.model_dump_json(), "score": 0.83})
        return mention.key

    def wait(self, key: str, seconds: float) -> bool:
        """Let time pass, and whoever has to look after the mention then do so. False if nobody had to."""
        let_pass(self.redis, key, seconds)
        self.sweeper.sweep()
        if queues.waiting(self.redis, [key])[key] != queues.REPLIES:
            return False
        self.redis.delete(f"rq:queue:{queues.REPLIES}")
        self.responder.respond(key)
        return True

    def see_through(self, key: str, responder: Responder | None = None) -> Record:
        """Respond, and go on for as long as the mention is open; in each turn all falls due."""
        (responder or self.responder).respond(key)
        for _ in range(TURNS):
            if not list(self.ledger.open()):
                break
            self.wait(key, QUARANTINE_SECONDS + 1)
        return self.record(key)

    def record(self, key: str) -> Record:
        record = self.ledger.read(key)
        assert record
        return record

    def replies(self) -> list[str]:
        return [reply.text.removeprefix("@ann ") for reply in self.ann.replies(self.post)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Network]:
    network = Network(tmp_path_factory.mktemp("network"), redis_url)
    yield network
    network.processes.stop()


@pytest.fixture
def network(place: Network) -> Iterator[Network]:
    yield place
    place.switch_off()


@pytest.fixture(scope="module")
def ann(place: Network) -> Person:
    return Person(place.url, "ann")


@pytest.fixture
def desk(redis: Redis, network: Network, ann: Person) -> Desk:
    return Desk(redis, network, ann, Policy())


@pytest.fixture
def silent_desk(redis: Redis, network: Network, ann: Person) -> Desk:
    return Desk(redis, network, ann, Policy(apologise=False))


# ── who wants no answer any more ──


def test_who_says_stop_while_their_photo_is_looked_at_is_not_answered(desk: Desk) -> None:
    key = desk.judged()
    stop = Mention(network="mastodon", id="stop", author="ann", command="stop", created_at=datetime.now(UTC))
    desk.ledger.ingest("mastodon", [Admission(stop, verdict=Verdict(notice="stopped"))])

    desk.responder.respond(key)

    record = desk.record(key)
    assert (record.state, record.reason, record.mention) == ("skipped", "author said stop", None)
    assert desk.replies() == []


# ── what may go wrong with a post ──


@pytest.mark.parametrize("keys", ["kept", "idempotency_ignored", "idempotency_raced"])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("kind", ["dropped_answer", "error_after_success", "server_error", "rate_limited"])
def test_whatever_happens_to_a_post_there_is_one_reply(
    desk: Desk, network: Network, kind: str, times: int, keys: str
) -> None:
    key = desk.judged()
    network.switch_on(endpoint=POST, kind=kind, times=times)
    if keys != "kept":
        network.switch_on(endpoint=POST, kind=keys)

    record = desk.see_through(key)

    assert (record.state, record.mention) == ("sent", None)
    assert desk.replies() == [words(desk.post, VERDICT)]
    assert record.reply_id == desk.ann.replies(desk.post)[0].status["id"]


@pytest.mark.parametrize("kind", ["dropped_answer", "error_after_success", "server_error"])
def test_an_unknown_outcome_is_looked_up_before_anything_is_posted_anew(
    desk: Desk, network: Network, kind: str
) -> None:
    key = desk.judged()
    network.switch_on(endpoint=POST, kind=kind, times=1)

    desk.see_through(key)

    assert desk.network.calls[:2] == ["post", "look"]
    assert desk.network.calls[2:] == (["post"] if kind == "server_error" else [])


def test_a_refusal_to_work_so_fast_is_no_unknown_outcome(desk: Desk, network: Network) -> None:
    key = desk.judged()
    network.switch_on(endpoint=POST, kind="rate_limited", times=1, seconds=30)
    desk.responder.respond(key)
    assert desk.record(key).state == "ready"

    # The network's clock shows whole seconds.
    assert not desk.wait(key, 20)
    assert desk.wait(key, 11)

    assert desk.network.calls == ["post", "post"]
    # In the same words: nothing was wrong with them.
    assert desk.replies() == [words(desk.post, VERDICT)]


@pytest.mark.parametrize("kind", ["rate_limited", "server_error", "dropped_answer"])
def test_who_cannot_look_does_not_post(desk: Desk, network: Network, kind: str) -> None:
    key = desk.judged()
    network.switch_on(endpoint=POST, kind="idempotency_ignored")
    network.switch_on(endpoint=POST, kind="dropped_answer", times=1)
    network.switch_on(endpoint=LOOK, kind=kind, times=2)

    record = desk.see_through(key)

    assert desk.network.calls == ["post", "look", "look", "look"]
    assert record.state == "sent"
    assert len(desk.replies()) == 1


def test_pauses_grow(desk: Desk, network: Network, caplog: pytest.LogCaptureFixture) -> None:
    key = desk.judged()
    for endpoint in (POST, LOOK):
        network.switch_on(endpoint=endpoint, kind="server_error")
    desk.responder.respond(key)

    for seconds in (1, 2, 4):
        assert desk.wait(key, seconds + 0.5)
    assert not desk.wait(key, 4)
    assert desk.wait(key, 4.5)

    assert desk.record(key).tries["sending"] == 5
    again = [record for record in caplog.records if record.getMessage() == "trying again"]
    assert [getattr(record, FIELDS)["pause"] for record in again] == [1, 2, 4, 8, 16]


def test_a_mention_that_is_gone_fails_and_says_why(desk: Desk, ann: Person) -> None:
    key = desk.judged()
    ann.client.status_delete(desk.post)

    record = desk.see_through(key)

    assert record.state == "failed"
    assert "404" in (record.reason or "")
    assert desk.network.calls == ["post"]


# ── who was interrupted ──


def test_whoever_died_before_the_post_is_replaced(desk: Desk) -> None:
    key = desk.judged()
    assert desk.ledger.claim(key, ["ready"], "sending")

    assert desk.wait(key, TOO_LONG)
    # The dead one's post may still be under way: nobody posts anew so soon.
    assert desk.network.calls == ["look"]
    assert desk.wait(key, QUARANTINE_SECONDS - TOO_LONG + 0.5)

    assert desk.network.calls == ["look", "look", "post"]
    assert desk.replies() == [words(desk.post, VERDICT)]
    assert desk.record(key).state == "sent"


@pytest.mark.parametrize("keys", ["kept", "idempotency_ignored"])
def test_whoever_died_after_the_post_has_answered(desk: Desk, network: Network, keys: str) -> None:
    if keys != "kept":
        network.switch_on(endpoint=POST, kind=keys)
    key = desk.judged()
    lease = desk.ledger.claim(key, ["ready"], "sending")
    assert lease
    posted = desk.network.reply(lease.mention, wording.reply_to(lease.mention, VERDICT, room=500))

    assert desk.wait(key, TOO_LONG)

    assert (desk.record(key).state, desk.record(key).reply_id) == ("sent", posted.id)
    assert desk.network.calls == ["post", "look"]
    assert desk.replies() == [words(desk.post, VERDICT)]


@pytest.mark.parametrize("keys", ["kept", "idempotency_ignored", "idempotency_raced"])
def test_a_post_under_way_and_its_successor_make_one_reply(desk: Desk, network: Network, keys: str) -> None:
    key = desk.judged()
    if keys != "kept":
        network.switch_on(endpoint=POST, kind=keys)
    network.switch_on(endpoint=POST, kind="latency", seconds=4, times=1)
    other = desk.colleague(network)
    posting = threading.Event()
    other.hook = lambda call: posting.set() if call == "post" else None
    slow = threading.Thread(target=desk.responder_on(other).respond, args=(key,))
    slow.start()
    assert posting.wait(SECONDS)

    assert desk.wait(key, TOO_LONG)
    assert (desk.network.calls, desk.replies()) == (["look"], [])
    slow.join()
    record = desk.see_through(key)

    assert desk.replies() == [words(desk.post, VERDICT)]
    assert "post" not in desk.network.calls
    assert (record.state, record.reply_id) == ("sent", desk.ann.replies(desk.post)[0].status["id"])


def test_a_responder_whose_lease_ran_out_posts_nothing(desk: Desk, network: Network) -> None:
    key = desk.judged()
    stopped = desk.colleague(network)
    responder = desk.responder_on(stopped)

    def stop(call: str) -> None:
        """What SIGSTOP does: here no time passes, everywhere else it does, and somebody takes over."""
        if call == "room":
            for hold in responder._keeper._holds:
                hold.until -= TOO_LONG
            desk.wait(key, TOO_LONG)
            desk.wait(key, TOO_LONG)

    stopped.hook = stop
    responder.respond(key)

    assert stopped.calls == []
    assert desk.replies() == [words(desk.post, VERDICT)]
    assert desk.record(key).state == "sent"


def test_a_mention_that_breaks_its_responder_is_not_tried_for_ever(desk: Desk) -> None:
    key = desk.judged()
    desk.redis.hset(f"deepselfie:mention:{key}", "tries_sending", SEND_TRIES - 1)

    def break_down(call: str) -> None:
        if call == "post":
            raise RuntimeError("a bug")

    desk.network.hook = break_down
    with pytest.raises(RuntimeError):
        desk.responder.respond(key)
    assert desk.wait(key, QUARANTINE_SECONDS)

    assert (desk.record(key).state, desk.record(key).reason) == ("failed", "not answered in 50 tries")


def test_two_jobs_for_one_mention_make_one_reply(desk: Desk, network: Network) -> None:
    key = desk.judged()
    responders = [desk.responder_on(desk.colleague(network)) for _ in range(4)]

    threads = [threading.Thread(target=each.respond, args=(key,)) for each in responders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.responder.respond(key)

    assert desk.replies() == [words(desk.post, VERDICT)]


def test_what_is_answered_skipped_or_unknown_is_not_answered(desk: Desk) -> None:
    key = desk.judged()
    desk.responder.respond(key)
    desk.responder.respond(key)
    desk.responder.respond("mastodon:0")

    assert desk.network.calls == ["post"]


# ── late ──


def test_a_late_mention_gets_one_apology(desk: Desk) -> None:
    key = desk.judged()
    let_pass(desk.redis, key, LATE)

    record = desk.see_through(key)
    desk.responder.respond(key)

    assert desk.replies() == [words(desk.post, APOLOGY)]
    assert record.state == "expired"


def test_or_silence_if_the_operator_wants_that(silent_desk: Desk) -> None:
    key = silent_desk.judged()
    let_pass(silent_desk.redis, key, LATE)

    record = silent_desk.see_through(key)

    assert (record.state, record.reason) == ("expired", "not answered in time")
    assert silent_desk.network.calls == []


@pytest.mark.parametrize("kind", ["dropped_answer", "error_after_success"])
def test_an_answer_that_got_through_is_not_followed_by_an_apology(
    desk: Desk, network: Network, kind: str
) -> None:
    key = desk.judged()
    network.switch_on(endpoint=POST, kind=kind, times=1)
    network.switch_on(endpoint=POST, kind="idempotency_ignored")
    desk.responder.respond(key)

    assert desk.wait(key, LATE)

    assert desk.replies() == [words(desk.post, VERDICT)]
    assert desk.record(key).state == "sent"


def test_an_apology_whose_answer_was_lost_still_counts_as_late(desk: Desk, network: Network) -> None:
    key = desk.judged()
    let_pass(desk.redis, key, LATE)
    network.switch_on(endpoint=POST, kind="dropped_answer", times=1)

    record = desk.see_through(key)

    assert desk.replies() == [words(desk.post, APOLOGY)]
    assert record.state == "expired"


def test_an_apology_for_a_failure_ends_as_one_however_late(desk: Desk) -> None:
    key = desk.judged()
    desk.redis.hset(f"deepselfie:mention:{key}", "ends", "failed")
    let_pass(desk.redis, key, LATE)

    assert desk.see_through(key).state == "failed"
    assert not desk.ledger.retry(key)


# ── deleting ──


def answered(desk: Desk) -> str:
    """Have ann mention the bot and be answered; return the reply's id."""
    reply = desk.see_through(desk.judged()).reply_id
    assert reply
    return reply


def asked_to_delete(desk: Desk, reply: str | None = None) -> str:
    """Have ann ask for a reply to be deleted, or for all; return that mention's key."""
    desk.post = desk.ann.post("@deepselfie delete", in_reply_to_id=reply)
    mention = Mention(
        network="mastodon",
        id=desk.post,
        author="ann",
        created_at=datetime.now(UTC),
        command="delete",
        in_reply_to=reply,
        answers_bot=reply is not None,
    )
    desk.ledger.ingest("mastodon", [Admission(mention, verdict=Verdict(notice="deleted"))])
    return mention.key


def deleted(count: int) -> Verdict:
    return Verdict(notice="deleted", deleted=count)


def stands(desk: Desk, post: str) -> bool:
    try:
        desk.ann.client.status(post)
    except MastodonNotFoundError:
        return False
    return True


def test_all_replies_to_somebody_are_deleted_and_that_is_confirmed_once(desk: Desk) -> None:
    replies = [answered(desk) for _ in range(3)]
    key = asked_to_delete(desk)

    record = desk.see_through(key)
    desk.responder.respond(key)

    assert record.state == "sent"
    assert desk.replies() == [words(desk.post, deleted(3))]
    assert not any(stands(desk, reply) for reply in replies)
    # The confirmation is all that is left.
    assert list(desk.ledger.people.replies("mastodon", "ann").values()) == [record.reply_id]


def test_a_reply_to_one_of_the_bots_means_that_one(desk: Desk) -> None:
    first, second = answered(desk), answered(desk)

    desk.see_through(asked_to_delete(desk, second))

    assert desk.replies() == [words(desk.post, deleted(1))]
    assert (stands(desk, first), stands(desk, second)) == (True, False)


def test_that_something_was_deleted_is_confirmed_a_few_times_an_hour_and_then_just_done(desk: Desk) -> None:
    # Each confirmation is a reply that the next wish deletes: without a limit that would go on for ever.
    states = [desk.see_through(asked_to_delete(desk)).state for _ in range(CONFIRMATIONS)]
    assert states == ["sent"] * CONFIRMATIONS
    [last] = desk.ledger.people.replies("mastodon", "ann").values()

    record = desk.see_through(asked_to_delete(desk))

    assert (record.state, record.reason) == ("skipped", "deleted, and told so often enough")
    assert desk.replies() == []
    assert not stands(desk, last)


def test_nobody_can_have_a_reply_to_somebody_else_deleted(desk: Desk, network: Network) -> None:
    bob = Person(network.url, f"bob{next(NUMBERS)}")
    mention = Mention(
        network="mastodon", id=bob.post("@deepselfie hi"), author=bob.name, created_at=datetime.now(UTC)
    )
    desk.ledger.ingest("mastodon", [Admission(mention, verdict=Verdict(notice="help"))])
    his = desk.see_through(mention.key).reply_id
    assert his
    hers = answered(desk)

    desk.see_through(asked_to_delete(desk, his))

    assert desk.replies() == [words(desk.post, deleted(0))]
    assert stands(desk, his)
    assert stands(desk, hers)


def test_a_reply_that_is_gone_already_does_not_stop_the_others_from_going(desk: Desk) -> None:
    replies = [answered(desk) for _ in range(2)]
    desk.network.delete(replies[0])

    desk.see_through(asked_to_delete(desk))

    assert not any(stands(desk, reply) for reply in replies)
    assert desk.replies() == [words(desk.post, deleted(2))]


@pytest.mark.parametrize("kind", ["dropped_answer", "error_after_success", "server_error", "rate_limited"])
def test_whatever_happens_to_a_deletion_all_are_deleted_in_the_end(
    desk: Desk, network: Network, kind: str
) -> None:
    replies = [answered(desk) for _ in range(2)]
    key = asked_to_delete(desk)
    network.switch_on(endpoint="DELETE /api/v1/statuses/:id", kind=kind, times=1)

    record = desk.see_through(key)

    assert record.state == "sent"
    assert not any(stands(desk, reply) for reply in replies)
    assert desk.replies() == [words(desk.post, deleted(2))]


def test_who_died_between_deleting_and_confirming_is_replaced(desk: Desk) -> None:
    replies = [answered(desk) for _ in range(2)]
    key = asked_to_delete(desk)
    numbers = count()

    def die(call: str) -> None:
        if call == "post" and next(numbers) == 0:
            raise RuntimeError("killed")

    desk.network.hook = die
    with pytest.raises(RuntimeError):
        desk.responder.respond(key)
    desk.wait(key, TOO_LONG)

    record = desk.see_through(key)

    assert record.state == "sent"
    assert not any(stands(desk, reply) for reply in replies)
    assert desk.replies() == [words(desk.post, deleted(0))]


def test_a_wish_to_delete_is_never_too_late(desk: Desk) -> None:
    reply = answered(desk)
    key = asked_to_delete(desk)
    let_pass(desk.redis, key, LATE)

    assert desk.see_through(key).state == "sent"

    assert not stands(desk, reply)
    assert desk.replies() == [words(desk.post, deleted(1))]


# ── tried again by the operator ──


def test_a_mention_that_may_have_been_answered_before_it_failed_is_looked_up_first(
    desk: Desk, network: Network
) -> None:
    key = desk.judged()
    network.switch_on(endpoint=POST, kind="idempotency_ignored")
    network.switch_on(endpoint=POST, kind="dropped_answer", times=1)
    numbers = count()

    def refuse(call: str) -> None:
        """The token was revoked between the post and the look."""
        if call == "look" and next(numbers) == 0:
            raise NetworkError("the server does not accept the token", permanent=True)

    desk.network.hook = refuse
    assert desk.see_through(key).state == "failed"
    assert desk.ledger.retry(key)
    lease: Any = desk.ledger.claim(key, ["new"], "judging")
    desk.ledger.pass_on(lease, "ready", {"verdict": VERDICT.model_dump_json()})

    record = desk.see_through(key)

    assert desk.network.calls == ["post", "look", "look"]
    assert record.state == "sent"
    assert desk.replies() == [words(desk.post, VERDICT)]


# ── when a mention is deleted ──


def deletions(desk: Desk) -> Deletions:
    """As the listener has them."""
    return Deletions(desk.network, desk.redis, desk.ledger)


def falls_due(desk: Desk, seconds: float) -> list[str]:
    """The mentions that somebody should look for once some time has passed."""
    waiting: Any = desk.redis.zrange(keys.answered("mastodon"), 0, -1)
    for key in waiting:
        desk.redis.zincrby(keys.answered("mastodon"), -seconds, key)
    found: Any = desk.redis.zrange(keys.answered("mastodon"), "-inf", time.time(), byscore=True)
    return [key.decode() for key in found]


def test_the_reply_is_deleted_when_the_mention_is(desk: Desk, ann: Person) -> None:
    reply = answered(desk)
    key = f"mastodon:{desk.post}"
    ann.client.status_delete(desk.post)
    assert falls_due(desk, 10) == []
    assert falls_due(desk, 21) == [key]

    deletions(desk).look()

    assert not stands(desk, reply)
    assert (desk.record(key).reply_id, desk.record(key).state) == (None, "sent")
    assert desk.record(key).deleted
    assert falls_due(desk, 100 * 3600) == []


def test_a_mention_that_stands_keeps_its_reply_and_is_looked_for_less_and_less_often(desk: Desk) -> None:
    reply = answered(desk)
    key = f"mastodon:{desk.post}"

    ages, age = [], 0.0
    while (due := desk.redis.zscore(keys.answered("mastodon"), key)) is not None:
        wait = float(due) - time.time() + 0.01
        let_pass(desk.redis, key, wait)
        age += wait
        ages.append(age)
        assert falls_due(desk, wait) == [key]
        deletions(desk).look()

    assert stands(desk, reply)
    assert ages == pytest.approx([30, 120, 480, 1920, 7680, 30720, 122880], rel=0.05)


def test_what_the_stream_tells_of_is_followed_at_once(desk: Desk, ann: Person) -> None:
    reply = answered(desk)
    ann.client.status_delete(desk.post)

    deletions(desk).follow(desk.post)
    deletions(desk).follow(desk.post)
    deletions(desk).follow("somebody else's")

    assert not stands(desk, reply)


def test_who_died_between_deleting_and_noting_it_is_replaced(desk: Desk, ann: Person) -> None:
    reply = answered(desk)
    ann.client.status_delete(desk.post)
    desk.network.delete(reply)
    falls_due(desk, 31)

    deletions(desk).look()

    assert desk.record(f"mastodon:{desk.post}").deleted


def test_a_network_that_is_away_has_not_deleted_anything(desk: Desk, network: Network) -> None:
    reply = answered(desk)
    falls_due(desk, 31)
    network.switch_on(endpoint="GET /api/v1/statuses/:id", kind="server_error")

    deletions(desk).look()
    network.switch_off()

    assert stands(desk, reply)
    assert falls_due(desk, 0) == [f"mastodon:{desk.post}"]


# ── what other networks say ──


def refusing(desk: Desk, times: int, error: NetworkError) -> None:
    left = times

    def refuse(call: str) -> None:
        nonlocal left
        if call == "post" and left:
            left -= 1
            raise error

    desk.network.hook = refuse


def test_a_text_that_was_posted_before_is_tried_again(desk: Desk) -> None:
    refusing(desk, 2, NetworkError("said before", trouble="duplicate", permanent=True))

    assert desk.see_through(desk.judged()).state == "sent"
    assert desk.replies() == [words(desk.post, VERDICT, attempt=2)]
    assert desk.replies() != [words(desk.post, VERDICT)]


def test_a_text_that_is_always_taken_for_another_is_given_up(desk: Desk) -> None:
    refusing(desk, 99, NetworkError("said before", trouble="duplicate"))

    record = desk.see_through(desk.judged())

    assert (record.state, record.reason) == ("failed", "said before")
    assert desk.network.calls == ["post"] * DUPLICATE_TRIES


def test_tries_that_failed_for_other_reasons_leave_as_many_other_words_to_try(desk: Desk) -> None:
    errors = [NetworkError("no answer")] * 2
    errors += [NetworkError("said before", trouble="duplicate")] * (DUPLICATE_TRIES - 2)

    def refuse(call: str) -> None:
        if call == "post" and errors:
            raise errors.pop(0)

    desk.network.hook = refuse
    key = desk.judged()
    desk.see_through(key)

    assert (desk.see_through(key).state, errors) == ("sent", [])


def test_without_credit_the_bot_waits_and_says_so(desk: Desk) -> None:
    refusing(desk, 1, NetworkError("buy some", trouble="out_of_credit", permanent=True))
    key = desk.judged()

    desk.responder.respond(key)

    assert alarms(desk.redis)["mastodon replies"].words == "they are not taken: buy some"
    assert not desk.wait(key, 60)
    desk.redis.hdel(f"deepselfie:mention:{key}", "deadline")
    assert desk.wait(key, 900)
    assert desk.record(key).state == "sent"
    assert not alarms(desk.redis)


def test_a_mention_of_which_nobody_knows_whether_it_is_answered_raises_an_alarm(
    desk: Desk, network: Network
) -> None:
    key = desk.judged()
    network.switch_on(endpoint=POST, kind="dropped_answer", times=1)
    network.switch_on(endpoint=LOOK, kind="server_error", times=3)

    desk.responder.respond(key)
    for _ in range(3):
        assert desk.wait(key, QUARANTINE_SECONDS + 1)

    assert key in alarms(desk.redis)["mastodon parked"].words
    assert desk.see_through(key).state == "sent"
    assert not alarms(desk.redis)
