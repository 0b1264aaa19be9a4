"""What a server says about itself: how long a post may be, and where its stream is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bot.logs import Log
from bot.networks.base import NetworkError
from bot.networks.mastodon_rest import Rest

LOG = Log(__name__)

DEFAULT_MAX_CHARACTERS = 500


@dataclass(frozen=True)
class Instance:
    """As far as the bot has to know it."""

    max_characters: int = DEFAULT_MAX_CHARACTERS
    streaming: str = ""
    """Where the stream is, ws:// or wss://; empty if there is none."""


def described(rest: Rest) -> Instance:
    """Ask a server, or its older self; what it does not tell is as on Mastodon, but for the stream."""
    for path in ("/api/v2/instance", "/api/v1/instance"):
        try:
            answer = rest.get("asking for the server's limits", path).json
        except NetworkError as error:
            LOG.warning("limits unknown", error=str(error))
            continue
        if isinstance(answer, dict):
            return Instance(_max_characters(answer), _streaming(answer, rest.url))
    LOG.warning("limits unknown, using Mastodon's", max_characters=DEFAULT_MAX_CHARACTERS)
    return Instance(streaming=_websocket(rest.url))


def _max_characters(answer: dict[str, Any]) -> int:
    # Pleroma and its kin have a name of their own.
    found = _inside(answer, "configuration", "statuses", "max_characters") or answer.get("max_toot_chars")
    return found if isinstance(found, int) and found > 0 else DEFAULT_MAX_CHARACTERS


def _streaming(answer: dict[str, Any], url: str) -> str:
    found = _inside(answer, "configuration", "urls", "streaming") or _inside(answer, "urls", "streaming_api")
    if not isinstance(found, str) or not found:
        return ""
    stream = _websocket(found)
    # GoToSocial names wss:// whatever it listens on; that is how the world reaches it, and not how we do.
    return _websocket(url) if stream.startswith("wss:") and url.startswith("http:") else stream


def _inside(answer: Any, *names: str) -> Any:
    for name in names:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


def _websocket(url: str) -> str:
    """A server's address as a WebSocket's, without a path of its own."""
    address = urlsplit(url)
    secure = address.scheme in {"https", "wss"}
    return f"{'wss' if secure else 'ws'}://{address.netloc}"
