"""An address is dialled, and still TLS asks for the name."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from tests.internet import Internet, fault, guarded
from tests.web import Talk, heard, ok, saying, talker
from worker.download import Downloader


@pytest.fixture
def internet() -> Internet:
    return Internet()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def downloader(
    internet: Internet, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Downloader]:
    """It trusts one authority, as an operator would tell it to."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with guarded(internet) as downloader:
        yield downloader


def certified(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """What a server needs to prove that it is one of these hosts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def test_a_photo_is_fetched_from_who_can_prove_its_name(
    internet: Internet, downloader: Downloader, authority: trustme.CA
) -> None:
    names = []
    context = certified(authority, "photos.example")
    context.sni_callback = lambda _, name, __: names.append(name)
    with talker(saying(ok(b"photo")), context) as port:
        url = internet.host("photos.example", port, at=443)

        assert downloader.fetch(url).body == b"photo"

    assert names == ["photos.example"]
    assert internet.dialled == ["93.184.0.0"]


@pytest.mark.parametrize("names", [["other.example"], ["93.184.0.0"], ["localhost", "127.0.0.1"]])
def test_who_proves_another_name_is_not_asked(
    internet: Internet, downloader: Downloader, authority: trustme.CA, names: list[str]
) -> None:
    requests = []
    with talker(lambda it: requests.append(heard(it)), certified(authority, *names)) as port:
        assert fault(downloader, internet.host("photos.example", port, at=443)) == "unreachable"

    assert requests in ([], [b""])


def test_an_authority_that_nobody_trusts_proves_nothing(internet: Internet, downloader: Downloader) -> None:
    with talker(saying(ok(b"photo")), certified(trustme.CA(), "photos.example")) as port:
        assert fault(downloader, internet.host("photos.example", port, at=443)) == "unreachable"


def test_a_certificate_for_an_address_is_good_for_that_address(
    internet: Internet, downloader: Downloader, authority: trustme.CA
) -> None:
    with talker(saying(ok(b"photo")), certified(authority, "93.184.0.0")) as port:
        internet.host("photos.example", port, at=443)

        assert downloader.fetch("https://93.184.0.0/").body == b"photo"


def test_plain_words_on_the_secure_port_are_unreachable(internet: Internet, downloader: Downloader) -> None:
    with talker(lambda it: it.sendall(ok(b"photo"))) as port:
        assert fault(downloader, internet.host("photos.example", port, at=443)) == "unreachable"


def test_a_record_for_each_byte_is_not_waited_for(
    internet: Internet, downloader: Downloader, authority: trustme.CA
) -> None:
    """Each costs as much as a whole read."""
    sent = 0

    def talk(connection: socket.socket) -> None:
        nonlocal sent
        heard(connection)
        while connection.send(b"H"):
            sent += 1
            time.sleep(1e-5)

    with talker(talk, certified(authority, "drip.example")) as port:
        assert fault(downloader, internet.host("drip.example", port, at=443)) == "unreachable"

    assert sent < 10_000


def test_what_is_said_before_the_handshake_does_not_pass_for_the_hosts_words(
    internet: Internet, downloader: Downloader, authority: trustme.CA
) -> None:
    context = certified(authority, "photos.example")

    def talk(connection: socket.socket) -> None:
        connection.sendall(ok(b"injected"))
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.sendall(ok(b"photo"))

    with talker(talk) as port:
        assert fault(downloader, internet.host("photos.example", port, at=443)) == "unreachable"


def chunked(body: bytes) -> bytes:
    chunks = (body[at : at + 10_000] for at in range(0, len(body), 10_000))
    told = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + told + b"0\r\n\r\n"


def until_the_end(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body


@pytest.mark.parametrize("says_goodbye", [True, False])
@pytest.mark.parametrize("answer", [ok, chunked, until_the_end])
def test_a_photo_arrives_whole_from_a_server_that_hangs_up_at_once(
    internet: Internet,
    downloader: Downloader,
    authority: trustme.CA,
    answer: Callable[[bytes], bytes],
    says_goodbye: bool,
) -> None:
    photos = [bytes(range(256)) * size for size in (4, 600, 6000)]
    context = certified(authority, "photos.example")

    def talk(connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                request = tls.read(65536)
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
        tls.write(answer(photos[int(request.split()[1][1:])]))
        if says_goodbye:
            with suppress(ssl.SSLWantReadError):
                tls.unwrap()
        connection.sendall(outgoing.read())

    with talker(talk) as port:
        url = internet.host("photos.example", port, at=443)
        assert [downloader.fetch(f"{url}{number}").body for number in range(3)] == photos


def in_records(*pieces: bytes) -> Talk:
    """An answer, each piece of it in a record of its own."""

    def talk(connection: socket.socket) -> None:
        heard(connection)
        for piece in pieces:
            connection.sendall(piece)

    return talk


def test_records_of_single_bytes_in_bulk_are_given_up(
    internet: Internet, downloader: Downloader, authority: trustme.CA
) -> None:
    talk = in_records(b"HTTP/1.1 200 OK\r\nContent-Length: 80000\r\n\r\n", *[b"x"] * 80_000)
    with talker(talk, certified(authority, "drip.example")) as port:
        begin = time.monotonic()
        assert fault(downloader, internet.host("drip.example", port, at=443)) == "unreachable"
    assert time.monotonic() - begin < 2


def test_small_chunks_in_three_records_each_are_taken(
    internet: Internet, downloader: Downloader, authority: trustme.CA
) -> None:
    chunks = [b"100\r\n", b"x" * 256, b"\r\n"] * 3000
    talk = in_records(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n")
    with talker(talk, certified(authority, "photos.example")) as port:
        body = downloader.fetch(internet.host("photos.example", port, at=443)).body
    assert body == b"x" * 768_000
