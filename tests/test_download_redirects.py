"""Every hop is checked like the first one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.internet import Internet, fault, guarded
from tests.web import heard, moved, ok, saying, talker
from worker.download import Downloader


@pytest.fixture
def internet() -> Internet:
    return Internet()


@pytest.fixture
def downloader(internet: Internet) -> Iterator[Downloader]:
    with guarded(internet) as downloader:
        yield downloader


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("http://127.0.0.1/", "forbidden_address"),
        ("http://2130706433/", "forbidden_address"),
        ("http://[::1]/", "forbidden_address"),
        ("http://169.254.169.254/latest/meta-data/", "forbidden_address"),
        ("//127.0.0.1/", "forbidden_address"),
        ("http://private.example/", "forbidden_address"),
        ("//private.example/", "forbidden_address"),
        ("http://example.org:6379/", "forbidden_address"),
        ("//example.org:22/", "forbidden_address"),
        ("https://example.org:80443/", "bad_link"),
        ("http://user:word@example.org/", "bad_link"),
        ("//user@example.org/", "bad_link"),
        ("file:///etc/passwd", "bad_link"),
        ("ftp://example.org/", "bad_link"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "bad_link"),
        ("data:image/png;base64,AAAA", "bad_link"),
        ("javascript:alert(1)", "bad_link"),
        ("http:", "unreachable"),
        ("http://", "unreachable"),
        ("///", "unreachable"),
        ("http://[::1/", "bad_link"),
        ("http://example.org\\@127.0.0.1/", "bad_link"),
        ("http://exam\tple.org/", "bad_link"),
        ("/" + "a" * 3000, "bad_link"),
        ("", "unreachable"),
        ("/", "unreachable"),
        ("?", "unreachable"),
        ("http://example.org/", "unreachable"),
    ],
)
def test_a_redirect_leads_nowhere_that_a_link_may_not_lead(
    internet: Internet, downloader: Downloader, location: str, expected: str
) -> None:
    internet.name("private.example", ["10.0.0.1"])
    with talker(saying(moved(location))) as port:
        assert fault(downloader, internet.host("example.org", port)) == expected

    assert set(internet.dialled) == {"93.184.0.0"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", ["http://photos.example/", "//photos.example/a b.jpg", "//PHOTOS.example:80"]
)
def test_a_redirect_to_another_public_host_is_followed(
    internet: Internet, downloader: Downloader, status: int, location: str
) -> None:
    with talker(saying(moved(location, status))) as port, talker(saying(ok(b"photo"))) as other:
        internet.host("photos.example", other)

        assert downloader.fetch(internet.host("example.org", port)).body == b"photo"


@pytest.mark.parametrize("hops", [3, 4])
def test_three_redirects_are_followed_and_not_four(
    internet: Internet, downloader: Downloader, hops: int
) -> None:
    with ExitStack() as servers:
        url = internet.host("last.example", servers.enter_context(talker(saying(ok(b"photo")))))
        for hop in range(hops):
            url = internet.host(f"{hop}.example", servers.enter_context(talker(saying(moved(url)))))

        if hops == 3:
            found = downloader.fetch(url)
            assert (found.body, found.url) == (b"photo", "http://last.example/")
        else:
            assert fault(downloader, url) == "unreachable"

    assert len(internet.dialled) == 4


@pytest.mark.parametrize("status", [300, 304, 305, 306])
def test_what_is_no_redirect_is_not_followed(internet: Internet, downloader: Downloader, status: int) -> None:
    with talker(saying(moved("http://127.0.0.1/", status))) as port:
        assert fault(downloader, internet.host("example.org", port)) == "not_found"


def test_a_page_shares_its_photos_deadline_and_guard(internet: Internet, downloader: Downloader) -> None:
    page = b'<meta property="og:image" content="http://169.254.169.254/">'
    with talker(saying(ok(page, "text/html"))) as port:
        assert fault(downloader, internet.host("example.org", port)) == "forbidden_address"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_location_in_utf_8_or_latin_1_is_understood(
    internet: Internet, downloader: Downloader, encoding: str
) -> None:
    def talk(connection: socket.socket) -> None:
        arrived = b"/%C3%A4.jpg" in heard(connection)
        location = "/ä.jpg".encode(encoding)
        connection.sendall(ok(b"photo") if arrived else moved("?").replace(b"?", location))

    with talker(talk) as port:
        found = downloader.fetch(internet.host("example.org", port))

    assert (found.body, found.url) == (b"photo", "http://example.org/%C3%A4.jpg")
