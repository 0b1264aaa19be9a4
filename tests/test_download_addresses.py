"""However an address is written, whatever a name server says: nothing of the operator's own is dialled."""

# ruff: noqa: RUF001  what looks like a digit and is none is the point

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.internet import Internet, fault, guarded
from tests.web import ok, saying, talker
from worker.download import Downloader

REFUSED = {"forbidden_address", "bad_link", "unreachable"}

# As glibc, browsers and curl read them. Those that are none to this machine's resolver are no danger either.
NOTATIONS = {
    "127.0.0.1 in decimal, octal, hexadecimal, mixed and short forms": """
        127.0.0.1 2130706433 017700000001 0x7f000001 0x7F000001 0177.0.0.1 0177.0000.0000.0001
        0x7f.0.0.1 0x7f.0x0.0x0.0x1 0x7f.1 127.1 127.0.1 0177.1 00000177.0.0.1 127.0x0.1
        127.255.255.254 0 0.0.0.0 0x0 00.0 127.0.0.1. 2130706433. 127.0.0.1.. 127.000.000.001
        4294967295 0xffffffff
    """,
    "more than 32 bits": """
        6425673729 0x17f000001 256.256.256.256 127.0.0.257 127.0.0.0.1
    """,
    "private, shared, link-local, multicast, reserved; clouds' metadata": """
        10.0.0.1 167772161 0x0a000001 012.1 172.16.0.1 172.31.255.255 192.168.0.1 3232235521
        0xc0.0xa8.1 100.64.0.1 100.100.100.200 169.254.169.254 2852039166 0xa9fea9fe
        0251.0376.0251.0376 169.254.43518 168.63.129.16 192.0.0.192 198.18.0.1 224.0.0.1
        239.255.255.250 240.0.0.1 255.255.255.255 192.0.2.1 192.88.99.1 203.0.113.7
    """,
    "digits and dots that Unicode or IDNA fold to ASCII": """
        １２７.0.0.1 ①②⑦.0.0.1 𝟙𝟚𝟟.𝟘.𝟘.𝟙 ₁₂₇.0.0.1 127。0。0。1 127．0．0．1 127｡0｡0｡1 ١٢٧.0.0.1
        ⓛⓞⓒⓐⓛⓗⓞⓢⓣ ｌｏｃａｌｈｏｓｔ loc\u00adalhost local\u200bhost 127.0.0.1\u3002
    """,
    "percent-encoded, and other ways of hiding": """
        %31%32%37.0.0.1 127%2e0%2e0%2e1 127.0.0.1%00.example.org 127.0.0.1%20
        127.0.0.1,example.org example.org@127.0.0.1 user:word@127.0.0.1
        127.0.0.1:80@example.org @127.0.0.1 127.0.0.1;x
    """,
    "IPv6: loopback, unspecified, IPv4 in it, transitions, local, metadata, scoped": """
        [::1] [::] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::0.0.0.1]
        [::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:A9FE:A9FE] [::ffff:8.8.8.8]
        [0:0:0:0:0:ffff:10.0.0.1] [::127.0.0.1] [::7f00:1] [::ffff:0:127.0.0.1]
        [64:ff9b::127.0.0.1] [64:ff9b::a9fe:a9fe] [64:ff9b:1::1] [2002:7f00:1::]
        [2002:a9fe:a9fe::1] [2001::1] [2001:0:7f00:1::] [2001:470::5efe:7f00:1]
        [2001:470::200:5efe:10.0.0.1] [fe80::5efe:192.168.0.1] [fe80::1] [fe80::1%25eth0]
        [fe80::1%eth0] [::1%25lo] [2606:2800:220:1::1%25eth0] [fc00::1] [fd00:ec2::254]
        [fd20:ce::254] [fec0::1] [ff02::1] [2001:db8::1] [3ffe::1] [3fff::1] [100::1] [5f00::1]
        [2001:2::1] [2001:10::1] [2620:4f:8000::1] [::１] [v1.127.0.0.1] [::1 [127.0.0.1] ::1
    """,
}

