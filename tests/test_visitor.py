from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from model.collection.visitor import CollectionError, Manners, Refused, Visitor
from tests.collecting import Rests, visiting
from tests.instance import Fault, Instance, instance
from tests.web import endless, saying, talker

ABOUT = "/api/v2/instance"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[Instance]:
    with instance() as running:
        yield running


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": "Sun, 01 Mar 2026 12:01:30 GMT"}, 91),
        ({"X-RateLimit-Reset": "2026-03-01T12:05:00.000Z"}, 301),
        ({"RateLimit-Reset": str(round(NOON.timestamp()) + 60)}, 61),
        ({}, 1),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "later"}, 1),
    ],
)
def test_a_server_that_is_asked_too_often_gets_the_pause_it_wants_by_its_own_clock(
    server: Instance, headers: dict[str, str], seconds: int
) -> None:
    server.faults.append((ABOUT, Fault(429, {"Date": "Sun, 01 Mar 2026 12:00:00 GMT", **headers})))
    rests = Rests()

    with visiting(rests) as visitor:
        answer = visitor.ask(f"{server.url}{ABOUT}")

    assert answer.json["domain"] == "example.social"
    assert rests.seconds == [seconds]


def test_a_limit_is_not_used_up_so_that_others_can_call_too(server: Instance) -> None:
    server.headers = {
        "Date": "Sun, 01 Mar 2026 12:00:00 GMT",
        "X-RateLimit-Limit": "300",
        "X-RateLimit-Remaining": "15",
        "X-RateLimit-Reset": "2026-03-01T12:03:20.000Z",
    }
    rests = Rests()

    with visiting(rests) as visitor:
        visitor.ask(f"{server.url}{ABOUT}")
        server.headers["X-RateLimit-Remaining"] = "16"
        visitor.ask(f"{server.url}{ABOUT}")

    assert rests.seconds == [201]


def test_a_server_that_wants_a_very_long_pause_ends_the_run(server: Instance) -> None:
    server.faults.append((ABOUT, Fault(429, {"Retry-After": "7200"})))

    with visiting() as visitor, pytest.raises(CollectionError, match="a pause of 120 minutes; what was coll"):
        visitor.ask(f"{server.url}{ABOUT}")


def test_trouble_is_met_with_longer_and_longer_pauses_and_an_end(server: Instance) -> None:
    server.faults += [(ABOUT, Fault(500))] * 5
    rests = Rests()

    with visiting(rests) as visitor, pytest.raises(CollectionError, match=r"in 5 tries \(status 500\)"):
        visitor.ask(f"{server.url}{ABOUT}")

    assert rests.seconds == [1, 2, 4, 8]


def test_a_server_that_is_not_there_is_named() -> None:
    with visiting() as visitor, pytest.raises(CollectionError, match=r"127\.0\.0\.1:1 gave no answer"):
        visitor.ask("http://127.0.0.1:1/")


def test_between_two_calls_there_is_a_pause(server: Instance) -> None:
    waits: list[float] = []
    visitor = Visitor(Manners("me", pause=30), lambda seconds, _: waits.append(seconds))

    visitor.ask(f"{server.url}{ABOUT}")
    visitor.ask(f"{server.url}{ABOUT}")
    visitor.close()

    assert [round(wait) for wait in waits] == [30]


def test_an_answer_without_end_is_not_read_to_the_end() -> None:
    with (
        talker(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x")) as port,
        visiting(megabytes=0.5) as visitor,
        pytest.raises(Refused, match=r"has more than 0\.5 MB; raise --megabytes"),
    ):
        visitor.photo(f"http://127.0.0.1:{port}/photo.jpg")


def test_what_is_packed_is_not_unpacked() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"
    with talker(saying(answer)) as port, visiting() as visitor:
        assert visitor.photo(f"http://127.0.0.1:{port}/photo.jpg") == b"hello"


def test_redirects_lead_nowhere(server: Instance) -> None:
    server.faults.append(("/media", Fault(302, {"Location": f"{server.url}/elsewhere"})))

    with visiting() as visitor, pytest.raises(Refused, match="answers 302"):
        visitor.photo(f"{server.url}/media/1.jpg")

    assert server.read("/elsewhere") == []


def test_a_page_that_is_no_api_is_called_that(server: Instance) -> None:
    server.robots = "<html>Welcome</html>"

    with (
        visiting() as visitor,
        pytest.raises(CollectionError, match="no JSON but '<html>Welcome</html>'; is --s"),
    ):
        visitor.ask(f"{server.url}/robots.txt")


def test_robots_txt_is_asked_for_once_and_none_allows_all(server: Instance) -> None:
    server.faults.append(("/robots.txt", Fault(404)))

    with visiting() as visitor:
        assert visitor.may(f"{server.url}/media/1.jpg")
        assert visitor.may(f"{server.url}/media/2.jpg")

    assert len(server.read("/robots.txt")) == 1


def test_robots_txt_may_speak_to_us_by_name(server: Instance) -> None:
    server.robots = "User-agent: deepselfie\nDisallow: /\n\nUser-agent: *\nAllow: /"

    with visiting() as visitor:
        assert not visitor.may(f"{server.url}/media/1.jpg")
