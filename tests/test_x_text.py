"""How X counts, and what it links."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twitter_text import extract_urls_with_indices

from bot.networks.x_text import length, unlinked


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("", 0),
        ("83/100.", 7),
        ("Zürich", 6),
        ("日本語", 6),
        ("한국어", 6),
        ("…", 2),
        ("😀", 2),
        ("👨‍👩‍👧‍👦", 2),
        ("👍🏽", 2),
        ("🇫🇷", 2),
        ("e\u0301", 1),
    ],
)
def test_a_text_counts_as_x_counts_it(text: str, counted: int) -> None:
    assert length(text) == counted


@pytest.mark.parametrize(
    "text",
    [
        "example.com",
        "see http://example.com/a?b=c.",
        "münchen.de",
        "a.b.example.photo",
        "x.ai",
        "日本.jp",
        "1.fm",
    ],
)
def test_nothing_is_left_to_link(text: str) -> None:
    assert extract_urls_with_indices(unlinked(text)) == []
    assert unlinked(text).replace("\u2060", "") == text


@pytest.mark.parametrize("text", ["83/100. Better than 12.5 % of all.", "Well...", "2.5 MB"])
def test_sentences_and_numbers_stay_as_they_are(text: str) -> None:
    assert unlinked(text) == text


NAMES = st.from_regex(
    r"(https?://)?[a-z0-9]([a-z0-9.-]{0,9}[a-z0-9])?\.(com|ai|de|photo|co\.uk)(/\S*)?", fullmatch=True
)


@given(st.lists(NAMES | st.text()))
def test_no_mixture_of_names_and_text_is_linked(parts: list[str]) -> None:
    assert extract_urls_with_indices(unlinked(" ".join(parts))) == []
