"""The Bluesky adapter on a real network: PDS, AppView and directory as Bluesky publishes them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from atproto_client.client.session import Session
from redis import Redis

from bot.messages import Mention, Picture, Reply
from bot.networks import connect
from bot.networks.accounts import BlueskyAccount
from bot.networks.base import Network, NetworkError, Page
from bot.networks.bluesky_seal import Seal
from tests import bluesky_network
from tests.bluesky_network import URL, Person, card, labels, link, until
from tests.middleman import Middleman, between
from tests.photos import portrait_jpeg

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("bluesky")]

Told = tuple[str, bool, bool]

REPLY = Reply(text="83/100.", visibility="public")


@pytest.fixture(scope="module")
def ann() -> Person:
    return Person("ann")


@pytest.fixture(scope="module")
def ben() -> Person:
    return Person("ben")


@pytest.fixture
def bot() -> Person:
    """A bot's account that nobody has mentioned yet."""
    return Person("bot")


@pytest.fixture
def network(bot: Person, redis: Redis) -> Network:
    return connect(bot.account(), redis)


@pytest.fixture
def middleman() -> Iterator[Middleman]:
    with between(URL) as middleman:
        yield middleman


@pytest.fixture
def through(bot: Person, redis: Redis, middleman: Middleman) -> Network:
    """The bot's network, through the middleman."""
    return connect(bot.account(middleman.url), redis)


@pytest.fixture
def asked(through: Network, ann: Person, bot: Person) -> Mention:
    """A mention that was heard through the middleman."""
    ann.post("look", bot)
    return only(through)


def heard(network: Network, number: int = 1, cursor: str | None = None) -> tuple[Mention, ...]:
    """The mentions after a cursor, oldest first, once there are so many."""
    until(lambda: len(read(network, cursor)[0]), number)
    mentions, _ = read(network, cursor)
    assert len(mentions) == number
    return mentions


def read(network: Network, cursor: str | None) -> tuple[tuple[Mention, ...], str | None]:
    """All mentions after a cursor as one look finds them, and from where the next one starts."""
    position, pages = cursor, list[Page]()
    while position or not pages:
        pages.append(network.mentions_after(position))
        position = pages[-1].next
    mentions = [mention for page in reversed(pages) for mention in page.mentions]
    return tuple({mention.id: mention for mention in mentions}.values()), pages[-1].cursor


def only(network: Network) -> Mention:
    (mention,) = heard(network)
    return mention


# ── hearing ──


def test_a_mention_with_a_photo_is_heard_and_its_original_bytes_can_be_had(
    network: Network, ann: Person, bot: Person
) -> None:
    photo = portrait_jpeg()
    post = ann.post("look", bot, embed=ann.images(photo), langs=["de"])

    mention = only(network)

    assert (mention.key, mention.author) == (f"bluesky:{post}", ann.handle)
    assert (mention.language, mention.visibility, mention.sensitive) == ("de", "public", False)
    (found,) = mention.photos
    assert (found.medium, found.is_own) == ("image", True)
    assert found.url
    assert httpx.get(found.url, trust_env=False).content == photo


def test_a_linked_photo_is_heard_from_its_card_and_from_the_text(
    network: Network, ann: Person, bot: Person
) -> None:
    ann.post("look", bot, embed=card("http://photos.example/a.jpg"))
    until(bot.notified, 1)
    ann.post("x", bot, facets=[link("http://photos.example/b.jpg", len(bot.handle) + 2, len(bot.handle) + 3)])

    first, second = heard(network, 2)

    assert [(photo.medium, photo.url) for photo in first.photos] == [("link", "http://photos.example/a.jpg")]
    assert [(photo.medium, photo.url) for photo in second.photos] == [("link", "http://photos.example/b.jpg")]


