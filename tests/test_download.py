from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.photos import portrait_jpeg
from tests.web import drips, file, status, web
from worker.download import Download, Downloader, DownloadFailed, Limits

PHOTO = portrait_jpeg()
PAGE = b'<html><head><meta property="og:image" content="/photo.jpg"></head></html>'
PAGES = {
    "/photo.jpg": file(PHOTO),
    "/page": file(PAGE, "text/html; charset=utf-8"),
    "/empty-page": file(b"<html><title>words</title></html>", "text/html"),
    "/page-of-page": file(PAGE.replace(b"photo.jpg", b"page"), "text/html"),
    "/endless-page": file(PAGE + b" " * 3_000_000, "text/html"),
    "/moved": status(302, Location="/photo.jpg"),
    "/loop": status(302, Location="/loop"),
    "/away": status(302, Location="file:///etc/passwd"),
    "/nowhere": status(302),
    "/broken": status(503),
    "/big": file(b"x" * 3_000_000),
    "/lying": file(b"x" * 3_000_000, Content_Length="3000000000"),
    "/zipped": file(PHOTO, Content_Encoding="gzip"),
    "/drip": drips(200, 0.02),
    "/%C3%A4%20b.jpg": file(PHOTO),
    "/page-with-umlaut": file('<meta property="og:image" content="/ä b.jpg">'.encode(), "text/html"),
}


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with web(PAGES) as address:
        yield address


@pytest.fixture(scope="module")
def downloader() -> Downloader:
    return Downloader(Limits(megabytes=2, seconds=10, private_addresses=True))


def fetch(downloader: Downloader, url: str) -> bytes | DownloadFailed:
    [outcome] = downloader.photos([url])
    return outcome


def fault(downloader: Downloader, url: str) -> tuple[str, float | None, float | None]:
    outcome = fetch(downloader, url)
    assert isinstance(outcome, DownloadFailed), outcome
    return outcome.fault, outcome.value, outcome.limit


def test_a_linked_photo_is_fetched(downloader: Downloader, site: str) -> None:
    assert fetch(downloader, f"{site}/photo.jpg") == PHOTO


def test_a_redirect_is_followed(downloader: Downloader, site: str) -> None:
    assert fetch(downloader, f"{site}/moved") == PHOTO


@pytest.mark.parametrize("path", ["/page", "/endless-page"])
def test_a_page_gives_the_picture_that_it_names_for_itself(
    downloader: Downloader, site: str, path: str
) -> None:
    assert fetch(downloader, f"{site}{path}") == PHOTO


@pytest.mark.parametrize("path", ["/ä b.jpg", "/%C3%A4%20b.jpg", "/page-with-umlaut"])
def test_links_may_be_written_as_people_write_them(downloader: Downloader, site: str, path: str) -> None:
    assert fetch(downloader, f"{site}{path}") == PHOTO


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/missing", ("not_found", 404, None)),
        ("/broken", ("server_error", 503, None)),
        ("/empty-page", ("no_picture", None, None)),
        ("/page-of-page", ("no_picture", None, None)),
        ("/loop", ("unreachable", None, None)),
        ("/nowhere", ("unreachable", None, None)),
        ("/away", ("bad_link", None, None)),
        ("/big", ("too_many_bytes", None, 2)),
        ("/lying", ("too_many_bytes", None, 2)),
        ("/zipped", ("unreachable", None, None)),
    ],
)
def test_what_cannot_be_fetched_fails_with_the_reason(
    downloader: Downloader, site: str, path: str, expected: tuple[str, float | None, float | None]
) -> None:
    assert fault(downloader, f"{site}{path}") == expected


def test_what_comes_in_drips_is_too_slow(site: str) -> None:
    downloader = Downloader(Limits(megabytes=2, seconds=0.5, private_addresses=True))

    assert fault(downloader, f"{site}/drip") == ("too_slow", None, 0.5)

    downloader.close()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/a.jpg",
        "file:///etc/passwd",
        "http:///a.jpg",
        "http://user:word@example.org/",
        "http://example.org:port/",
        "http://example.org/\r\nHost: other",
        "http://example.org\\@127.0.0.1/",
        "http://[::1/",
        "nonsense",
        "",
        "http://example.org/" + "a" * 3000,
    ],
)
def test_a_link_that_is_none_is_refused(downloader: Downloader, url: str) -> None:
    assert fault(downloader, url) == ("bad_link", None, None)


def test_nobody_listening_is_unreachable(downloader: Downloader) -> None:
    assert fault(downloader, "http://127.0.0.1:9/") == ("unreachable", None, None)


def test_photos_are_fetched_at_once_and_come_in_order(site: str) -> None:
    downloader = Downloader(Limits(megabytes=2, seconds=2, private_addresses=True))
    started = time.monotonic()

    outcomes = downloader.photos([f"{site}/drip", f"{site}/photo.jpg", f"{site}/drip", f"{site}/missing"])

    assert [isinstance(outcome, bytes) for outcome in outcomes] == [False, True, False, False]
    assert time.monotonic() - started < 3.9  # two drips one after the other would take four seconds
    downloader.close()


def test_many_threads_may_fetch_at_once(site: str) -> None:
    downloader = Downloader(Limits(megabytes=2, seconds=20, private_addresses=True))
    paths = ["/photo.jpg", "/page", "/moved", "/missing"] * 10
    with ThreadPoolExecutor(len(paths)) as threads:
        outcomes = list(threads.map(lambda path: fetch(downloader, f"{site}{path}"), paths))

    downloader.close()
    assert [outcome == PHOTO for outcome in outcomes] == [path != "/missing" for path in paths]


def test_a_download_says_where_it_came_from_and_what_it_is_said_to_be(
    downloader: Downloader, site: str
) -> None:
    assert downloader.fetch(f"{site}/page") == Download(PHOTO, f"{site}/photo.jpg", "image/jpeg")
    with pytest.raises(DownloadFailed, match="not_found"):
        downloader.fetch(f"{site}/missing")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://localhost/", "http://2130706433/", "http://[::1]/"]
)
def test_without_leave_no_address_of_the_operators_own_is_opened(url: str) -> None:
    guarded = Downloader(Limits(megabytes=2, seconds=2, private_addresses=False))

    assert fault(guarded, url) == ("forbidden_address", None, None)


def test_without_leave_only_the_webs_own_ports_are_opened(site: str) -> None:
    guarded = Downloader(Limits(megabytes=2, seconds=2, private_addresses=False))

    assert fault(guarded, f"{site}/photo.jpg") == ("forbidden_address", None, None)
