"""Mastodon, and every server that speaks its API.

REST goes through Mastodon.py; the stream is a WebSocket of our own, because that library's streaming turns
read timeouts into TypeError and reconnects without a pause.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Self

import mastodon as mastodon_py
from websockets.sync.client import connect as connect_websocket

from bot.logs import Log
from bot.messages import Mention, Reply, Visibility
from bot.networks.accounts import MastodonAccount
from bot.networks.base import NetworkError, Page, Posted
from bot.networks.mastodon_errors import errors, is_refusal, stream_errors
from bot.networks.mastodon_wire import Above, Event, Notification, Status, above, mention_from, parse, placed

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

# The poller sees a mention again and again; of so many it need not ask for the thread twice.
THREADS_REMEMBERED = 1024

PING_SECONDS = 20
MAX_EVENT_BYTES = 1 << 20

# Never wider than the mention, and never on the public timelines: those are for people.
REPLY_VISIBILITY: dict[Visibility, Visibility] = {
    "public": "unlisted",
    "unlisted": "unlisted",
    "private": "direct",
    "direct": "direct",
}


def connect(account: MastodonAccount, _redis: object) -> Mastodon:
    """Log in.

    Raises:
        NetworkError: The server cannot be reached, or does not accept the token.
    """
    return Mastodon.login(str(account.url), account.token.get_secret_value())


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
        self._above = lru_cache(THREADS_REMEMBERED)(self._look_above)

    @classmethod
    def login(cls, url: str, token: str) -> Self:
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
        with errors(client, f"logging in at {url}, which MASTODON_URL names"):
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
        with errors(self._client, "reading notifications"):
            found = self._client.notifications(types=["mention"], min_id=cursor, limit=PAGE_SIZE)
        notifications = [n for entry in reversed(found) if (n := parse(Notification, entry))]
        # What has settled counts from the look itself: reading threads may take a while.
        settled = [n.id for n in notifications if n.created_at < datetime.now(UTC) - OVERLAP]
        mentions = tuple(m for n in notifications if (m := self._mention(n)))
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
            stream_errors(),
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

    def length(self, text: str) -> int:
        """Characters of a text."""
        return len(text)

    def room(self, mention: Mention) -> int:
        """Characters that a reply to this mention may have."""
        return self._max_characters - len(_address(mention)) - len(mention.warning)

    def reply(self, mention: Mention, reply: Reply) -> Posted:
        """Post the reply; a repeated call posts nothing new on a server that keeps idempotency keys."""
        with errors(self._client, f"replying to {mention.key}"):
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
        with errors(self._client, f"looking for a reply to {mention.key}"):
            below = self._client.status_context(mention.id)["descendants"]
        for status in below:
            mine = str(status["account"]["id"]) == self._account_id
            if mine and str(status["in_reply_to_id"]) == mention.id:
                return Posted(str(status["id"]), str(status["url"] or status["uri"]))
        return None

    def delete(self, reply_id: str) -> None:
        """Delete one of the bot's own posts; one that is gone already is fine."""
        with errors(self._client, f"deleting {reply_id}"):
            try:
                self._client.status_delete(reply_id)
            except mastodon_py.MastodonNotFoundError as error:
                if not is_refusal(error):
                    raise

    def _mention_in(self, text: str | bytes) -> Mention | None:
        event = parse(Event, text)
        if event is None or event.event != "notification":
            return None
        notification = parse(Notification, event.payload)
        return self._mention(notification) if notification else None

    def _mention(self, notification: Notification) -> Mention | None:
        """The mention that a notification tells of, with its place in its thread."""
        mention = mention_from(notification, self._account_id)
        if mention is None or mention.in_reply_to is None:
            return mention
        try:
            return placed(mention, self._above(mention.id), self._account_id)
        except NetworkError as error:
            LOG.warning("thread unknown", key=mention.key, error=str(error))
            return mention

    def _look_above(self, post: str) -> Above:
        with errors(self._client, f"reading the thread above {post}"):
            found = self._client.status_context(post)["ancestors"]
        return above([status for entry in found if (status := parse(Status, entry))])


def _address(mention: Mention) -> str:
    return f"@{mention.author} "
