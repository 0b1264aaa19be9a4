"""Mastodon, and every server that speaks its API.

REST goes through Mastodon.py; the stream is a WebSocket of our own, because that library's streaming turns
read timeouts into TypeError and reconnects without a pause.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import mastodon as mastodon_py
from urllib3.exceptions import NewConnectionError
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus, WebSocketException
from websockets.sync.client import connect as connect_websocket

from bot.logs import Log
from bot.messages import Mention, Reply, Visibility
from bot.networks.base import NetworkError, Page, Posted
from bot.networks.mastodon_wire import Event, Notification, mention_from, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG = Log(__name__)

# GoToSocial answers 418 to an empty User-Agent.
USER_AGENT = "deepselfie (a bot that judges photos)"
TIMEOUT_SECONDS = 10
PAGE_SIZE = 40
DEFAULT_MAX_CHARACTERS = 500

# The cursor stays this far behind, so that every look re-reads the last seconds: a notification may appear
# after one with a higher id. The ledger knows which ones it has seen.
OVERLAP = timedelta(seconds=10)

# Sorts before Mastodon's numbers, and before the ULIDs and UUIDs of other servers.
BEFORE_ALL_IDS = "0"

PING_SECONDS = 20
MAX_EVENT_BYTES = 1 << 20

# Never wider than the mention, and never on the public timelines: those are for people.
REPLY_VISIBILITY: dict[Visibility, Visibility] = {
    "public": "unlisted",
    "unlisted": "unlisted",
    "private": "direct",
    "direct": "direct",
}


class Mastodon:
    """The bot's account on one Mastodon server."""

    name = "mastodon"

    def __init__(self, client: mastodon_py.Mastodon, account_id: str, instance: dict[str, Any]) -> None:
        self._client = client
        self._account_id = account_id
        configuration = instance.get("configuration") or {}
        statuses = configuration.get("statuses") or {}
        self._max_characters = int(statuses.get("max_characters") or DEFAULT_MAX_CHARACTERS)
        self._streaming = (configuration.get("urls") or {}).get("streaming") or ""

    @classmethod
    def connect(cls, url: str, token: str) -> Self:
        """Log in.

        Raises:
            NetworkError: The server cannot be reached, or does not accept the token.
        """
        client = mastodon_py.Mastodon(
            api_base_url=url.rstrip("/"),
            access_token=token,
            ratelimit_method="throw",
            request_timeout=TIMEOUT_SECONDS,
            user_agent=USER_AGENT,
        )
        with _errors(client, f"logging in at {url}, which MASTODON_URL names"):
            account = client.account_verify_credentials()
        try:
            instance: dict[str, Any] = client.instance_v2()
        except mastodon_py.MastodonError as error:
            LOG.warning("instance unknown, using Mastodon's defaults", error=str(error))
            instance = {}
        LOG.info("logged in", network=cls.name, account=account["acct"], server=url)
        return cls(client, str(account["id"]), instance)

    def mentions_after(self, cursor: str | None) -> Page:
        """The mentions next after the cursor, oldest first; the latest ones for no cursor."""
        with _errors(self._client, "reading notifications"):
            found = self._client.notifications(types=["mention"], min_id=cursor, limit=PAGE_SIZE)
        notifications = [n for entry in reversed(found) if (n := parse(Notification, entry))]
        mentions = tuple(m for n in notifications if (m := mention_from(n, self._account_id)))
        settled = [n.id for n in notifications if n.created_at < datetime.now(UTC) - OVERLAP]
        if cursor is None:
            # The very first look: what lies before this page is not the bot's business any more.
            cursor = notifications[0].id if notifications else BEFORE_ALL_IDS
            return Page(mentions, cursor, next=None)
        full = len(found) == PAGE_SIZE and notifications
        return Page(mentions, settled[-1] if settled else None, next=notifications[-1].id if full else None)

    def watch(self, deliver: Callable[[Mention], None], alive: Callable[[], None]) -> None:
        """Deliver mentions as they happen until the server ends the stream; call `alive` at signs of life."""
        if not self._streaming:
            raise NetworkError("this server offers no streaming; mentions are polled", permanent=True)
        url = f"{self._streaming}/api/v1/streaming?stream=user:notification"
        headers = {"Authorization": f"Bearer {self._client.access_token}"}
        with (
            _stream_errors(),
            connect_websocket(
                url,
                additional_headers=headers,
                user_agent_header=USER_AGENT,
                open_timeout=TIMEOUT_SECONDS,
                ping_interval=PING_SECONDS,
                ping_timeout=PING_SECONDS,
                max_size=MAX_EVENT_BYTES,
            ) as socket,
        ):
            while True:
                alive()
                # A server that does not answer a ping within as long again ends the stream with an error.
                with suppress(TimeoutError):
                    if mention := self._mention_in(socket.recv(timeout=PING_SECONDS)):
                        deliver(mention)

    def room(self, mention: Mention) -> int:
        """Characters that a reply to this mention may have."""
        return self._max_characters - len(_address(mention)) - len(mention.warning)

    def reply(self, mention: Mention, reply: Reply) -> Posted:
        """Post the reply; a repeated call posts nothing new on a server that keeps idempotency keys."""
        with _errors(self._client, f"replying to {mention.key}"):
            status = self._client.status_post(
                _address(mention) + reply.text,
                in_reply_to_id=mention.id,
                visibility=REPLY_VISIBILITY[mention.visibility],
                spoiler_text=reply.warning or None,
                language=reply.language,
                idempotency_key=f"deepselfie-{mention.key}",
            )
        return Posted(str(status["id"]), str(status["url"] or status["uri"]))

    def find_reply(self, mention: Mention) -> Posted | None:
        """The bot's own reply to this mention, if it stands in the thread."""
        with _errors(self._client, f"looking for a reply to {mention.key}"):
            below = self._client.status_context(mention.id)["descendants"]
        for status in below:
            mine = str(status["account"]["id"]) == self._account_id
            if mine and str(status["in_reply_to_id"]) == mention.id:
                return Posted(str(status["id"]), str(status["url"] or status["uri"]))
        return None

    def _mention_in(self, text: str | bytes) -> Mention | None:
        event = parse(Event, text)
        if event is None or event.event != "notification":
            return None
        notification = parse(Notification, event.payload)
        return mention_from(notification, self._account_id) if notification else None


def _address(mention: Mention) -> str:
    return f"@{mention.author} "


@contextmanager
def _errors(client: mastodon_py.Mastodon, doing: str) -> Iterator[None]:
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
        refused = _is_refusal(error)
        raise NetworkError(f"{doing}: {_words(error)}", permanent=refused, unknown=not refused) from None


def _was_refused(error: mastodon_py.MastodonError) -> bool:
    """Whether not even a connection came about, so that the server cannot have done anything."""
    cause = error.__context__
    reason = getattr(cause.args[0], "reason", None) if cause and cause.args else None
    return isinstance(reason, NewConnectionError)


def _is_refusal(error: mastodon_py.MastodonError) -> bool:
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
def _stream_errors() -> Iterator[None]:
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
