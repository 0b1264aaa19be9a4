"""What every network's adapter promises, on every network there is to try it on (tests/contract*.py)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bot.messages import Mention, Picture, Reply
from bot.networks.base import Gone, Happening, Network, NetworkError
from bot.sandbox.dialects import DIALECTS
from tests.contract import Stage, Trouble, photo
from tests.contract_bluesky import bluesky_stage
from tests.contract_sandbox import sandbox_stage
from tests.contract_x import x_stage
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

SECONDS = 10
PICTURE = Picture(content=photo(), kind="image/png", description="a teal square")


Opening = Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Stage]]


def sandbox_as(dialect: str) -> Opening:
    return lambda _, directory: sandbox_stage(directory, dialect)


def fake_x(request: pytest.FixtureRequest, directory: Path) -> AbstractContextManager[Stage]:
    return x_stage(directory, request.getfixturevalue("redis_url"))


def bluesky(request: pytest.FixtureRequest, _: Path) -> AbstractContextManager[Stage]:
    request.getfixturevalue("bluesky")
    return bluesky_stage(request.getfixturevalue("redis_url"))


STAGES: dict[str, Opening] = {
    **{f"sandbox as {dialect}": sandbox_as(dialect) for dialect in DIALECTS},
    "X": fake_x,
    "Bluesky": bluesky,
}


@pytest.fixture(scope="module", params=list(STAGES))
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with STAGES[request.param](request, tmp_path_factory.mktemp("stage")) as running:
        yield running


@pytest.fixture
def bot(stage: Stage) -> Network:
    return stage.bot()


class Reader:
    """Reads a network as the listener does, but forgets nothing."""

    def __init__(self, bot: Network, before: Reader | None = None) -> None:
        self.bot = bot
        self.cursor: str | None = before.cursor if before else None
        self.known: set[str] = before.known if before else set()
        if not before:
            self.look()

    def look(self) -> list[Mention]:
        """Read on to the end; the mentions that were not known, in the order they came."""
        position, fresh = self.cursor, []
        while True:
            page = self.bot.mentions_after(position)
            fresh += [mention for mention in page.mentions if mention.id not in self.known]
            self.known |= {mention.id for mention in page.mentions}
            self.cursor = page.cursor or self.cursor
            if page.next is None:
                return fresh
            position = page.next

    def read(self, posts: Sequence[str]) -> list[Mention]:
        """Look until these have been seen."""
        found: list[Mention] = []
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and not set(posts) <= self.known:
            found += self.look()
        return found


@pytest.fixture
def reader(bot: Network) -> Reader:
    return Reader(bot)


def heard(reader: Reader, post: str) -> Mention:
    [mention] = [mention for mention in reader.read([post]) if mention.id == post]
    return mention


def answer(mention: Mention, text: str = "83/100.", **more: object) -> Reply:
    return Reply.model_validate(
        {"text": text, "visibility": mention.visibility, "warning": mention.warning} | more
    )


def needs(stage: Stage, *features: str) -> None:
    if missing := set(features) - stage.features:
        pytest.skip(f"{stage.name} has no {', '.join(missing)}")


def raised_in(stage: Stage, trouble: Trouble, call: object) -> NetworkError:
    if trouble not in stage.troubles:
        pytest.skip(f"{trouble} cannot be made to happen on {stage.name}")
    assert callable(call)
    with stage.trouble(trouble), pytest.raises(NetworkError) as failed:
        call()
    return failed.value


# ── mentions ──


def test_a_mention_is_found_with_its_photo(stage: Stage, reader: Reader) -> None:
    mention = heard(reader, stage.mention(photos=1))

    assert mention.key == f"{mention.network}:{mention.id}"
    assert mention.network == reader.bot.name
    assert "ann" in mention.author
    assert [(photo.medium, photo.is_own) for photo in mention.photos] == [("image", True)]
    assert (mention.in_reply_to, mention.thread, mention.answers_bot) == (None, None, False)


def test_a_linked_photo_is_found_when_none_is_attached(stage: Stage, reader: Reader) -> None:
    mention = heard(reader, stage.mention("see http://photos.example/a.jpg"))

    assert [(photo.medium, photo.url) for photo in mention.photos] == [
        ("link", "http://photos.example/a.jpg")
    ]


def test_more_mentions_than_fit_a_page_are_all_found_in_order(stage: Stage, reader: Reader) -> None:
    posts = [stage.mention(f"look {number}") for number in range(95)]

    found = [mention.id for mention in reader.read(posts)]

    assert [post for post in found if post in posts] == posts


def test_what_came_while_the_bot_was_away_is_found_from_its_cursor(stage: Stage, reader: Reader) -> None:
    heard(reader, stage.mention())
    posts = [stage.mention(f"away {number}") for number in range(45)]

    back = Reader(stage.bot(), reader)

    assert [mention.id for mention in back.read(posts)] == posts


def test_a_look_when_nothing_has_happened_ends_at_once(reader: Reader) -> None:
    assert reader.look() == []


def test_posts_that_do_not_mention_the_bot_are_not_found(stage: Stage, reader: Reader) -> None:
    stage.post()
    mention = stage.mention()

    assert [found.id for found in reader.read([mention])] == [mention]


def test_a_reply_brings_its_parents_photos(stage: Stage, reader: Reader) -> None:
    parent = stage.post(photos=1)

    mention = heard(reader, stage.mention(reply_to=parent))

    assert (mention.in_reply_to, mention.thread) == (parent, parent)
    assert [photo.is_own for photo in mention.photos] == [False]


def test_a_quote_brings_the_quoted_photos(stage: Stage, reader: Reader) -> None:
    needs(stage, "quotes")
    quoted = stage.post(photos=1)

    mention = heard(reader, stage.mention(quotes=quoted))

    assert [photo.is_own for photo in mention.photos] == [False]


def test_what_the_quoted_post_shows_counts_before_what_the_parent_shows(stage: Stage, reader: Reader) -> None:
    needs(stage, "quotes")
    parent, quoted = stage.post(photos=2), stage.post(photos=1)

    assert len(heard(reader, stage.mention(reply_to=parent, quotes=quoted)).photos) == 1


def test_the_photos_that_the_parent_quotes_are_found_at_last(stage: Stage, reader: Reader) -> None:
    needs(stage, "quotes")
    parent = stage.post(quotes=stage.post(photos=1))

    assert [photo.is_own for photo in heard(reader, stage.mention(reply_to=parent)).photos] == [False]


def test_an_answer_to_the_bot_is_known_as_one(stage: Stage, reader: Reader) -> None:
    mention = heard(reader, stage.mention())
    posted = reader.bot.reply(mention, answer(mention))

    thanks = heard(reader, stage.mention("thanks", reply_to=posted.id))

    assert (thanks.answers_bot, thanks.in_reply_to, thanks.photos) == (True, posted.id, ())


# ── replies ──


def test_a_reply_stands_under_its_mention_and_is_found_again(stage: Stage, reader: Reader) -> None:
    mention = heard(reader, stage.mention())
    assert reader.bot.find_reply(mention) is None

    posted = reader.bot.reply(mention, answer(mention))

    [seen] = stage.replies(mention.id)
    assert seen.id == posted.id
    assert "83/100." in seen.text
    assert stage.bot().find_reply(mention) == posted
    assert posted.url.startswith("http")


def test_a_repeated_reply_is_the_same_one_or_can_be_found(stage: Stage, reader: Reader) -> None:
    mention = heard(reader, stage.mention())

    first = reader.bot.reply(mention, answer(mention))
    again = (
        reader.bot.reply(mention, answer(mention)) if stage.keeps_keys else stage.bot().find_reply(mention)
    )

    assert again == first
    assert len(stage.replies(mention.id)) == 1


def test_a_reply_that_is_deleted_is_gone_and_may_be_deleted_again(stage: Stage, reader: Reader) -> None:
    mention = heard(reader, stage.mention())
    posted = reader.bot.reply(mention, answer(mention))

    reader.bot.delete(posted.id)
    reader.bot.delete(posted.id)

    assert stage.replies(mention.id) == []
    assert reader.bot.find_reply(mention) is None


def test_a_picture_comes_with_its_description(stage: Stage, reader: Reader) -> None:
    needs(stage, "pictures")
    mention = heard(reader, stage.mention())

    reader.bot.reply(mention, answer(mention, pictures=(PICTURE,)))

    assert stage.replies(mention.id)[0].descriptions == ("a teal square",)


def test_a_private_mention_gets_a_private_reply_behind_its_warning(stage: Stage, reader: Reader) -> None:
    needs(stage, "private", "warnings")
    mention = heard(reader, stage.mention(private=True, warning="food"))

    reader.bot.reply(mention, answer(mention))

    [seen] = stage.replies(mention.id)
    assert (mention.visibility, seen.visibility, seen.warning) == ("direct", "direct", "food")


def test_as_much_as_there_is_room_for_is_taken_and_no_more(stage: Stage, reader: Reader) -> None:
    mention = heard(reader, stage.mention())
    room = reader.bot.room(mention)
    text = "x" * room
    assert reader.bot.length(text) == room

    with pytest.raises(NetworkError) as refused:
        reader.bot.reply(mention, answer(mention, text + "x"))
    assert (refused.value.permanent, refused.value.unknown) == (True, False)
    reader.bot.reply(mention, answer(mention, text))

    assert len(stage.replies(mention.id)) == 1


# ── what goes wrong ──


def test_a_token_that_is_not_valid_is_refused_for_good(stage: Stage) -> None:
    with pytest.raises(NetworkError) as refused:
        stage.stranger().mentions_after(None)

    assert (refused.value.trouble, refused.value.permanent) == ("unauthorized", True)


def test_a_reply_to_a_post_that_is_gone_is_not_posted(stage: Stage, reader: Reader) -> None:
    mention = heard(reader, stage.mention())
    stage.delete(mention.id)

    with pytest.raises(NetworkError) as refused:
        reader.bot.reply(mention, answer(mention))

    assert (refused.value.trouble, refused.value.permanent) == ("gone", True)


@pytest.mark.parametrize("trouble", ["reading_limited", "posting_limited"])
def test_a_limit_is_named_with_its_end(stage: Stage, reader: Reader, trouble: Trouble) -> None:
    mention = heard(reader, stage.mention())
    error = raised_in(
        stage,
        trouble,
        reader.look if trouble == "reading_limited" else lambda: reader.bot.reply(mention, answer(mention)),
    )

    assert (error.trouble, error.permanent, error.unknown) == ("rate_limited", False, False)
    assert error.retry_after is not None
    assert 1 <= error.retry_after <= 60


def test_an_error_of_the_networks_own_passes(stage: Stage, reader: Reader) -> None:
    error = raised_in(stage, "reading_broken", reader.look)

    assert (error.trouble, error.permanent) == ("unreachable", False)
    reader.look()


@pytest.mark.parametrize(("trouble", "replies"), [("posting_broken", 0), ("answer_lost", 1)])
def test_what_nobody_knows_can_be_looked_up(
    stage: Stage, reader: Reader, trouble: Trouble, replies: int
) -> None:
    mention = heard(reader, stage.mention())
    error = raised_in(stage, trouble, lambda: reader.bot.reply(mention, answer(mention)))

    assert (error.permanent, error.unknown) == (False, True)
    assert len(stage.replies(mention.id)) == replies
    assert (reader.bot.find_reply(mention) is not None) == bool(replies)


def test_posts_that_are_gone_are_told_from_those_that_stand(stage: Stage, bot: Network) -> None:
    stands, gone = stage.mention(), stage.mention()
    stage.delete(gone)

    assert bot.missing([stands, gone]) == {gone}
    assert bot.missing([]) == set()


# ── the stream ──


class Ear:
    """Listens to the stream in a thread."""

    def __init__(self, bot: Network) -> None:
        self.heard: list[Happening] = []
        self.error: NetworkError | None = None
        self.opened = threading.Event()
        self._bot = bot
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            self._bot.watch(self.heard.append, self._alive)
        except NetworkError as error:
            self.error = error

    def _alive(self, hang_up: Callable[[], None]) -> None:
        self.hang_up = hang_up
        self.opened.set()

    def ends(self) -> bool:
        self._thread.join(SECONDS)
        return not self._thread.is_alive()

    def has(self, post: str) -> Happening | None:
        def found() -> Happening | None:
            return next((happening for happening in list(self.heard) if happening.id == post), None)

        eventually(lambda: found() is not None, SECONDS)
        return found()


def test_a_network_without_a_stream_says_so(stage: Stage, bot: Network) -> None:
    if stage.streams:
        pytest.skip(f"{stage.name} has a stream")
    ear = Ear(bot)

    assert ear.ends()
    assert ear.error
    assert (ear.error.permanent, ear.error.trouble) == (True, "refused")


@pytest.fixture
def ear(stage: Stage, bot: Network) -> Iterator[Ear]:
    if not stage.streams:
        pytest.skip(f"{stage.name} has no stream")
    ear = Ear(bot)
    assert ear.opened.wait(SECONDS)
    yield ear
    # None outlives its network; on X there may be no second one beside it either, and only writing tells
    # a server that its listener is gone.
    ear.hang_up()
    assert ear.ends()
    if "stream_closes" in stage.troubles:
        with stage.trouble("stream_closes"):
            stage.mention()


def test_the_stream_delivers_the_same_mention_that_a_look_finds(
    stage: Stage, reader: Reader, ear: Ear
) -> None:
    post = stage.mention(photos=1)

    assert ear.has(post) == heard(reader, post)


def test_the_stream_tells_of_deletions(stage: Stage, ear: Ear) -> None:
    needs(stage, "deletions")
    post = stage.mention()
    assert ear.has(post)
    ear.heard.clear()
    stage.delete(post)

    assert ear.has(post) == Gone(post)


def test_a_stream_that_the_network_closes_ends(stage: Stage, bot: Network) -> None:
    if "stream_closes" not in stage.troubles or not stage.streams:
        pytest.skip(f"{stage.name} does not close streams")
    with stage.trouble("stream_closes"):
        ear = Ear(bot)
        assert ear.opened.wait(SECONDS)
        stage.mention()

        assert ear.ends()


def test_a_stream_is_hung_up_on_at_once_and_more_than_once(stage: Stage, ear: Ear) -> None:
    del stage
    begin = time.monotonic()
    ear.hang_up()
    assert ear.ends()
    ear.hang_up()

    assert time.monotonic() - begin < 3


def test_a_stream_refuses_who_is_not_known(stage: Stage) -> None:
    if not stage.streams:
        pytest.skip(f"{stage.name} has no stream")
    with pytest.raises(NetworkError) as refused:
        stage.stranger().watch(lambda _: None, lambda _: None)

    assert (refused.value.trouble, refused.value.permanent) == ("unauthorized", True)