def test_a_mention_without_photos_asks_about_the_post_that_it_quotes_or_else_replies_to(
    network: Network, ann: Person, ben: Person, bot: Person
) -> None:
    mine = ann.post("my cat", embed=ann.images(portrait_jpeg()), labels=labels("nudity"))
    bens = ben.post("my dog", embed=ben.images(portrait_jpeg(300, 200)))
    quote = {"$type": "app.bsky.embed.record", "record": ann.reference(mine)}
    ann.post("both", bot, embed=quote, reply=ann.replying(bens))
    until(bot.notified, 1)
    ann.post("this", bot, reply=ann.replying(bens))

    quoting, replying = heard(network, 2)

    assert [(photo.is_own, ann.did in str(photo.url)) for photo in quoting.photos] == [(True, True)]
    assert quoting.sensitive
    assert [(photo.is_own, ben.did in str(photo.url)) for photo in replying.photos] == [(False, True)]
    assert (replying.in_reply_to, replying.thread, replying.sensitive) == (bens, bens, False)


def test_a_mention_that_quotes_what_is_not_to_be_found_is_heard_all_the_same(
    network: Network, ann: Person, bot: Person
) -> None:
    there = ann.reference(ann.post("a post"))
    for uri in (
        f"at://{ann.handle}/app.bsky.feed.post/3aaaaaaaaaaaa",
        f"{there['uri'][:-3]}222",
        f"at://{ann.did}",
    ):
        quote = {"$type": "app.bsky.embed.record", "record": there | {"uri": uri}}
        ann.post("look", bot, embed=quote)

    assert [mention.photos for mention in heard(network, 3)] == [(), (), ()]


def test_whom_the_bot_leaves_alone_says_so_in_the_profile(network: Network, bot: Person) -> None:
    Person("robot", labels=labels("bot")).post("look", bot)
    until(bot.notified, 1)
    Person("shy", description="I take photos. #nobot").post("look", bot)

    robot, shy = heard(network, 2)

    assert (robot.author_is_bot, robot.author_opts_out) == (True, False)
    assert (shy.author_is_bot, shy.author_opts_out) == (False, True)


def test_what_is_said_below_a_reply_is_for_the_bot_only_if_it_is_a_command_or_calls_it(
    network: Network, ann: Person, bot: Person
) -> None:
    post = ann.post("look", bot)
    reply = network.reply(only(network), REPLY).id
    until(lambda: len(ann.replies(post)), 1)
    for text in ("nice", "delete"):
        ann.post(text, reply=ann.replying(reply, post))
    ann.post("again", bot, reply=ann.replying(reply, post))

    assert until(bot.notified, 4) == 4
    _, command, again = heard(network, 3)
    assert (command.command, command.answers_bot, command.in_reply_to) == ("delete", True, reply)
    assert (again.command, again.answers_bot, again.thread) == (None, True, post)


def test_every_mention_is_found_after_a_pause_though_many_were_written_in_one_moment(
    network: Network, ann: Person, bot: Person
) -> None:
    ann.post("before", bot)
    heard(network)
    cursor = network.mentions_after(None).cursor
    moment = bluesky_network.now()
    with ThreadPoolExecutor(8) as pool:
        # The first page ends in the middle of a millisecond.
        posts = set(pool.map(lambda n: ann.post(f"{n}", bot, createdAt=moment), range(60)))
        posts |= set(pool.map(lambda n: ann.post(f"{n}", bot), range(70)))

    mentions = heard(network, 131, cursor)

    assert {mention.id for mention in mentions} > posts


def test_a_mention_that_says_it_is_some_minutes_old_is_still_found(
    network: Network, ann: Person, bot: Person
) -> None:
    ann.post("first", bot)
    heard(network)
    _, cursor = read(network, network.mentions_after(None).cursor)
    late = (only(network).created_at.timestamp()) - 300
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(late))

    post = ann.post("by a clock that is slow", bot, createdAt=stamp)

    assert post in {mention.id for mention in heard(network, 2, cursor)}


