"""What servers answer: lies about lengths, encodings and types; and what they are told about us."""

from __future__ import annotations

import gzip
import os
import socket
from collections.abc import Iterator
from importlib.metadata import version

import pytest

from bot.settings import SettingsError, load
from tests.internet import Internet, fault, guarded
from tests.web import Talk, heard, ok, saying, talker
from worker.download import Downloader
from worker.settings import WorkerSettings

PAGE = b'<meta property="og:image" content="/photo.jpg">'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def internet() -> Internet:
    return Internet()


@pytest.fixture
def downloader(internet: Internet) -> Iterator[Downloader]:
    with guarded(internet, megabytes=0.5) as downloader:
        yield downloader


def once(answer: bytes) -> Talk:
    """One answer, and that was all."""

    def talk(connection: socket.socket) -> None:
        heard(connection)
        connection.sendall(answer)

    return talk


def length(size: int, body: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nphoto", b"photo"),
        (b"HTTP/1.0 200 OK\r\n\r\nphoto", b"photo"),
        (length(5, b"photo"), b"photo"),
        (length(2, b"photo"), b"ph"),
        (length(0, b""), b""),
        (length(1 << 19, b"x" * (1 << 19)), b"x" * (1 << 19)),
        (CHUNKED + b"5\r\nphoto\r\n0\r\n\r\n", b"photo"),
        (CHUNKED + b"1\r\nx\r\n" * 900 + b"0\r\n\r\n", b"x" * 900),
        (CHUNKED[:-2] + b"Content-Length: 1\r\n\r\n5\r\nphoto\r\n0\r\n\r\n", b"photo"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 10 + length(5, b"photo"), b"photo"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + length(5, b"photo"), b"photo"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\n\r\nphoto", b"photo"),
        (b"HTTP/1.1 200 \r\n\r\nphoto", b"photo"),
    ],
)
def test_a_photo_is_taken_however_its_length_is_told(
    internet: Internet, downloader: Downloader, answer: bytes, body: bytes
) -> None:
    with talker(once(answer)) as port:
        assert downloader.fetch(internet.host("example.org", port)).body == body


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (length(9, b"photo"), "unreachable"),
        (length(1 << 40, b"photo"), "too_many_bytes"),
        (length((1 << 19) + 1, b""), "too_many_bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * ((1 << 19) + 1), "too_many_bytes"),
        (length(-1, b"photo"), "unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nphoto", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nphoto", "unreachable"),
        (CHUNKED + b"5\r\nphoto\r\n", "unreachable"),
        (CHUNKED + b"g\r\nphoto\r\n0\r\n\r\n", "unreachable"),
        (CHUNKED + b"ffffffffffffffffffff\r\nphoto", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"photo"), "unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nphoto", "unreachable"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "unreachable"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "not_found"),
        (b"HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\nphoto", "not_found"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nphoto", "not_found"),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", "not_found"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "server_error"),
        (b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n", "server_error"),
        (b"HTTP/2 200\r\n\r\nphoto", "unreachable"),
        (b"HTTP/1.1 OK\r\n\r\nphoto", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\nphoto", "unreachable"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "unreachable"),
        (b"\x00" * 1000, "unreachable"),
        (b"", "unreachable"),
    ],
)
def test_what_is_no_photo_within_limits_fails_with_the_reason(
    internet: Internet, downloader: Downloader, answer: bytes, expected: str
) -> None:
    with talker(once(answer)) as port:
        assert fault(downloader, internet.host("example.org", port)) == expected


@pytest.mark.parametrize("kind", ["text/html", "Text/HTML ; Charset=UTF-8", "application/xhtml+xml"])
def test_what_its_server_calls_a_page_is_searched_for_a_picture_even_if_it_is_one(
    internet: Internet, downloader: Downloader, kind: str
) -> None:
    with talker(saying(ok(b"\xff\xd8\xff\xe0 a photo", kind))) as port:
        assert fault(downloader, internet.host("example.org", port)) == "no_picture"


@pytest.mark.parametrize("kind", ["image/jpeg", "text/plain", "application/octet-stream", "nonsense", ""])
def test_what_its_server_calls_anything_else_is_left_to_the_decoder(
    internet: Internet, downloader: Downloader, kind: str
) -> None:
    with talker(saying(ok(PAGE, kind))) as port:
        found = downloader.fetch(internet.host("example.org", port))

    assert (found.body, found.kind) == (PAGE, kind)


def test_a_page_may_be_longer_than_what_is_read_of_it(internet: Internet, downloader: Downloader) -> None:
    def talk(connection: socket.socket) -> None:
        photo = b"GET /photo.jpg" in heard(connection)
        connection.sendall(ok(b"photo") if photo else ok(PAGE + b" " * 5_000_000, "text/html"))

    with talker(talk) as port:
        assert downloader.fetch(internet.host("example.org", port)).body == b"photo"


def request(internet: Internet, contact: str | None = None) -> list[bytes]:
    """The lines of the second request to a server that sets a cookie with its first answer."""
    requests = []
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: id=1; Path=/\r\nContent-Length: 5\r\n\r\nphoto"

    def talk(connection: socket.socket) -> None:
        while it := heard(connection):
            requests.append(it)
            connection.sendall(answer)

    with talker(talk) as port, guarded(internet, contact=contact) as downloader:
        url = internet.host("example.org", port)
        for _ in range(2):
            downloader.fetch(url)
    return requests[1].splitlines()


def test_a_request_says_who_asks_and_no_more(internet: Internet) -> None:
    assert request(internet, "https://example.social/@bot") == [
        b"GET / HTTP/1.1",
        b"Host: example.org",
        f"User-Agent: deepselfie/{version('deepselfie')} (judges photos that mention it; "
        "https://example.social/@bot)".encode(),
        b"Accept: image/*, text/html;q=0.5",
        b"Accept-Encoding: identity",
        b"",
    ]


def test_without_a_contact_a_request_says_what_asks(internet: Internet) -> None:
    agent = f"User-Agent: deepselfie/{version('deepselfie')} (judges photos that mention it)"

    assert agent.encode() in request(internet)


def test_no_proxy_of_the_environment_hears_of_it(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = []
    with talker(lambda it: requests.append(heard(it))) as proxy, talker(saying(ok(b"photo"))) as port:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
            if os.name == "posix":
                monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{proxy}")
        with guarded(internet) as downloader:
            assert downloader.fetch(internet.host("example.org", port)).body == b"photo"
            assert fault(downloader, "https://example.org/") == "unreachable"

    assert requests == []


@pytest.mark.parametrize(
    "contact", ["https://example.social/@bot", "mailto:bot@example.org", "bot@example.org"]
)
def test_a_contact_is_a_url_or_an_address(contact: str) -> None:
    assert load(WorkerSettings, {"WORKER_CONTACT": contact}).contact == contact


@pytest.mark.parametrize(
    "contact", ["a b", "a\r\nX-Evil: 1", "bot@exämple.org", "(me)", "back\\slash", "x" * 201]
)
def test_a_contact_that_a_header_cannot_hold_is_refused(contact: str) -> None:
    with pytest.raises(SettingsError, match=r"WORKER_CONTACT is .*, which is wrong: .* plain ASCII"):
        load(WorkerSettings, {"WORKER_CONTACT": contact})


def test_a_photo_in_place_of_an_answer_does_not_get_into_the_log(
    internet: Internet, downloader: Downloader, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with talker(once(b"\xff\xd8 canary \r\n\r\n")) as port:
        assert fault(downloader, internet.host("example.org", port)) == "unreachable"

    [record] = caplog.records
    assert record.getMessage() == "download failed"
    assert "canary" not in str(vars(record))
