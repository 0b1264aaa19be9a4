"""An address is dialled, and still TLS asks for the name."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.internet import Internet, fault, guarded
from tests.web import heard, ok, saying, talker
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