def test_a_watcher_hears_within_seconds_what_happens_and_nothing_from_before(
    network: Network, ann: Person, bot: Person
) -> None:
    ann.post("before", bot)
    heard(network)
    delivered: list[Mention] = []
    hang_ups: list[Callable[[], None]] = []
    watcher = threading.Thread(target=network.watch, args=(delivered.append, hang_ups.append), daemon=True)
    watcher.start()
    until(lambda: bool(hang_ups), True)

    post = ann.post("look", bot)

    assert until(lambda: [mention.id for mention in delivered], [post]) == [post]
    assert len(hang_ups) > 1
    hang_ups[-1]()
    watcher.join(10)
    assert not watcher.is_alive()


# ── replying ──


def test_a_reply_is_posted_once_found_and_deleted(network: Network, ann: Person, bot: Person) -> None:
    post = ann.post("look", bot)
    mention = only(network)
    assert network.find_reply(mention) is None

    posted = network.reply(mention, REPLY)

    assert network.find_reply(mention) == posted
    assert network.reply(mention, REPLY) == posted
    assert until(lambda: [reply["uri"] for reply in ann.replies(post)], [posted.id]) == [posted.id]
    assert ann.replies(post)[0]["record"]["text"] == "83/100."
    assert bot.answers() == {post: 1}
    network.delete(posted.id)
    network.delete(posted.id)
    assert network.find_reply(mention) is None
    assert until(lambda: ann.replies(post), []) == []


def test_a_reply_in_a_thread_stands_under_its_mention(network: Network, ann: Person, bot: Person) -> None:
    root = ann.post("a thread")
    post = ann.post("look", bot, reply=ann.replying(root))

    posted = network.reply(only(network), REPLY)

    assert until(lambda: [reply["uri"] for reply in ann.replies(post)], [posted.id]) == [posted.id]
    above = ann.replies(post)[0]["record"]["reply"]
    assert (above["root"], above["parent"]) == (ann.reference(root), ann.reference(post))


def test_a_reply_is_new_to_who_has_looked_at_their_notifications_meanwhile(
    network: Network, ann: Person, bot: Person
) -> None:
    ann.post("look", bot)
    mention = only(network)
    ann.tell("app.bsky.notification.updateSeen", {"seenAt": bluesky_network.now()})

    network.reply(mention, REPLY)

    assert until(lambda: ann.ask("app.bsky.notification.getUnreadCount")["count"], 1) == 1


def test_a_deleted_mention_gets_no_reply(network: Network, ann: Person, bot: Person) -> None:
    post = ann.post("look", bot)
    mention = only(network)
    ann.delete(post)
    until(lambda: ann.ask("app.bsky.feed.getPosts", uris=[post])["posts"], [])

    with pytest.raises(NetworkError, match="deleted") as error:
        network.reply(mention, REPLY)

    assert (error.value.trouble, error.value.permanent) == ("gone", True)
    assert bot.answers() == {}


def test_an_author_who_takes_no_replies_gets_none(network: Network, ann: Person, bot: Person) -> None:
    post = ann.post("look", bot)
    mention = only(network)
    gate = {
        "$type": "app.bsky.feed.threadgate",
        "post": post,
        "allow": [],
        "createdAt": bluesky_network.now(),
    }
    ann.put("app.bsky.feed.threadgate", post.rpartition("/")[2], gate)
    until(
        lambda: ann.ask("app.bsky.feed.getPosts", uris=[post])["posts"][0].get("threadgate") is not None, True
    )

    with pytest.raises(NetworkError, match="no replies") as error:
        network.reply(mention, REPLY)

    assert (error.value.trouble, error.value.permanent) == ("refused", True)