NAMES = {
    "localhost": "127.0.0.1",
    "localhost.": "127.0.0.1",
    "LOCALHOST": "127.0.0.1",
    "localhost.localdomain": "127.0.0.1",
    "localhost6": "::1",
    "ip6-localhost": "::1",
    "ip6-loopback": "::1",
    "a.localhost": "127.0.0.1",
    "redis": "172.18.0.2",
    "printer.local": "192.168.1.9",
    "db.internal": "10.0.0.5",
    "host.docker.internal": "192.168.65.2",
    "kubernetes.default.svc": "10.96.0.1",
    "metadata": "169.254.169.254",
    "metadata.google.internal": "169.254.169.254",
    "metadata.google.internal.": "169.254.169.254",
    "instance-data": "169.254.169.254",
    "metadata.azure.internal": "168.63.129.16",
    "127.0.0.1.nip.example": "127.0.0.1",
    "mapped.example": "::ffff:169.254.169.254",
    "nat64.example": "64:ff9b::a9fe:a9fe",
    "isatap.example": "2001:470::5efe:a00:1",
    "scoped.example": "fe80::1%eth0",
}

PUBLIC = "93.184.216.34"


@pytest.fixture
def internet() -> Internet:
    return Internet()


@pytest.fixture
def downloader(internet: Internet) -> Iterator[Downloader]:
    with guarded(internet) as downloader:
        yield downloader


def test_no_notation_leads_to_an_address_that_is_not_public(
    internet: Internet, downloader: Downloader
) -> None:
    for host in NOTATIONS:
        for url in (f"http://{host}/", f"https://{host}/latest/meta-data/"):
            assert fault(downloader, url) in REFUSED, url

    assert internet.dialled == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f.1", "127。0。0。1", "[::ffff:7f00:1]", "[2002:7f00:1::]"]
)
def test_an_address_that_can_be_read_is_refused_as_what_it_is(downloader: Downloader, host: str) -> None:
    assert fault(downloader, f"http://{host}/") == "forbidden_address"


@pytest.mark.parametrize(("name", "address"), NAMES.items())
def test_whatever_a_name_promises_its_address_decides(
    internet: Internet, downloader: Downloader, name: str, address: str
) -> None:
    internet.name(name.lower(), [address])

    assert fault(downloader, f"http://{name}/") == "forbidden_address"
    assert internet.dialled == []


def test_one_private_address_among_public_ones_is_enough_to_refuse(
    internet: Internet, downloader: Downloader
) -> None:
    internet.name("mixed.example", [PUBLIC, "8.8.8.8", "10.0.0.1"])

    assert fault(downloader, "http://mixed.example/") == "forbidden_address"
    assert internet.dialled == []


def test_a_name_server_that_changes_its_mind_gains_nothing(
    internet: Internet, downloader: Downloader
) -> None:
    internet.name("rebinding.example", [PUBLIC], ["127.0.0.1"])
    with talker(saying(b"HTTP/1.1 302 Moved\r\nLocation: /again\r\nConnection: close\r\n\r\n")) as port:
        internet.servers[PUBLIC, 80] = port

        assert fault(downloader, "http://rebinding.example/") == "forbidden_address"

    assert internet.dialled == [PUBLIC]


def test_a_name_is_asked_for_once_and_what_was_checked_is_dialled(
    internet: Internet, downloader: Downloader
) -> None:
    internet.name("rebinding.example", [PUBLIC], ["127.0.0.1"])
    with talker(saying(ok(b"photo"))) as port:
        internet.servers[PUBLIC, 80] = port

        assert downloader.fetch("http://rebinding.example/").body == b"photo"

    assert internet.dialled == [PUBLIC]


def test_a_name_without_an_address_is_unreachable(internet: Internet, downloader: Downloader) -> None:
    internet.name("empty.example", [])

    assert fault(downloader, "http://empty.example/") == "unreachable"
    assert fault(downloader, "http://unknown.example/") == "unreachable"


def test_the_next_address_is_tried_when_nobody_answers_at_the_first(
    internet: Internet, downloader: Downloader
) -> None:
    with talker(saying(ok(b"photo"))) as port:
        internet.name("two.example", ["8.8.8.8", PUBLIC])
        internet.servers[PUBLIC, 80] = port

        assert downloader.fetch("http://two.example/").body == b"photo"

    assert internet.dialled == ["8.8.8.8", PUBLIC]


def test_a_host_with_a_thousand_addresses_is_not_tried_a_thousand_times(
    internet: Internet, downloader: Downloader
) -> None:
    internet.name("many.example", [f"93.184.{n >> 8}.{n & 255}" for n in range(1000)])

    assert fault(downloader, "http://many.example/") == "unreachable"
    assert len(internet.dialled) == 4


@pytest.mark.parametrize("port", [1, 22, 25, 81, 6379, 8080, 65535])
def test_only_the_webs_own_ports_are_opened(internet: Internet, downloader: Downloader, port: int) -> None:
    internet.host("example.org", 9)

    assert fault(downloader, f"http://example.org:{port}/") == "forbidden_address"
    assert internet.dialled == []
