"""Plain text → the HTML Mastodon would make of it. Safe by construction: every piece is escaped or ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

# In this order, so that an @ or # inside a link stays part of the link.
TOKEN = re.compile(
    r"(?P<link>https?://[^\s<>\"]+)"
    r"|(?<![=/\w.])@(?P<name>[a-z0-9_]+(?:[a-z0-9_.-]*[a-z0-9_])?)(?:@(?P<domain>[a-z0-9.:-]*[a-z0-9]))?"
    r"|(?<![=/\w)&])\#(?P<tag>\w*[^\W\d]\w*)",
    re.IGNORECASE,
)
AFTER_A_LINK = ".,;:!?'\")]}"  # punctuation that ends the sentence, not the address
LINK_LENGTH = 23  # every link counts as many characters, however long it is
LINK_SHOWN = 30  # characters of a link that are shown


def mentioned(text: str, host: str) -> list[str]:
    """Return the names of this network's people that a text mentions, lower case, each once."""
    names = [match["name"].lower() for match in TOKEN.finditer(text) if _is_local(match, host)]
    return list(dict.fromkeys(names))


def tags(text: str) -> list[str]:
    """Return a text's hashtags without #, lower case, each once."""
    return list(dict.fromkeys(match["tag"].lower() for match in TOKEN.finditer(text) if match["tag"]))


def length(text: str) -> int:
    """Return how many characters Mastodon counts: links as 23, mentions without their domain."""

    def counted(match: re.Match[str]) -> str:
        if match["link"]:
            return "x" * LINK_LENGTH
        return f"@{match['name']}" if match["domain"] else match[0]

    return len(TOKEN.sub(counted, text))


def html(text: str, base: str, people: Mapping[str, str]) -> str:
    """Return a status's content.

    Args:
        text: What the author typed.
        base: Where this network is reached, such as http://localhost:8080, for links to tags.
        people: The address of each person the status mentions, by lower-case name.
    """
    pieces: list[str] = []
    end = 0
    for match in TOKEN.finditer(text):
        pieces += [escape(text[end : match.start()]), _token(match, base, people)]
        end = match.end()
    return _paragraphs("".join([*pieces, escape(text[end:])]))


def _is_local(match: re.Match[str], host: str) -> bool:
    return bool(match["name"]) and (match["domain"] or host).lower() == host


def _token(match: re.Match[str], base: str, people: Mapping[str, str]) -> str:
    if match["link"]:
        return _link(match["link"])
    if match["tag"]:
        tag, page = escape(match["tag"]), escape(f"{base}/tags/{match['tag'].lower()}")
        return f'<a href="{page}" class="mention hashtag" rel="tag">#<span>{tag}</span></a>'
    address = people.get(match["name"].lower())
    if address is None or not _is_local(match, base.partition("://")[2].lower()):
        return escape(match[0])
    name = escape(match["name"])
    return (
        f'<span class="h-card" translate="no"><a href="{escape(address)}" class="u-url mention">'
        f"@<span>{name}</span></a></span>"
    )


def _link(found: str) -> str:
    address = found.rstrip(AFTER_A_LINK)
    rest = escape(found[len(address) :])
    prefix = re.match(r"https?://(?:www\.)?", address, re.IGNORECASE)
    bare = address[prefix.end() :] if prefix else address
    shown, hidden = bare[:LINK_SHOWN], bare[LINK_SHOWN:]
    return (
        f'<a href="{escape(address)}" target="_blank" rel="nofollow noopener" translate="no">'
        f'<span class="invisible">{escape(prefix[0]) if prefix else ""}</span>'
        f'<span class="{"ellipsis" if hidden else ""}">{escape(shown)}</span>'
        f'<span class="invisible">{escape(hidden)}</span></a>{rest}'
    )


def _paragraphs(safe: str) -> str:
    lines = safe.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if not lines:
        return ""
    return "".join(f"<p>{part.replace(chr(10), '<br />')}</p>" for part in re.split(r"\n{2,}", lines))