def test_a_reply_has_its_pictures_and_their_descriptions(network: Network, ann: Person, bot: Person) -> None:
    post = ann.post("look", bot)
    picture = Picture(content=portrait_jpeg(), kind="image/jpeg", description="where the score came from")

    network.reply(only(network), REPLY.model_copy(update={"pictures": (picture,)}))

    assert until(lambda: len(ann.replies(post)), 1) == 1
    (image,) = ann.replies(post)[0]["embed"]["images"]
    assert image["alt"] == "where the score came from"


def test_a_reply_that_is_as_long_as_may_be_is_taken(network: Network, ann: Person, bot: Person) -> None:
    ann.post("look", bot)
    mention = only(network)
    text = "👍🏽" * network.room(mention)
    assert network.length(text) == network.room(mention)

    assert network.reply(mention, REPLY.model_copy(update={"text": text}))
    with pytest.raises(NetworkError) as error:
        network.reply(mention, REPLY.model_copy(update={"text": text + "👍🏽"}))
    assert (error.value.trouble, error.value.permanent, error.value.unknown) == ("refused", True, False)


# ── what goes wrong ──


def test_a_reply_whose_answer_is_lost_stands_there_once_whoever_sends_it_again(
    through: Network, network: Network, asked: Mention, bot: Person, middleman: Middleman
) -> None:
    middleman.lost.append("com.atproto.repo.putRecord")

    with pytest.raises(NetworkError) as error:
        through.reply(asked, REPLY)

    assert (error.value.unknown, error.value.permanent) == (True, False)
    found = network.find_reply(asked)
    assert found
    assert network.reply(asked, REPLY) == through.reply(asked, REPLY) == found
    assert bot.answers() == {asked.id: 1}


def test_a_lost_answer_to_a_question_leaves_nothing_unknown(
    through: Network, asked: Mention, middleman: Middleman
) -> None:
    middleman.lost.append("app.bsky.feed.getPosts")

    with pytest.raises(NetworkError) as error:
        through.reply(asked, REPLY)

    assert (error.value.trouble, error.value.unknown, error.value.permanent) == ("unreachable", False, False)


def error_named(name: str, status: int = 400) -> httpx.Response:
    """The server's own answer."""
    return httpx.Response(status, json={"error": name, "message": "no"})


def page(status: int) -> httpx.Response:
    """The answer of something before the server."""
    return httpx.Response(status, html="<p>Down for maintenance</p>")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (error_named("UpstreamFailure", 502), ("unreachable", False, True)),
        (error_named("InvalidRequest"), ("refused", True, False)),
        (error_named("AccountTakedown"), ("unauthorized", True, False)),
        (page(403), ("unreachable", False, True)),
        (page(200), ("unreachable", False, True)),
    ],
)
def test_what_the_server_says_decides_whether_to_try_again(
    through: Network, asked: Mention, middleman: Middleman, answer: httpx.Response, told: Told
) -> None:
    middleman.own.append(("com.atproto.repo.putRecord", answer))

    with pytest.raises(NetworkError) as error:
        through.reply(asked, REPLY)

    assert (error.value.trouble, error.value.permanent, error.value.unknown) == told


def test_a_limit_says_when_it_is_over(through: Network, middleman: Middleman) -> None:
    headers = {"ratelimit-reset": str(int(time.time()) + 90)}
    answer = httpx.Response(429, headers=headers, json={"error": "RateLimitExceeded", "message": "slow down"})
    middleman.own.append(("app.bsky.notification.listNotifications", answer))

    with pytest.raises(NetworkError) as error:
        through.mentions_after(None)

    assert error.value.trouble == "rate_limited"
    assert error.value.retry_after == pytest.approx(90, abs=2)


def test_a_wrong_password_is_refused_with_what_to_do(bot: Person, redis: Redis) -> None:
    account = bot.account().model_copy(update={"password": Person("other").account().password})

    with pytest.raises(NetworkError, match="set BLUESKY_HANDLE and BLUESKY_PASSWORD") as error:
        connect(account, redis)

    assert (error.value.trouble, error.value.permanent) == ("unauthorized", True)


