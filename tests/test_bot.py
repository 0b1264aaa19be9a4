"""A whole bot: real processes, real Valkey, real HTTP, the real model."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from bot.demo import Bot, started
from bot.locale import locales
from bot.messages import Reason
from bot.sandbox.person import Person, Reply
from tests.events import Log
from tests.photos import encoded, huge_png, moving_gif, portrait, portrait_jpeg
from tests.web import file, status, web
from tests.words import declined, notice

pytestmark = pytest.mark.e2e

SECONDS = 30

Ask = Callable[..., Reply]


@pytest.fixture(scope="module")
def log() -> Log:
    return Log()


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory, log: Log) -> Iterator[Bot]:
    with started(tmp_path_factory.mktemp("bot"), 0, log) as running:
        yield running


@pytest.fixture(scope="module")
def ann(bot: Bot) -> Person:
    return Person(bot.url, "ann")


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    pages = {
        "/photo.jpg": file(portrait_jpeg()),
        "/page": file(b'<meta property="og:image" content="/photo.jpg">', "text/html"),
        "/words": file(b"<p>words</p>", "text/html"),
        "/empty": file(b""),
        "/broken": status(500),
    }
    with web(pages) as address:
        yield address


@pytest.fixture(scope="module")
def ask(ann: Person, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Mention the bot with some files or words and return its reply."""
    numbers = count()
    directory = tmp_path_factory.mktemp("photos")

    def ask(*photos: bytes, suffix: str = ".jpg", text: str = "look", **options: object) -> Reply:
        media = []
        for photo in photos:
            path = directory / f"{next(numbers)}{suffix}"
            path.write_bytes(photo)
            media.append(ann.upload(path))
        reply = ann.wait_for_reply(ann.post(f"@deepselfie {text}", media, **options), SECONDS)
        assert reply, "no reply"
        return reply

    return ask


def scored_by_command(photo: bytes, directory: Path) -> str:
    path = directory / "photo.jpg"
    path.write_bytes(photo)
    command = [sys.executable, "-m", "bot", "score", "--json", str(path)]
    result = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return f"{round(result['score'] * 100)}/100"


def test_a_photo_gets_the_score_that_the_command_gives_it(ask: Ask, tmp_path: Path) -> None:
    photo = portrait_jpeg(1632, 1224)

    reply = ask(photo)

    assert reply.text.startswith(f"@ann {scored_by_command(photo, tmp_path)}")
    assert re.search(r"\nBetter than \d\d?% of the drawn portraits I was tested on\.\n", reply.text)
    assert "\nFor fun: in my tests I'm right about 7 times in 10.\n" in reply.text
    assert reply.text.endswith("\nI learned from drawn portraits only, so take this as a game.")


def test_a_photo_is_answered_in_the_language_of_its_mention(ask: Ask) -> None:
    reply = ask(portrait_jpeg(), text="na, wie ist das?", language="de-AT")

    assert "der Bilder, die ich kenne.\n" in reply.text
    assert reply.status["language"] == "de"


