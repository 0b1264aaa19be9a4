"""The stream's lines, and how often it is opened."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.networks.base import NetworkError
from bot.networks.x_errors import HttpError
from bot.networks.x_stream import MAX_EVENT_BYTES, Kind, Pacing, lines, pause

ONE = b'{"data": {"id": "1"}}'


class Chunks:
    """Bytes in the pieces that a network made of them."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = iter([*chunks, b""])

    def read1(self, amount: int) -> bytes:
        del amount
        return next(self._chunks)


def test_lines_are_events_and_empty_ones_are_signs_of_life() -> None:
    assert list(lines(Chunks(ONE + b"\r\n\r\n", ONE + b"\n"))) == [ONE, b"", ONE]


def test_half_an_event_at_the_end_is_dropped() -> None:
    assert list(lines(Chunks(ONE + b"\r\n" + ONE[:9]))) == [ONE]


@given(st.lists(st.integers(min_value=1, max_value=9), min_size=1))
def test_it_does_not_matter_how_the_bytes_are_cut(sizes: list[int]) -> None:
    text, chunks = (ONE + b"\r\n\r\n") * 3, []
    for size in sizes:
        chunks.append(text[:size])
        text = text[size:]

    assert list(lines(Chunks(*filter(None, [*chunks, text])))) == [ONE, b""] * 3


def test_server_sent_events_are_understood_too() -> None:
    assert list(lines(Chunks(b": keep-alive\n\ndata: " + ONE + b"\n\n"))) == [b"", b"", ONE, b""]


def test_an_event_that_never_ends_ends_the_stream() -> None:
    with pytest.raises(NetworkError, match="longer than 1048576 bytes"):
        list(lines(Chunks(b"x" * (MAX_EVENT_BYTES + 1))))


def test_a_broken_connection_is_a_network_error() -> None:
    class Broken(Chunks):
        def read1(self, amount: int) -> bytes:
            del amount
            raise ConnectionResetError("connection reset")

    with pytest.raises(NetworkError, match=r"/2/tweets/search/stream: connection reset"):
        list(lines(Broken()))


# ── pauses ──


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        ("network", [1, 1, 1, 1, 1.25, 1.5]),
        ("closed", [1, 2, 4, 8, 16, 32]),
        ("http", [5, 10, 20, 40, 80, 160]),
        ("rate_limited", [60, 120, 240, 480, 960, 960]),
    ],
)
def test_pauses_grow_as_x_asks(kind: Kind, seconds: list[float]) -> None:
    assert [pause(kind, failures) for failures in range(1, 7)] == seconds


@pytest.mark.parametrize(
    ("kind", "longest"), [("network", 16), ("closed", 320), ("http", 320), ("rate_limited", 960)]
)
def test_after_a_thousand_failures_a_pause_is_as_long_as_it_gets(kind: Kind, longest: float) -> None:
    pauses = [pause(kind, failures) for failures in range(1, 1001)]

    assert max(pauses) == pauses[-1] == longest
    assert min(pauses) >= 1


def fail(pacing: Pacing, how: Callable[[], None]) -> NetworkError:
    with pytest.raises(NetworkError) as caught, pacing.attempt():
        how()
    return caught.value


def throw(error: Exception) -> Callable[[], None]:
    def how() -> None:
        raise error

    return how


def test_a_thousand_clean_closes_are_no_hot_loop() -> None:
    pacing = Pacing()
    began = time.monotonic()

    first = fail(pacing, lambda: None)
    second = fail(pacing, lambda: None)

    # Even who does not wait as long as asked opens it once a second at most.
    assert time.monotonic() - began >= 1
    assert 1 <= (first.retry_after or 0) <= 1.25
    assert 2 <= (second.retry_after or 0) <= 2.5


@pytest.mark.parametrize(
    ("error", "least", "most"),
    [
        (NetworkError("reset"), 1, 1.25),
        (HttpError("503"), 5, 6.25),
        (HttpError("429", trouble="rate_limited"), 60, 75),
        (HttpError("429", trouble="rate_limited", retry_after=600), 600, 750),
        (HttpError("402", trouble="out_of_credit", retry_after=3600), 3600, 3600),
    ],
)
def test_each_failure_says_how_long_to_wait(error: NetworkError, least: float, most: float) -> None:
    assert least <= (fail(Pacing(), throw(error)).retry_after or 0) <= most


def test_what_a_reader_raises_passes_through() -> None:
    with pytest.raises(ZeroDivisionError), Pacing().attempt():
        throw(ZeroDivisionError())()
