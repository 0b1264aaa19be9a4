from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bot.messages import Declined, Photo
from model.pixels import squish
from tests.photos import huge_png, portrait_jpeg
from tests.waiting import eventually
from tests.web import drips, file, status, web
from worker.decode import Decoders
from worker.decode import Limits as DecodeLimits
from worker.download import Downloader, Limits
from worker.looker import Look, Looker

Do = Callable[[Callable[[], None]], object]

SIDE = 32
SECONDS = 10
PHOTO = portrait_jpeg()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    pages = {
        "/photo": file(PHOTO),
        "/huge": file(huge_png(), "image/png"),
        "/text": file(b"no photo", "image/jpeg"),
        "/gone": status(404),
        "/slow": drips(100, 0.1),
    }
    with web(pages) as url:
        yield url


@pytest.fixture(scope="module")
def downloader() -> Iterator[Downloader]:
    downloader = Downloader(Limits(2, 2, private_addresses=True))
    yield downloader
    downloader.close()


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    decoders = Decoders(1, DecodeLimits())
    yield decoders
    decoders.close()


@pytest.fixture(scope="module")
def do() -> Iterator[Do]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


@pytest.fixture
def looker(downloader: Downloader, decoders: Decoders, do: Do) -> Looker:
    return Looker(downloader, decoders, do)


def look(looker: Looker, photo: Photo) -> Look:
    looks: list[Look] = []
    done = threading.Event()

    def then(look: Look) -> None:
        looks.append(look)
        done.set()

    looker.look(photo, SIDE, then)
    assert done.wait(SECONDS)
    return looks[0]


def still(url: str) -> Photo:
    return Photo(medium="image", url=url)


def test_a_photo_becomes_pixels(looker: Looker, site: str) -> None:
    seen = look(looker, still(f"{site}/photo"))

    assert isinstance(seen.found, np.ndarray)
    assert np.array_equal(seen.found, squish(PHOTO, side=SIDE))
    assert seen.download > 0
    assert seen.decode > 0


@pytest.mark.parametrize(
    ("path", "declined"),
    [
        ("/gone", Declined(reason="not_found", value=404)),
        ("/slow", Declined(reason="too_slow", limit=2)),
        ("/huge", Declined(reason="too_many_pixels", value=100, limit=40)),
        ("/text", Declined(reason="not_a_photo")),
    ],
)
def test_what_cannot_be_looked_at_is_declined_with_the_reason(
    looker: Looker, site: str, path: str, declined: Declined
) -> None:
    assert look(looker, still(f"{site}{path}")).found == declined


@pytest.mark.parametrize(
    ("medium", "reason"), [("video", "video"), ("audio", "audio"), ("image", "unreachable")]
)
def test_where_there_is_nothing_to_see_nothing_is_fetched(looker: Looker, medium: str, reason: str) -> None:
    photo = Photo.model_validate({"url": None, "medium": medium})

    assert look(looker, photo) == Look(Declined.model_validate({"reason": reason}))


def test_slow_downloads_hold_back_nobody(decoders: Decoders, site: str, do: Do) -> None:
    downloader = Downloader(Limits(2, 3, private_addresses=True))
    looker = Looker(downloader, decoders, do)
    slow: list[Look] = []
    # More than there are threads, but not more than one host may have.
    for _ in range(8):
        looker.look(still(f"{site}/slow"), SIDE, slow.append)

    assert isinstance(look(looker, still(f"{site}/photo")).found, np.ndarray)

    assert slow == []
    assert eventually(lambda: len(slow) == 8, SECONDS)
    downloader.close()


def test_no_more_files_are_in_memory_than_there_are_places_for(decoders: Decoders, site: str, do: Do) -> None:
    downloader = Downloader(Limits(2, 2, private_addresses=True))
    looker = Looker(downloader, decoders, do, photos=2)
    looks: list[Look] = []
    for _ in range(2):
        looker.look(still(f"{site}/slow"), SIDE, looks.append)
    looker.look(still(f"{site}/photo"), SIDE, looks.append)

    assert eventually(lambda: len(looks) == 3, SECONDS)

    # The third had to wait for a place, though it would have been the first by far.
    assert [type(look.found).__name__ for look in looks] == ["Declined", "Declined", "ndarray"] or [
        type(look.found).__name__ for look in looks
    ] == ["Declined", "ndarray", "Declined"]
    assert isinstance(look(looker, still(f"{site}/photo")).found, np.ndarray)
    downloader.close()


def test_a_fault_of_ours_is_told_as_one(downloader: Downloader, site: str, do: Do) -> None:
    broken = Decoders(1, DecodeLimits(), [sys.executable, "-c", "raise SystemExit('no')"])
    looker = Looker(downloader, broken, do)

    seen = look(looker, still(f"{site}/photo"))

    assert type(seen.found).__name__ == "DecoderBroken"
    broken.close()
