from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.networks.bluesky_paging import EPOCH, OVERLAP, Place

NOW = datetime(2026, 11, 22, 10, 0, 0, 123000, UTC)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def test_a_place_reads_as_it_was_written() -> None:
    place = Place(EPOCH, "2026-11-22T10:00:00.123Z", NOW)

    assert Place.parse(str(place)) == place
    assert Place.parse(NOW.isoformat()) == Place(NOW)


def test_a_look_is_over_once_it_has_come_down_to_where_the_last_one_began() -> None:
    place = Place(ago(60))

    assert place.below([NOW, ago(61)], "further") is None
    assert place.below([NOW, ago(59)], None) is None
    assert place.below([NOW, ago(60)], "further") is not None


def test_only_what_lay_at_the_top_decides_where_the_next_look_starts() -> None:
    below = Place(ago(60)).below([NOW, ago(20)], "further")

    assert below
    assert below.settle([ago(20), ago(61)]) == NOW - OVERLAP


def test_the_next_look_never_starts_before_this_one() -> None:
    assert Place(ago(5)).settle([NOW]) == ago(5)
    assert Place(ago(5)).settle([]) == ago(5)


def test_the_last_millisecond_of_a_page_is_read_again_unless_it_fills_the_page() -> None:
    first = Place(EPOCH).below([NOW], "2026-11-22T10:00:00.123Z")
    assert first
    assert first.at == "2026-11-22T10:00:00.124Z"

    second = first.below([NOW, NOW], "2026-11-22T10:00:00.123Z")

    assert second
    assert second.at == "2026-11-22T10:00:00.123Z"


def test_a_cursor_that_is_no_time_is_used_as_it_is() -> None:
    below = Place(EPOCH).below([NOW], "opaque")

    assert below
    assert below.at == "opaque"
