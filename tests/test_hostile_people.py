"""A whole bot among hostile people: others do not notice, and nothing that is secret or private gets out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL.PngImagePlugin import PngInfo
from redis import Redis

from bot.demo import Bot, started
from bot.processes import Processes
from bot.sandbox.person import Person
from bot.valkey import start_valkey
from tests.bombs import scan_flood
from tests.events import Log
from tests.photos import portrait, portrait_jpeg
from tests.web import drips, web
from tests.words import declined

pytestmark = pytest.mark.e2e

SECONDS = 30
DRIPS = 50
PASSWORD = "canary-of-redis"
IN_THE_PHOTO = b"canary-in-the-photo"


@pytest.fixture(scope="module")
def log() -> Log:
    return Log()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def redis(directory: Path) -> Iterator[Redis]:
    """A Valkey with a password."""
    processes = Processes(lambda _name, _event: None)
    try:
        (directory / "valkey").mkdir()
        url = start_valkey(processes, directory / "valkey")
        with Redis.from_url(url) as open_to_all:
            open_to_all.config_set("requirepass", PASSWORD)
        with Redis.from_url(f"unix://:{PASSWORD}@{url.removeprefix('unix://')}") as redis:
            yield redis
    finally:
        processes.stop()


@pytest.fixture(scope="module")
def bot(directory: Path, redis: Redis, log: Log) -> Iterator[Bot]:
    with pytest.MonkeyPatch.context() as environment, ExitStack() as stack:
        socket = redis.connection_pool.connection_kwargs["path"]
        environment.setenv("REDIS_URL", f"unix://:{PASSWORD}@{quote(socket)}")
        environment.setenv("WORKER_DECODE_SECONDS", "0.8")
        environment.setenv("WORKER_MAX_MEGAPIXELS", "100")
        (directory / "tmp").mkdir()
        environment.setenv("TMPDIR", str(directory / "tmp"))
        yield stack.enter_context(started(directory, 0, log))


@pytest.fixture(scope="module")
def ann(bot: Bot) -> Person:
    return Person(bot.url, "ann")


@pytest.fixture(scope="module")
def photo(directory: Path) -> Path:
    path = directory / "photo.jpg"
    path.write_bytes(portrait_jpeg())
    return path


@pytest.fixture(scope="module")
def token(bot: Bot) -> str:
    """The bot's access token, which is made up anew for each demo."""
    token = environment_of(bot, "responder").partition("MASTODON_TOKEN=")[2].partition("\0")[0]
    assert token
    return token


def environment_of(bot: Bot, process: str) -> str:
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    return Path(f"/proc/{bot.processes.pid(process)}/environ").read_text()


def post_and_answer(ann: Person, photo: Path) -> tuple[str, str]:
    post = ann.post("@deepselfie look", [ann.upload(photo)])
    reply = ann.wait_for_reply(post, SECONDS)
    assert reply, "no reply"
    return post, reply.text


def answer(ann: Person, photo: Path) -> str:
    return post_and_answer(ann, photo)[1]


def test_a_photo_that_ends_its_decoder_gets_a_friendly_reply_and_the_next_one_its_turn(
    ann: Person, photo: Path, log: Log
) -> None:
    bomb = photo.with_name("bomb.jpg")
    # Twice what a decoder of this bot has time for.
    bomb.write_bytes(scan_flood(scans=50, side=10_000))

    post, reply = post_and_answer(ann, bomb)
    assert reply == f"@ann {declined(post, 'too_costly')}"
    assert "/100" in answer(ann, photo)

    assert log.named("decoder lost")
    assert len(log.named("judge loaded")) == 1, "the worker has died"


def test_fifty_servers_that_drip_do_not_delay_somebody_elses_photo(
    bot: Bot, ann: Person, photo: Path
) -> None:
    eve = Person(bot.url, "eve")
    with ExitStack() as stack:
        links = [f"{stack.enter_context(web({'/drip.jpg': drips(60, 1)}))}/drip.jpg" for _ in range(DRIPS)]
        posts = [eve.post(f"@deepselfie look {link}") for link in links]

        begin = time.monotonic()
        assert "/100" in answer(ann, photo)
        seconds = time.monotonic() - begin

        replies = [eve.wait_for_reply(post, SECONDS) for post in posts]

    assert seconds < SECONDS
    slow = [f"@eve {declined(post, 'too_slow', limit=10)}" for post in posts]
    assert [reply.text for reply in replies if reply] == slow


def test_nothing_of_a_photo_reaches_disk_logs_or_redis(
    ann: Person, directory: Path, redis: Redis, log: Log
) -> None:
    notes = PngInfo()
    notes.add_text("Comment", IN_THE_PHOTO.decode())
    path = directory / "noted.png"
    portrait().save(path, "PNG", pnginfo=notes)
    assert IN_THE_PHOTO in path.read_bytes()

    reply = answer(ann, path)

    assert "/100" in reply
    assert IN_THE_PHOTO.decode() not in reply + json.dumps(log.events)
    keys = list(redis.scan_iter())
    assert keys
    assert not [key for key in keys if IN_THE_PHOTO in (redis.dump(key) or b"")]
    # The sandbox is the network, which keeps what is posted to it, and `path` is ann's own file.
    ours = [directory / "valkey", directory / "tmp"]
    written = [place for folder in ours for place in folder.rglob("*") if place.is_file()]
    assert any("appendonly" in str(place) for place in written)
    assert not [place for place in written if IN_THE_PHOTO in place.read_bytes()]


def test_only_the_listener_and_the_responder_have_the_token(bot: Bot, token: str) -> None:
    assert token in environment_of(bot, "listener")
    assert token not in environment_of(bot, "worker")


def test_no_secret_gets_into_logs_redis_tracebacks_or_replies(
    ann: Person, photo: Path, token: str, redis: Redis, log: Log
) -> None:
    redis.config_set("requirepass", "another")  # each connection is refused now, and that complained about
    redis.client_kill_filter(_type="normal", skipme=True)
    time.sleep(2)
    redis.config_set("requirepass", PASSWORD)

    unreachable = ann.wait_for_reply(ann.post("@deepselfie http://127.0.0.1:9/a.jpg"), SECONDS)
    replies = f"{unreachable} {answer(ann, photo)}"

    said = json.dumps(log.events)
    assert "invalid username-password pair" in said, "nobody has complained"
    stored = b"".join(redis.dump(key) or b"" for key in redis.scan_iter())
    for secret in (PASSWORD, token):
        assert secret not in said
        assert secret not in replies
        assert secret.encode() not in stored
