"""Nobody's trick takes longer than the deadline, costs much, or holds back another's photo."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from tests.internet import Internet, fault, guarded
from tests.waiting import eventually, open_files
from tests.web import Talk, endless, mute_after, ok, saying, silence, talker
from worker.dialler import MAX_LOOKUPS
from worker.download import MAX_CONNECTIONS, MAX_CONNECTIONS_PER_HOST

SECONDS = 0.3
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

SLOW: dict[str, Talk] = {
    "a body in drips": endless(HEAD + b"\r\n", b"x", 0.01),
    "a long body in drips": endless(HEAD + b"Content-Length: 1000000\r\n\r\n", b"x", 0.01),
    "chunks in drips": endless(CHUNKED, b"1\r\nx\r\n", 0.01),
    "headers in drips": endless(HEAD, b"x", 0.01),
    "a status line in drips": endless(b"", b"H", 0.01),
    "more and more headers": endless(HEAD, b"X-Y: z\r\n", 0.01),
    "100 Continue in drips": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    "trailers in drips": endless(CHUNKED + b"0\r\n", b"X-Y: z\r\n", 0.01),
    "silence": silence,
    "silence after the headers": mute_after(HEAD + b"Content-Length: 9\r\n\r\n"),
    "a page in drips": endless(HEAD.replace(b"image/jpeg", b"text/html") + b"\r\n", b"<p>", 0.01),
}  # fmt: skip

# As fast as they are taken: the deadline alone would let them burn a core.
FLOODS: dict[str, tuple[Talk, str]] = {
    "headers": (endless(HEAD, b"X-Y: z\r\n"), "unreachable"),
    "one endless header": (endless(HEAD + b"X-Y: ", b"z"), "unreachable"),
    "an endless status line": (endless(b"HTTP/1.1 200 ", b"O"), "unreachable"),
    "100 Continue": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "unreachable"),
    "a body": (endless(HEAD + b"\r\n", b"x"), "too_many_bytes"),
    "chunks": (endless(CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"), "too_many_bytes"),
    "tiny chunks": (endless(CHUNKED, b"1\r\nx\r\n"), "unreachable"),
    "an endless size of a chunk": (endless(CHUNKED + b"1;", b"x"), "unreachable"),
    "chunks with more to say than to bring": (
        endless(CHUNKED, b"200;" + b"y" * 4096 + b"\r\n" + b"x" * 512 + b"\r\n"),
        "unreachable",
    ),
    "trailers": (endless(CHUNKED + b"0\r\n", b"X-Y: z\r\n"), "unreachable"),
}


@pytest.fixture
def internet() -> Internet:
    return Internet()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    since = time.monotonic()
    yield
    assert time.monotonic() - since < seconds


@pytest.mark.parametrize("trick", SLOW)
def test_a_slow_server_is_given_up_at_the_deadline(internet: Internet, trick: str) -> None:
    with guarded(internet, seconds=SECONDS) as downloader, talker(SLOW[trick]) as port, within(5):
        assert fault(downloader, internet.host("slow.example", port)) == "too_slow"


@pytest.mark.parametrize("trick", FLOODS)
def test_a_flood_is_cut_off_long_before_the_deadline(internet: Internet, trick: str) -> None:
    talk, expected = FLOODS[trick]
    with guarded(internet, seconds=30) as downloader, talker(talk) as port, within(5):
        assert fault(downloader, internet.host("flood.example", port)) == expected


def test_a_body_of_unknown_length_in_tiny_parts_is_given_up_long_before_its_end(internet: Internet) -> None:
    drip = endless(HEAD + b"\r\n", b"x", 0.002)
    with guarded(internet, megabytes=0.01, seconds=30) as downloader, talker(drip) as port, within(5):
        assert fault(downloader, internet.host("drip.example", port)) == "unreachable"


def test_a_tls_handshake_that_hangs_is_given_up_and_hung_up(internet: Internet) -> None:
    with guarded(internet, seconds=SECONDS) as downloader, talker(silence) as port:
        urls = [internet.host(f"{n}.example", port, at=443) for n in range(20)]
        before = open_files()
        # One after the other they would take six.
        with within(5):
            outcomes = downloader.photos(urls)

        assert {str(outcome) for outcome in outcomes} == {f"('too_slow', None, {SECONDS})"}
        assert eventually(lambda: open_files() <= before)


def test_a_name_server_that_hangs_is_given_up_and_holds_back_nobody(internet: Internet) -> None:
    answer = threading.Event()
    with hanging_names(internet, answer), guarded(internet, seconds=2) as downloader:
        with talker(saying(ok(b"photo"))) as port, ThreadPoolExecutor() as others:
            hanging = others.submit(downloader.photos, [f"http://{n}.hangs/" for n in range(50)])
            time.sleep(0.05)

            assert downloader.fetch(internet.host("good.example", port)).body == b"photo"
            assert not hanging.done()
            assert {str(outcome) for outcome in hanging.result()} == {"('too_slow', None, 2)"}
        answer.set()


def test_lookups_that_hang_do_not_pile_up_without_bound(internet: Internet) -> None:
    answer = threading.Event()
    with hanging_names(internet, answer), guarded(internet, seconds=0.05) as downloader:
        downloader.photos([f"http://{n}.hangs/" for n in range(MAX_LOOKUPS + MAX_CONNECTIONS)])

        assert sum(thread.name == "lookup" for thread in threading.enumerate()) == MAX_LOOKUPS
        assert fault(downloader, "http://one-more.hangs/") == "unreachable"
        answer.set()
        with talker(saying(ok(b"photo"))) as port:
            url = internet.host("good.example", port)
            assert eventually(lambda: isinstance(downloader.photos([url])[0], bytes))


def test_fifty_drips_do_not_hold_back_a_good_photo(internet: Internet) -> None:
    with ExitStack() as servers, guarded(internet, seconds=3) as downloader:
        drips = [
            internet.host(f"{n}.drip.example", servers.enter_context(talker(SLOW["a body in drips"])))
            for n in range(50)
        ]
        good = internet.host("good.example", servers.enter_context(talker(saying(ok(b"photo")))))
        others = servers.enter_context(ThreadPoolExecutor())
        dripping = others.submit(downloader.photos, drips)
        assert eventually(lambda: len(internet.dialled) == 50)

        assert downloader.fetch(good).body == b"photo"
        assert not dripping.done()
        assert {str(outcome) for outcome in dripping.result()} == {"('too_slow', None, 3)"}


def test_a_good_photo_does_not_pay_for_a_crowd_of_drips(internet: Internet) -> None:
    """All connections are taken for longer than its deadline, and still it comes."""
    with talker(SLOW["a body in drips"]) as drip, talker(saying(ok(b"photo"))) as port:
        drips = [internet.host(f"{n}.drip.example", drip) for n in range(2 * MAX_CONNECTIONS + 1)]
        good = internet.host("good.example", port)
        with guarded(internet, seconds=1) as downloader, ThreadPoolExecutor() as others:
            dripping = others.submit(downloader.photos, drips)
            assert eventually(lambda: len(internet.dialled) >= MAX_CONNECTIONS)
            since = time.monotonic()

            assert downloader.fetch(good).body == b"photo"
            assert time.monotonic() - since > 1
            dripping.result()


def test_one_hosts_crowd_takes_no_more_than_its_share(internet: Internet) -> None:
    with talker(SLOW["a body in drips"]) as drip, talker(saying(ok(b"photo"))) as port:
        slow, good = internet.host("drip.example", drip), internet.host("good.example", port)
        with guarded(internet, seconds=3) as downloader, ThreadPoolExecutor() as others:
            dripping = others.submit(downloader.photos, [slow] * 200)
            assert eventually(lambda: len(internet.dialled) == MAX_CONNECTIONS_PER_HOST)

            assert downloader.fetch(good).body == b"photo"
            assert not dripping.done()
            with within(6):
                assert {str(outcome) for outcome in dripping.result()} == {"('too_slow', None, 3)"}
        assert internet.dialled.count("93.184.0.0") < 3 * MAX_CONNECTIONS_PER_HOST


def test_what_was_given_up_leaves_nothing_open(internet: Internet) -> None:
    with ExitStack() as servers, guarded(internet, seconds=SECONDS) as downloader:
        talks = [*SLOW.values(), *(talk for talk, _ in FLOODS.values())]
        ports = [servers.enter_context(talker(talk)) for talk in talks]
        urls = [internet.host(f"{n}.example", port) for n, port in enumerate(ports)]
        before = open_files()

        assert not any(isinstance(outcome, bytes) for outcome in downloader.photos(urls * 3))
        assert eventually(lambda: open_files() <= before)


@contextmanager
def hanging_names(internet: Internet, answer: threading.Event) -> Iterator[None]:
    """Names that end in .hangs have no address until the answer comes."""
    resolve = internet.resolve

    def hang(host: str, port: int) -> Sequence[str]:
        if host.endswith(".hangs"):
            answer.wait(30)
            raise OSError(host)
        return resolve(host, port)

    internet.resolve = hang  # type: ignore[method-assign]
    yield
