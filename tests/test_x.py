"""The bot's account on X, against a fake X that checks signatures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from bot.budget import spent
from bot.messages import Mention, Picture, Reply
from bot.networks.base import NetworkError, Trouble
from bot.networks.x import X
from bot.networks.x_stream import TAG, keep_rules, opened
from tests.waiting import eventually
from tests.x import POST, SECONDS, STREAM, FakeX, Person, fake_x

pytestmark = pytest.mark.e2e

RULES = "/2/tweets/search/stream/rules"
CHANGE_RULES = f"POST {RULES}"
WANTED = "@deepselfie -is:retweet -from:deepselfie"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[FakeX]:
    with fake_x(tmp_path_factory.mktemp("x"), redis_url) as running:
        yield running


@pytest.fixture
def network(place: FakeX, redis: Redis) -> Iterator[FakeX]:
    redis.ping()
    yield place
    place.switch_off()
    # Only one connection may have the stream, and X takes a moment to see that one is gone.
    assert eventually(lambda: not place.is_streaming(), SECONDS)


@pytest.fixture(scope="module")
def ann(place: FakeX) -> Person:
    return place.join("ann")


@pytest.fixture
def bot(network: FakeX) -> X:
    return network.bot()


def heard(bot: X, post: str) -> Mention:
    """The mention that a post is, as the poller finds it."""
    page = bot.mentions_after(str(int(post) - 1))
    return next(mention for mention in page.mentions if mention.id == post)


def say(text: str, *pictures: Picture) -> Reply:
    return Reply(text=text, visibility="public", pictures=pictures)


def failure(call: Callable[[], object]) -> NetworkError:
    with pytest.raises(NetworkError) as caught:
        call()
    return caught.value


# ── mentions ──


def test_mentions_are_found_from_the_cursor_on_oldest_first(bot: X, ann: Person) -> None:
    begin = bot.mentions_after(None).cursor
    posts = [ann.post(f"@DeepSelfie {number}") for number in range(105)]

    page = bot.mentions_after(begin)

    assert [mention.id for mention in page.mentions if mention.id in posts] == posts
    assert page.next is None
    # None has settled yet: the next look begins where this one did.
    assert page.cursor is None


def test_every_look_reads_the_last_half_minute_once_more(bot: X, ann: Person) -> None:
    post = ann.post("@deepselfie look")

    assert post in [mention.id for mention in bot.mentions_after(post).mentions]


def test_the_photos_of_quoted_and_parent_posts_come_along(bot: X, network: FakeX, ann: Person) -> None:
    ben = network.join("ben")
    above = ben.post("my photo", media={"media_ids": [ben.photo()]})

    quoting = heard(bot, ann.post("@deepselfie this one?", quote_tweet_id=above))
    replying = heard(bot, ben.reply("@deepselfie look", above))

    assert [photo.is_own for photo in quoting.photos] == [False]
    assert [photo.is_own for photo in replying.photos] == [True]
    assert replying.thread == above
    assert replying.photos[0].url == quoting.photos[0].url


def test_an_edit_and_a_retweet_are_nothing_new(bot: X, ann: Person) -> None:
    post = ann.post("@deepselfie look")
    ann.post("@deepselfie loook", edits=post)
    ann.post("RT @deepselfie look", retweets=post)

    page = bot.mentions_after(str(int(post) - 1))

    assert {mention.id for mention in page.mentions if mention.id >= post} == {post}


# ── replies ──


def test_a_reply_stands_under_its_mention_and_is_found_there(bot: X, ann: Person) -> None:
    mention = heard(bot, ann.post("@deepselfie look"))
    assert bot.find_reply(mention) is None

    posted = bot.reply(mention, say("83/100. See example.com."))

    assert bot.find_reply(mention) == posted
    assert posted.url == f"https://x.com/deepselfie/status/{posted.id}"


def test_no_link_goes_out(bot: X, ann: Person, network: FakeX) -> None:
    posted = bot.reply(heard(bot, ann.post("@deepselfie look")), say("See http://example.com/a or b.de!"))

    answer = bot._client.get_users_tweets(
        bot._me.id, since_id=int(posted.id) - 1, max_results=5, user_auth=True
    )
    assert network.url
    assert answer["data"][0]["text"] == "See http://example.\u2060com/a or b.\u2060de!"


def test_a_picture_arrives_byte_for_byte_with_its_description(bot: X, ann: Person, network: FakeX) -> None:
    # More than one segment, and full of what ends lines and forms.
    content = bytes(range(256)) * 9999 + b"\r\n--\r\n"
    picture = Picture(content=content, kind="image/png", description="Ann, smiling")

    posted = bot.reply(heard(bot, ann.post("@deepselfie look")), say("83/100.", picture))

    assert network.picture(posted.id) == (content, "image/png", "Ann, smiling")


def test_a_deleted_reply_may_be_deleted_again(bot: X, ann: Person) -> None:
    mention = heard(bot, ann.post("@deepselfie look"))
    posted = bot.reply(mention, say("83/100."))

    bot.delete(posted.id)
    bot.delete(posted.id)

    assert bot.find_reply(mention) is None


# ── troubles ──


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("unauthorized", ("unauthorized", True, False)),
        ("out_of_credit", ("out_of_credit", False, False)),
        ("forbidden", ("refused", True, False)),
        ("rate_limited", ("rate_limited", False, False)),
        ("server_error", ("unreachable", False, True)),
        ("error_after_success", ("unreachable", False, True)),
        ("dropped_answer", ("unreachable", False, True)),
    ],
)
def test_each_trouble_with_a_reply_has_a_name(
    bot: X, ann: Person, network: FakeX, kind: str, outcome: tuple[Trouble, bool, bool]
) -> None:
    mention = heard(bot, ann.post("@deepselfie look"))
    network.switch_on(endpoint=POST, kind=kind)

    error = failure(lambda: bot.reply(mention, say("83/100.")))

    assert (error.trouble, error.permanent, error.unknown) == outcome
    assert str(error).startswith("POST /2/tweets: ")


def test_a_text_that_was_posted_before_is_a_duplicate_that_other_words_get_past(
    bot: X, ann: Person, network: FakeX
) -> None:
    first, second = (heard(bot, ann.post(f"@deepselfie look {number}")) for number in range(2))
    network.switch_on(endpoint=POST, kind="duplicate")
    bot.reply(first, say("the very same words"))

    error = failure(lambda: bot.reply(second, say("the very same words")))

    assert (error.trouble, error.permanent, error.unknown) == ("duplicate", False, True)
    bot.reply(second, say("other words"))


def test_a_mention_that_was_deleted_is_gone(bot: X, ann: Person) -> None:
    mention = heard(bot, ann.post("@deepselfie look"))
    ann.delete(mention.id)

    error = failure(lambda: bot.reply(mention, say("83/100.")))

    assert (error.trouble, error.permanent) == ("gone", True)


def test_a_protected_mention_is_not_answered_for_all_to_see(bot: X, network: FakeX) -> None:
    shy = network.join("shy", protected=True)
    mention = heard(bot, shy.post("@deepselfie look"))

    error = failure(lambda: bot.reply(mention, say("83/100.")))

    assert (error.trouble, error.permanent) == ("gone", True)


def test_a_rate_limit_says_when_it_is_over(bot: X, network: FakeX) -> None:
    network.switch_on(endpoint="GET /2/users/:id/mentions", kind="rate_limited", seconds=90)

    assert 80 <= (failure(lambda: bot.mentions_after("1")).retry_after or 0) <= 90


def test_a_missing_credit_is_asked_for_again_in_an_hour(bot: X, network: FakeX) -> None:
    network.switch_on(endpoint="GET /2/users/:id/mentions", kind="out_of_credit")

    error = failure(lambda: bot.mentions_after("1"))

    assert error.retry_after == 3600
    assert "buy credit" in str(error)


def test_nobody_there_is_no_unknown_outcome(bot: X, ann: Person, network: FakeX) -> None:
    mention = heard(bot, ann.post("@deepselfie look"))
    network.processes.kill("x")
    bot._client.session.close()

    error = failure(lambda: bot.reply(mention, say("83/100.")))
    network.start(int(network.url.rpartition(":")[2]))

    assert (error.trouble, error.unknown) == ("unreachable", False)
    assert heard(bot, mention.id) == mention


def test_wrong_tokens_are_told_of_by_name(network: FakeX) -> None:
    error = failure(lambda: network.bot(X_ACCESS_TOKEN_SECRET="wrong"))

    assert (error.trouble, error.permanent) == ("unauthorized", True)
    assert "X_ACCESS_TOKEN_SECRET" in str(error)


# ── what is gone ──


def test_a_post_of_somebody_who_is_protected_is_missing_like_one_that_is_deleted(
    bot: X, ann: Person, network: FakeX
) -> None:
    zoe = network.join("zoe", protected=True)
    stands, deleted, hidden = ann.post("a"), ann.post("b"), zoe.post("c")
    ann.delete(deleted)

    assert bot.missing([stands, deleted, hidden]) == {deleted, hidden}


# ── the budget ──


def test_looking_for_what_is_missing_costs_what_is_there(bot: X, ann: Person, redis: Redis) -> None:
    posts = [ann.post("a"), ann.post("b")]
    before = spent(redis)["x"].today

    bot.missing(posts)

    assert spent(redis)["x"].today == pytest.approx(before + 2 * 0.005)


def test_what_is_read_and_written_counts_against_the_budget(
    network: FakeX, redis: Redis, ann: Person
) -> None:
    bot = network.bot(X_PRICE_USER="0.5", X_PRICE_POST="0", X_PRICE_REPLY="0.1")
    bot.reply(heard(bot, ann.post("@deepselfie look")), say("83/100."))

    # The bot's own profile and ann's.
    assert spent(redis)["x"].today >= 1.1


def test_over_the_budget_no_request_goes_out(network: FakeX, ann: Person) -> None:
    bot = network.bot(X_PRICE_USER="0", X_PRICE_POST="0", X_PRICE_REPLY="0.6", X_DAILY_BUDGET="1")
    first, second = (heard(bot, ann.post(f"@deepselfie look {number}")) for number in range(2))
    bot.reply(first, say("83/100."))

    error = failure(lambda: bot.reply(second, say("83/100.")))

    assert (error.trouble, error.permanent, error.unknown) == ("out_of_credit", False, False)
    assert bot.find_reply(second) is None


# ── the stream ──


def rules(bot: X) -> dict[str, str]:
    answer = bot._client.request("GET", RULES).json()
    return {rule["value"]: rule.get("tag", "") for rule in answer.get("data", [])}


def test_the_rule_is_made_once_and_those_of_others_stay(bot: X) -> None:
    add = [{"value": "cats", "tag": "not ours"}, {"value": "@oldname -is:retweet", "tag": TAG}]
    bot._client.request("POST", RULES, json={"add": add})

    keep_rules(bot._client, "deepselfie")
    keep_rules(bot._client, "deepselfie")

    assert rules(bot) == {"cats": "not ours", WANTED: TAG}


def test_a_rule_whose_creation_nobody_answered_for_is_there_the_next_time(bot: X, network: FakeX) -> None:
    keep_rules(bot._client, "othername")
    network.switch_on(endpoint=CHANGE_RULES, kind="dropped_answer", times=2)

    for _ in range(2):
        failure(lambda: keep_rules(bot._client, "deepselfie"))
    keep_rules(bot._client, "deepselfie")

    assert WANTED in rules(bot)


class Watch:
    """A stream that is watched until it ends."""

    def __init__(self, bot: X) -> None:
        self.heard: list[Mention] = []
        self.alive = 0
        self.end: BaseException | None = None
        self._thread = threading.Thread(target=self._watch, args=(bot,), daemon=True)
        self._thread.start()
        assert eventually(lambda: self.alive > 0, SECONDS)

    def over(self) -> NetworkError:
        self._thread.join(SECONDS)
        assert isinstance(self.end, NetworkError)
        return self.end

    def _watch(self, bot: X) -> None:
        try:
            bot.watch(self.heard.append, self._live)
        except NetworkError as error:
            self.end = error

    def _live(self, _hang_up: Callable[[], None]) -> None:
        self.alive += 1


@pytest.mark.parametrize("fault", ["stream_closes", "stream_cut"])
@pytest.mark.parametrize("while_watching", ["stream_repeats", "stream_untagged", "stream_garbage", None])
def test_whatever_comes_down_the_stream_each_event_is_heard(
    bot: X, ann: Person, network: FakeX, fault: str, while_watching: str | None
) -> None:
    if while_watching:
        network.switch_on(endpoint=STREAM, kind=while_watching)
    watch = Watch(bot)
    posts = [ann.post(f"@deepselfie stream {number}") for number in range(3)]
    assert eventually(lambda: {mention.id for mention in watch.heard} == set(posts), SECONDS)

    network.switch_on(endpoint=STREAM, kind=fault)
    last = ann.post("@deepselfie the last one")

    end = watch.over()
    assert (end.trouble, end.permanent) == ("unreachable", False)
    assert end.retry_after
    # Of a line that was cut nothing is heard.
    assert (last in [mention.id for mention in watch.heard]) is (fault == "stream_closes")


def test_signs_of_life_are_passed_on(bot: X, ann: Person, network: FakeX) -> None:
    watch = Watch(bot)

    assert eventually(lambda: watch.alive > 3, SECONDS)

    network.switch_on(endpoint=STREAM, kind="stream_closes")
    ann.post("@deepselfie end")
    watch.over()


def test_silence_ends_the_stream(bot: X, network: FakeX) -> None:
    network.switch_on(endpoint=STREAM, kind="stream_silent", seconds=1)

    with opened(bot._client, silence=0.5) as (lines, _), pytest.raises(NetworkError, match=r"[Tt]imed out"):
        list(lines)


def test_a_second_connection_has_to_wait_a_minute(bot: X, ann: Person, network: FakeX) -> None:
    watch = Watch(bot)

    error = failure(lambda: network.bot().watch(lambda _: None, lambda _: None))

    assert error.trouble == "rate_limited"
    assert 60 <= (error.retry_after or 0) <= 75
    network.switch_on(endpoint=STREAM, kind="stream_closes")
    ann.post("@deepselfie end")
    watch.over()


@pytest.mark.parametrize(
    ("kind", "permanent"), [("unauthorized", True), ("forbidden", True), ("out_of_credit", False)]
)
def test_a_stream_that_is_refused_says_whether_that_is_for_good(
    bot: X, network: FakeX, kind: str, permanent: bool
) -> None:
    network.switch_on(endpoint=STREAM, kind=kind)

    assert failure(lambda: bot.watch(lambda _: None, lambda _: None)).permanent is permanent


def test_streaming_may_be_off(network: FakeX) -> None:
    before = network.connects()

    error = failure(lambda: network.bot(X_STREAM="off").watch(lambda _: None, lambda _: None))

    assert error.permanent
    assert "X_STREAM" in str(error)
    assert network.connects() == before


# ── the fake itself ──


def test_the_fake_forgets_nothing_when_it_is_killed(tmp_path: Path, redis_url: str) -> None:
    with fake_x(tmp_path, redis_url) as network:
        ann = network.join("ann")
        post = ann.post("@deepselfie look")
        network.restart()

        assert heard(network.bot(), post).author == "ann"
        assert ann.posts() == ["@deepselfie look"]