def test_a_server_that_is_not_there_is_named_and_tried_again(bot: Person, redis: Redis) -> None:
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1:9/, which BLUESKY_URL names") as error:
        connect(bot.account("http://127.0.0.1:9"), redis)

    assert (error.value.trouble, error.value.permanent) == ("unreachable", False)


# ── the session ──

ACCESS, REFRESH = 2, 3


def test_two_processes_log_in_once(bot: Person, redis: Redis, middleman: Middleman) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: connect(bot.account(middleman.url), redis), range(4)))

    assert middleman.calls.count("com.atproto.server.createSession") == 1


def test_a_session_that_has_run_out_is_renewed_by_one_of_two_processes(
    bot: Person, redis: Redis, middleman: Middleman
) -> None:
    connect(bot.account(middleman.url), redis)
    spoil(bot.account(middleman.url), redis, ACCESS)

    with ThreadPoolExecutor(2) as pool:
        pair = list(pool.map(lambda _: connect(bot.account(middleman.url), redis), range(2)))

    assert [network.mentions_after(None).mentions for network in pair] == [(), ()]
    assert middleman.calls.count("com.atproto.server.refreshSession") == 1
    assert middleman.calls.count("com.atproto.server.createSession") == 1


def test_a_process_that_comes_back_after_long_finds_a_session_that_has_run_out_too(
    bot: Person, through: Network, redis: Redis, middleman: Middleman
) -> None:
    spoil(bot.account(middleman.url), redis, ACCESS)
    middleman.own.append(("app.bsky.notification.listNotifications", error_named("ExpiredToken")))

    assert through.mentions_after(None).mentions == ()
    assert middleman.calls.count("com.atproto.server.refreshSession") == 1


def test_a_session_that_cannot_be_renewed_is_replaced_by_a_new_one(
    bot: Person, redis: Redis, middleman: Middleman
) -> None:
    connect(bot.account(middleman.url), redis)
    spoil(bot.account(middleman.url), redis, ACCESS, REFRESH)

    assert connect(bot.account(middleman.url), redis).mentions_after(None).mentions == ()
    assert middleman.calls.count("com.atproto.server.createSession") == 2


def test_a_session_that_makes_no_sense_is_replaced_too(bot: Person, redis: Redis) -> None:
    connect(bot.account(), redis)
    (key,) = redis.scan_iter("deepselfie:session:*")
    redis.set(key, b"nonsense")

    assert connect(bot.account(), redis).mentions_after(None).mentions == ()


def spoil(account: BlueskyAccount, redis: Redis, *places: int) -> None:
    """Make tokens of the session in Redis ones that the server does not accept, as it does not old ones."""
    (key,) = redis.scan_iter("deepselfie:session:*")
    kept: Any = redis.get(key)
    session = Seal(account).open(kept)
    assert session
    parts = session.encode().split(":::")
    for place in places:
        parts[place] = f"{parts[place][:-8]}AAAAAAAA"
    redis.set(key, Seal(account).close(Session.decode(":::".join(parts))))


# ── the account ──


def test_the_account_says_that_it_is_automated_and_keeps_what_else_its_profile_says(redis: Redis) -> None:
    bot = Person("bot", description="I judge photos", labels=labels("!no-unauthenticated"))

    for _ in range(2):
        connect(bot.account(), redis)

    profile = bot.record("app.bsky.actor.profile", "self")
    assert profile["description"] == "I judge photos"
    assert profile["labels"] == labels("!no-unauthenticated", "bot")


def test_an_account_without_a_profile_gets_one_that_says_so(redis: Redis) -> None:
    bot = Person("bot")
    body = {"repo": bot.did, "collection": "app.bsky.actor.profile", "rkey": "self"}
    bot.tell("com.atproto.repo.deleteRecord", body)

    connect(bot.account(), redis)

    assert bot.record("app.bsky.actor.profile", "self")["labels"] == labels("bot")
