"""What goes wrong between the bot and Bluesky, as NetworkError."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from atproto_client.exceptions import RateLimitExceededError, RequestErrorBase
from atproto_core.exceptions import AtProtocolError
from redis import RedisError

from bot.networks.base import NetworkError

# The session has run out, or its key is not known any more: another one may do.
EXPIRED = {"ExpiredToken", "InvalidToken"}
UNAUTHORIZED = {
    *EXPIRED,
    "AccountDeactivated",
    "AccountSuspended",
    "AccountTakedown",
    "AuthFactorTokenRequired",
    "AuthMissing",
    "AuthenticationRequired",
}
GONE = {
    "RecordNotFound",
    "RepoDeactivated",
    "RepoNotFound",
    "RepoSuspended",
    "RepoTakendown",
}


@contextmanager
def errors(doing: str, *, writes: bool = False) -> Iterator[None]:
    """Turn the SDK's errors into ours.

    Args:
        doing: What is being tried, for the message.
        writes: It changes something that people see: without an answer, nobody knows whether it did.
    """
    try:
        yield
    except RedisError as error:
        message = f"{doing}: Redis, which keeps the session, does not answer ({error})"
        raise NetworkError(message) from None
    except RequestErrorBase as error:
        raise _told(doing, error, writes) from None
    # The SDK lets some of httpx's errors through, and those of an answer that is no JSON.
    except (AtProtocolError, httpx.HTTPError, ValueError) as error:
        raise NetworkError(f"{doing}: {error or type(error).__name__}", unknown=writes) from None


def name_of(error: RequestErrorBase) -> str:
    """The name that the server gives to an error; empty if the answer is not the server's own."""
    content = error.response.content if error.response else None
    return str(getattr(content, "error", None) or "")


def is_expired(error: RequestErrorBase) -> bool:
    """Whether another session may do better."""
    return name_of(error) in EXPIRED or (error.response is not None and error.response.status_code == 401)


def _told(doing: str, error: RequestErrorBase, writes: bool) -> NetworkError:
    if error.response is None:
        cause = error.__cause__
        unheard = isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout)
        return NetworkError(f"{doing}: no answer ({cause!r})", unknown=writes and not unheard)
    message, status, name = f"{doing}: {error}", error.response.status_code, name_of(error)
    if isinstance(error, RateLimitExceededError):
        wait = _wait(error)
        return NetworkError(
            f"{message}; rate limited for {wait:.0f} s", trouble="rate_limited", retry_after=wait
        )
    # A firewall's page has no name for its error, and goes away.
    if status >= 500 or not (name or status == 401):
        return NetworkError(message, unknown=writes)
    if name in UNAUTHORIZED or status == 401:
        message += "; set BLUESKY_HANDLE and BLUESKY_PASSWORD, a valid app password, or see to the account"
        return NetworkError(message, trouble="unauthorized", permanent=True)
    return NetworkError(message, trouble="gone" if name in GONE else "refused", permanent=True)


def _wait(error: RateLimitExceededError) -> float:
    """Seconds until the limit is over."""
    reset = error.reset_at.timestamp() - time.time() if error.reset_at else 0
    return float(max(1.0, error.retry_after or reset))
