"""How X counts a text, and what it would make a link of."""

from __future__ import annotations

import re

from twitter_text import parse_tweet

# X links bare domains too, and learns new top-level domains faster than any list of them does. So a joiner
# goes behind every dot that could stand in one: it shows nothing, and "example.com" is no link.
WORD_JOINER = "\u2060"
DOT = re.compile(r"(?<=\w)\.(?=[^\W\d_])")


def unlinked(text: str) -> str:
    """The text, such that X makes no link of any part of it."""
    return DOT.sub(f".{WORD_JOINER}", text)


def length(text: str) -> int:
    """Length of a text, unlinked, as X counts it: most scripts 1 a character, CJK and emoji 2, of 280."""
    counted: int = parse_tweet(unlinked(text)).weightedLength
    return counted
