"""Hosts of the operator's own network that links may lead to: those, and nothing else of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.internet import Internet, fault, guarded
from tests.web import moved, ok, saying, talker
from worker.download import Downloader

ADDRESS = "172.18.0.5"
PHOTO = b"\xff\xd8 a photo"


@pytest.fixture
def internet() -> Internet:
    internet = Internet()
    internet.name("sandbox.", [ADDRESS])
    internet.name("redis", [ADDRESS])
    return internet


@pytest.fixture
def downloader(internet: Internet) -> Iterator[Downloader]:
    with guarded(internet, private_hosts={("sandbox", 8015)}) as downloader:
        yield downloader


def test_a_host_that_the_operator_names_is_opened_on_its_port(
    internet: Internet, downloader: Downloader
) -> None:
    with talker(saying(ok(PHOTO))) as port:
        internet.servers[ADDRESS, 8015] = port

        assert downloader.fetch("http://SANDBOX:8015/photo.jpg").body == PHOTO


@pytest.mark.parametrize(
    "elsewhere",
    [
        "http://sandbox/",
        "http://sandbox:6379/",
        "https://sandbox:443/",
        "http://redis:8015/",
        f"http://{ADDRESS}:8015/",
        "http://sandbox.:8015/",
        "http://sandbox.example.com:8015/",
        "http://127.0.0.1:8015/",
    ],
)
def test_neither_a_link_nor_a_redirect_leads_from_there_to_anything_else(
    internet: Internet, downloader: Downloader, elsewhere: str
) -> None:
    internet.name("sandbox", [ADDRESS])
    internet.name("sandbox.example.com", [ADDRESS])
    with talker(saying(moved(elsewhere))) as port:
        internet.servers[ADDRESS, 8015] = port

        assert fault(downloader, elsewhere) == "forbidden_address"
        assert fault(downloader, "http://sandbox:8015/") == "forbidden_address"
    assert internet.dialled == [ADDRESS]


def test_a_name_is_looked_up_as_it_stands_and_never_in_a_domain_of_the_hosts_own(
    internet: Internet, downloader: Downloader
) -> None:
    # What a resolver makes of a name without a dot at its end, where nothing else has that name.
    del internet.names["sandbox."]
    internet.name("sandbox", ["10.1.2.3"])

    assert fault(downloader, "http://sandbox:8015/") == "unreachable"
    assert internet.dialled == []


def test_an_address_may_be_named_too(internet: Internet) -> None:
    internet.name(ADDRESS, [ADDRESS])
    with guarded(internet, private_hosts={(ADDRESS, 8015)}) as downloader, talker(saying(ok(PHOTO))) as port:
        internet.servers[ADDRESS, 8015] = port

        assert downloader.fetch(f"http://{ADDRESS}:8015/photo.jpg").body == PHOTO
