from __future__ import annotations

import socket
from pathlib import Path

import pytest

from benchmarks.hostile_links import judge_links, read_links, surely_public, witnessed
from tests.internet import Internet
from tests.test_download_addresses import NAMES, NOTATIONS
from tests.web import silence, talker


def test_no_hostile_link_is_dialled_inside() -> None:
    internet = Internet()
    for name, address in NAMES.items():
        internet.name(name.lower(), [address])
    hosts = [*NAMES, *(host for notations in NOTATIONS.values() for host in notations.split())]

    outcome = judge_links([f"http://{host}/" for host in hosts], resolve=internet.resolve)

    assert outcome.links == len(hosts) == sum(outcome.counts.values())
    assert set(outcome.counts) == {"forbidden_address", "bad_link", "unreachable"}
    assert (outcome.connects, outcome.connects_inside, outcome.crashes) == (0, (), ())


def test_the_witness_sees_what_is_dialled() -> None:
    with talker(silence) as port:
        with witnessed() as dialled:
            socket.create_connection(("127.0.0.1", port)).close()
        socket.create_connection(("127.0.0.1", port)).close()

    assert dialled == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("168.63.129.16", False),
        ("224.0.0.1", False),
        ("::ffff:8.8.8.8", False),
        ("64:ff9b::808:808", False),
        ("2002:808:808::1", False),
        ("2a00:1450::5efe:808:808", False),
        ("2606:2800:220:1::1%eth0", False),
    ],
)
def test_the_second_opinion_takes_nothing_for_public_that_leads_elsewhere(address: str, public: bool) -> None:
    assert surely_public(address) == public


def test_links_are_read_from_plain_lines_and_json(tmp_path: Path) -> None:
    file = tmp_path / "links"
    file.write_text('http://a/\n{"u": "http://b/"}\r\n\n{"url": "http://c\\n/"}\nhttp://d/\u2028e\n')

    assert list(read_links(file)) == ["http://a/", "http://b/", "http://c\n/", "http://d/\u2028e"]