def test_a_reply_stands_under_the_mention_and_off_the_public_timelines(ann: Person, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(portrait_jpeg())
    post = ann.post("@deepselfie hi", [ann.upload(path)])

    reply = ann.wait_for_reply(post, SECONDS)

    assert reply
    assert (reply.status["in_reply_to_id"], reply.status["visibility"]) == (post, "unlisted")


def test_several_photos_are_numbered_in_one_reply_the_best_first(ask: Ask) -> None:
    lines = ask(
        portrait_jpeg(), encoded(portrait().point(lambda level: level // 16)), b"nonsense"
    ).text.splitlines()

    photos, points = zip(*(re.findall(r"\d+", line)[:2] for line in lines[1:3]), strict=True)
    assert sorted(photos) == ["1", "2"]
    assert int(points[0]) >= int(points[1])
    english = locales()["en"]
    assert lines[0].removeprefix("@ann ") in [line.format(photo=photos[0]) for line in english.ranking]
    assert lines[3] == f"Photo 3: {english.declined['not_a_photo']}"


@pytest.mark.parametrize("path", ["/photo.jpg", "/page"])
def test_a_linked_photo_is_judged_too(ask: Ask, site: str, path: str) -> None:
    assert "/100" in ask(text=f"look {site}{path}").text


def test_a_mention_without_a_photo_gets_help(ask: Ask) -> None:
    reply = ask(text="hello")

    assert reply.text == f"@ann {notice(reply.status['in_reply_to_id'], 'help')}"


def test_an_animation_is_judged_by_its_preview_picture(ask: Ask) -> None:
    assert "I looked at the preview picture. " in ask(moving_gif(), suffix=".gif").text


def test_a_video_without_a_preview_is_declined_in_words(ask: Ask) -> None:
    reply = ask(b"\0\0\0\x18ftypmp42", suffix=".mp4")

    assert reply.text == f"@ann {declined(reply.status['in_reply_to_id'], 'video')}"


@pytest.mark.parametrize(
    ("photo", "reason", "value", "limit"),
    [
        (b"nonsense", "not_a_photo", None, None),
        (portrait_jpeg()[:5000], "damaged", None, None),
        (huge_png(), "too_many_pixels", 100, 40),
    ],
)
def test_a_bad_photo_gets_a_specific_reply_and_the_next_one_its_turn(
    ask: Ask, photo: bytes, reason: Reason, value: float | None, limit: float | None
) -> None:
    reply = ask(photo)

    assert reply.text == f"@ann {declined(reply.status['in_reply_to_id'], reason, value, limit)}"
    assert "/100" in ask(portrait_jpeg()).text


@pytest.mark.parametrize(
    ("path", "reason", "value"),
    [
        ("/missing", "not_found", 404),
        ("/words", "no_picture", None),
        ("/empty", "empty", None),
        ("/broken", "server_error", 500),
    ],
)
def test_a_bad_link_gets_a_specific_reply(
    ask: Ask, site: str, path: str, reason: Reason, value: float | None
) -> None:
    reply = ask(text=f"{site}{path}")

    assert reply.text == f"@ann {declined(reply.status['in_reply_to_id'], reason, value)}"


def test_a_private_mention_is_answered_privately(ask: Ask) -> None:
    reply = ask(portrait_jpeg(), visibility="private")

    assert "/100" in reply.text
    assert reply.status["visibility"] == "direct"


def test_a_photo_behind_a_warning_is_declined_behind_the_same_warning(ask: Ask) -> None:
    reply = ask(portrait_jpeg(), visibility="private", spoiler_text="my face")

    assert reply.text == f"@ann {notice(reply.status['in_reply_to_id'], 'sensitive')}"
    assert (reply.status["visibility"], reply.status["spoiler_text"]) == ("direct", "my face")


def test_thanking_the_bot_starts_no_conversation(ask: Ask, ann: Person, log: Log) -> None:
    reply = ask(portrait_jpeg())

    thanks = ann.post("@deepselfie thanks!", in_reply_to_id=reply.status["id"])
    ask(text="hello")  # a later mention is answered, so the thanks were heard before

    assert not ann.replies(thanks)
    assert {"key": f"mastodon:{thanks}", "reason": "small talk"}.items() <= log.named("skipped")[-1].items()


def test_a_mention_is_answered_once(ann: Person, ask: Ask) -> None:
    first = ann.post("@deepselfie hello")
    ann.wait_for_reply(first, SECONDS)
    ask(text="hello again")

    assert len(ann.replies(first)) == 1


def test_the_model_is_loaded_once_however_many_photos_come(ask: Ask, log: Log) -> None:
    ask(portrait_jpeg())
    ask(portrait_jpeg())

    assert len(log.named("judge loaded")) == 1


def test_nothing_secret_and_no_traceback_is_in_the_logs(ask: Ask, log: Log) -> None:
    ask(portrait_jpeg())

    everything = json.dumps(log.events)
    assert "traceback" not in everything
    assert "Bearer" not in everything


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("name", "megabytes"), [("listener", 80), ("responder", 80), ("worker", 400)])
def test_a_process_stays_small(bot: Bot, ask: Ask, name: str, megabytes: int) -> None:
    ask(portrait_jpeg(1632, 1224))

    status = Path(f"/proc/{bot.processes.pid(name)}/status").read_text()
    kilobytes = int(status.partition("VmRSS:")[2].split()[0])
    assert kilobytes < megabytes * 1024
