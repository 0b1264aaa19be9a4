"""What goes wrong between the bot and a Mastodon server, as NetworkError."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import mastodon as mastodon_py
from urllib3.exceptions import NewConnectionError
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus, WebSocketException

from bot.networks.base import NetworkError


@contextmanager
def errors(client: mastodon_py.Mastodon, doing: str) -> Iterator[None]:
    """Turn Mastodon.py's errors into ours."""
    try:
        yield
    except mastodon_py.MastodonUnauthorizedError as error:
        message = (
            f"{doing}: the server does not accept the token ({_words(error)}); set a valid MASTODON_TOKEN"
        )
        raise NetworkError(message, permanent=True) from None
    except mastodon_py.MastodonRatelimitError:
        wait = max(1.0, (client.ratelimit_reset or 0) - time.time())
        raise NetworkError(f"{doing}: rate limited for {wait:.0f} s", retry_after=wait) from None
    except (mastodon_py.MastodonNetworkError, mastodon_py.MastodonServerError) as error:
        unknown = not _was_refused(error)
        raise NetworkError(f"{doing}: {_words(error)}", unknown=unknown) from None
    except mastodon_py.MastodonError as error:
        refused = is_refusal(error)
        raise NetworkError(f"{doing}: {_words(error)}", permanent=refused, unknown=not refused) from None


def _was_refused(error: mastodon_py.MastodonError) -> bool:
    """Whether not even a connection came about, so that the server cannot have done anything."""
    cause = error.__context__
    reason = getattr(cause.args[0], "reason", None) if cause and cause.args else None
    return isinstance(reason, NewConnectionError)


def is_refusal(error: mastodon_py.MastodonError) -> bool:
    """Whether the server itself said no, with a status and a reason in its JSON.

    A firewall's or a maintenance page has no such reason, and goes away.
    """
    match error.args:
        case (_, int(status), _, str(reason)):
            return 400 <= status < 500 and bool(reason)
        case _:
            return False


def _words(error: Exception) -> str:
    return " ".join(str(part) for part in error.args if part)


@contextmanager
def stream_errors() -> Iterator[None]:
    """Turn a WebSocket's errors into ours; a stream that the server ends politely is none."""
    try:
        yield
    except ConnectionClosedOK:
        return
    except InvalidStatus as error:
        status = error.response.status_code
        message = f"the stream answered {status}"
        raise NetworkError(message, permanent=status in {401, 403}) from None
    except (ConnectionClosed, WebSocketException, OSError) as error:
        raise NetworkError(f"the stream broke: {error}") from None
