"""The stream of a server that speaks Mastodon's API: a WebSocket of our own.

Mastodon.py's turns read timeouts into TypeError, reconnects without a pause, and retries what is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

from websockets.sync.client import connect

from bot.networks.base import Alive, NetworkError
from bot.networks.mastodon_errors import stream_errors
from bot.networks.mastodon_rest import TIMEOUT_SECONDS, USER_AGENT
from bot.networks.mastodon_wire import Event
from bot.networks.wire import parse

# A stream is silent for twice as long at most before it counts as broken.
PING_SECONDS = 10
MAX_EVENT_BYTES = 1 << 20


def events(url: str, token: str, alive: Alive) -> Iterator[Event]:
    """What happens, until the server ends the stream.

    Args:
        url: Where the server's stream is, wss://example.social.
        token: The account's.
        alive: Called once the stream is open, and then at every sign of life, with what ends it.

    Raises:
        NetworkError: It broke, or is refused.
    """
    with (
        stream_errors(),
        connect(
            # Only the whole stream tells of deletions, not user:notification.
            f"{url}/api/v1/streaming?stream=user",
            additional_headers={"Authorization": f"Bearer {token}"},
            user_agent_header=USER_AGENT,
            open_timeout=TIMEOUT_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            # Who does not answer a ping does not say goodbye either.
            close_timeout=1,
            max_size=MAX_EVENT_BYTES,
        ) as socket,
    ):
        while True:
            alive(socket.close)
            # A server that does not answer a ping within as long again ends the stream with an error.
            with suppress(TimeoutError):
                if event := _event(socket.recv(timeout=PING_SECONDS)):
                    yield event


def _event(text: str | bytes) -> Event | None:
    try:
        return parse(Event, json.loads(text))
    except ValueError:
        raise NetworkError("the stream sent half an event") from None
