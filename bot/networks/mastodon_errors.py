"""What goes wrong between the bot and a Mastodon server, as NetworkError."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus, WebSocketException

from bot.networks.base import NetworkError, Trouble

# A server that limits and does not say for how long.
LIMITED_SECONDS = 60
LONGEST_LIMIT_SECONDS = 3600

# A request that was made too early, or beside its own twin, may pass later.
PASSING = {408, 409, 423, 425}
TROUBLES: Mapping[int, Trouble] = {
    401: "unauthorized",
    403: "unauthorized",
    404: "gone",
    410: "gone",
}
NO_STREAM = {404, 405, 501}


def refusal(doing: str, status: int, headers: Mapping[str, str], body: bytes) -> NetworkError:
    """What an answer that is no success means.

    The server itself says no with a reason in its JSON. A firewall's or a maintenance page has no such
    reason, and goes away.
    """
    reason = _reason(body)
    words = f"{doing}: the server answered {status}{f' ({reason})' if reason else ''}"
    if status == 429:
        wait = limited_for(headers)
        words += f": rate limited for {wait:.0f} s"
        return NetworkError(words, trouble="rate_limited", retry_after=wait)
    if status < 400:
        return NetworkError(f"{words}; set MASTODON_URL to where that leads: {headers.get('Location')}")
    if status == 401:
        words = f"{doing}: the server does not accept the token ({reason or status})"
        return NetworkError(f"{words}; set a valid MASTODON_TOKEN", trouble="unauthorized", permanent=True)
    if status in PASSING or (status >= 500 and status != 501):
        return NetworkError(words, unknown=True)
    trouble = TROUBLES.get(status, "refused")
    if not reason:
        return NetworkError(words, trouble=trouble, unknown=True)
    if status == 403:
        words += "; see that MASTODON_TOKEN has the scopes that README.md names"
    return NetworkError(words, trouble=trouble, permanent=True)


def limited_for(headers: Mapping[str, str]) -> float:
    """Seconds until a server takes calls again: Retry-After, or X-RateLimit-Reset as ISO time or a number."""
    for text, parse in ((headers.get("Retry-After"), _after), (headers.get("X-RateLimit-Reset"), _reset)):
        try:
            wait = parse(text.strip(), _now(headers)) if text else math.nan
        except (ValueError, OverflowError):
            continue
        if math.isfinite(wait):
            return min(max(1.0, wait), LONGEST_LIMIT_SECONDS)
    return LIMITED_SECONDS


def _after(text: str, now: float) -> float:
    try:
        return float(text)
    except ValueError:
        return parsedate_to_datetime(text).timestamp() - now


def _reset(text: str, now: float) -> float:
    """Mastodon sends ISO times, GoToSocial seconds since 1970, others seconds from now."""
    try:
        number = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    return number - now if number > 1e9 else number


def _now(headers: Mapping[str, str]) -> float:
    """The server's own time, by which its resets are to be read."""
    try:
        return parsedate_to_datetime(headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return time.time()


def _reason(body: bytes) -> str:
    """Why a server says no: Mastodon calls it `error`, others `errors` or `detail`."""
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(answer, dict):
        return ""
    found = [answer.get(name) for name in ("error_description", "error", "errors", "detail")]
    return next((str(reason)[:200] for reason in found if reason), "")


@contextmanager
def stream_errors() -> Iterator[None]:
    """Turn a WebSocket's errors into ours; a stream that the server ends politely is none."""
    try:
        yield
    except ConnectionClosedOK:
        return
    except InvalidStatus as error:
        raise _handshake(error.response.status_code, error.response.headers) from None
    except (ConnectionClosed, WebSocketException, OSError) as error:
        raise NetworkError(f"the stream broke: {error}") from None


def _handshake(status: int, headers: Mapping[str, str]) -> NetworkError:
    message = f"the stream answered {status}"
    if status in {401, 403}:
        words = f"{message}: the token is not accepted; set a valid MASTODON_TOKEN"
        return NetworkError(words, trouble="unauthorized", permanent=True)
    if status in NO_STREAM:
        return NetworkError(f"{message}: this server has none", trouble="refused", permanent=True)
    if status == 429:
        return NetworkError(message, trouble="rate_limited", retry_after=limited_for(headers))
    return NetworkError(message)
