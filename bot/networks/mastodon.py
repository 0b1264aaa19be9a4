"""Mastodon, and every server that speaks its API: GoToSocial, Takahē, Pleroma, Akkoma, Hollo.

What servers do differently is dealt with where it shows: how they page in mastodon_paging.py, what they call
things in mastodon_wire.py, what they take and how they refuse in mastodon_rest.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Self
from urllib.parse import quote

from bot.logs import Log
from bot.messages import Mention, Picture, Reply, Visibility
from bot.networks.accounts import MastodonAccount
from bot.networks.base import Alive, Gone, Happening, NetworkError, Page, Posted
from bot.networks.mastodon_instance import Instance, described
from bot.networks.mastodon_paging import Notifications, Place
from bot.networks.mastodon_policy import let_everybody_in
from bot.networks.mastodon_rest import Rest
from bot.networks.mastodon_stream import events
from bot.networks.mastodon_wire import Event, Notification, Status, above, mention_from, placed
from bot.networks.wire import parse, parse_json

LOG = Log(__name__)

# The cursor stays this far behind, so that every look re-reads the last seconds: a notification may appear
# after one with a higher id. The ledger knows which ones it has seen.
OVERLAP = timedelta(seconds=10)

# The poller sees a mention again and again; of so many it need not ask for the thread twice.
THREADS_REMEMBERED = 1024

# So long a server may process a picture; without it, the reply has to wait.
PROCESSING_SECONDS = 30
LOOK_SECONDS = 0.5

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

    def __init__(self, rest: Rest, account_id: str, instance: Instance) -> None:
        self._rest = rest
        self._account_id = account_id
        self._instance = instance
        self._notifications = Notifications(rest)
        self._is_open = False
        self._placed = lru_cache(THREADS_REMEMBERED)(self._place)

    @classmethod
    def login(cls, url: str, token: str) -> Self:
        """Log in.

        Raises:
            NetworkError: The server cannot be reached, or does not accept the token.
        """
        rest = Rest(url, token)
        doing = f"logging in at {url}, which {cls.name.upper()}_URL names"
        account = rest.get(doing, "/api/v1/accounts/verify_credentials").json
        if not isinstance(account, dict) or "id" not in account:
            raise NetworkError(f"{doing}: the answer describes no account; is that right?")
        LOG.info("logged in", network=cls.name, account=account.get("acct"), server=url)
        return cls(rest, str(account["id"]), described(rest))

    def mentions_after(self, cursor: str | None) -> Page:
        """The mentions next after the cursor, oldest first; the latest ones for no cursor."""
        if not self._is_open:
            self._open()
        now = datetime.now(UTC)
        place = Place.read(cursor) if cursor else None
        batch = self._notifications.after(place) if place else self._notifications.newest()
        # What has settled counts from the look itself: reading threads may take a while.
        settled = [n for n in batch.notifications if n.created_at < now - OVERLAP]
        mentions = tuple(m for n in batch.notifications if (m := self._mention(n)))
        if place is None:
            # The very first look: what lies before this page is not the bot's business any more.
            first = Place.of(batch.notifications[0]) if batch.notifications else Place("", now)
            return Page(mentions, str(first), next=None)
        last = None if batch.is_last else str(Place.of(batch.notifications[-1]))
        return Page(mentions, str(Place.of(settled[-1])) if settled else None, next=last)

    def watch(self, deliver: Callable[[Happening], None], alive: Alive) -> None:
        """Deliver what happens until the server ends the stream; call `alive` at signs of life."""
        if not self._instance.streaming:
            words = "this server offers no streaming; mentions are polled"
            raise NetworkError(words, trouble="refused", permanent=True)
        for event in events(self._instance.streaming, self._rest.token, alive):
            if happening := self._happening(event):
                deliver(happening)

    def length(self, text: str) -> int:
        """Characters of a text."""
        return len(text)

    def room(self, mention: Mention) -> int:
        """Characters that a reply to this mention may have."""
        return self._instance.max_characters - len(_address(mention)) - len(mention.warning)

    def reply(self, mention: Mention, reply: Reply) -> Posted:
        """Post the reply; a repeated call posts nothing new on a server that keeps idempotency keys."""
        doing = f"replying to {mention.key}"
        body: dict[str, Any] = {
            "status": _address(mention) + reply.text,
            "in_reply_to_id": mention.id,
            "visibility": REPLY_VISIBILITY[mention.visibility],
            "language": reply.language,
        }
        if reply.warning:
            body |= {"spoiler_text": reply.warning, "sensitive": True}
        if pictures := self._uploaded(reply.pictures):
            body |= {"media_ids": pictures}
        answer = self._rest.send(doing, "POST", "/api/v1/statuses", body, key=f"deepselfie-{mention.key}")
        status = _posted(doing, answer.json)
        if status.in_reply_to_id is None:
            # Takahē takes a reply to what was deleted meanwhile for a post that replies to nothing.
            self.delete(status.id)
            raise NetworkError(f"{doing}: the post is gone", trouble="gone", permanent=True)
        return Posted(status.id, status.address)

    def find_reply(self, mention: Mention) -> Posted | None:
        """The bot's own reply to this mention, if it stands in the thread."""
        answer = self._rest.get(f"looking for a reply to {mention.key}", f"{_path(mention.id)}/context")
        for status in _statuses(answer.json, "descendants"):
            if status.account.id == self._account_id and status.in_reply_to_id == mention.id:
                return Posted(status.id, status.address)
        return None

    def delete(self, reply_id: str) -> None:
        """Delete one of the bot's own posts; one that is gone already is fine."""
        try:
            self._rest.send(f"deleting {reply_id}", "DELETE", _path(reply_id))
        except NetworkError as error:
            if not _is_gone(error):
                raise

    def missing(self, ids: Sequence[str]) -> set[str]:
        """Which of these posts are deleted or out of the bot's sight."""
        return {post for post in ids if self._is_missing(post)}

    def _open(self) -> None:
        """Let everybody in; what is unclear is asked again at the next look."""
        try:
            let_everybody_in(self._rest)
            self._is_open = True
        except NetworkError as error:
            LOG.warning("notification policy unknown", error=str(error))

    def _is_missing(self, post: str) -> bool:
        try:
            self._rest.get(f"looking for {post}", _path(post))
        except NetworkError as error:
            if _is_gone(error):
                return True
            raise
        return False

    def _uploaded(self, pictures: Sequence[Picture]) -> list[str]:
        """Ids of the pictures on the server; a reply is worth more than a picture that it refuses."""
        try:
            return [self._upload(picture) for picture in pictures]
        except NetworkError as error:
            if not error.permanent:
                # Whatever became of the picture, the reply itself has not been posted.
                raise NetworkError(str(error), trouble=error.trouble, retry_after=error.retry_after) from None
            LOG.warning("replying without a picture", error=str(error))
            return []

    def _upload(self, picture: Picture) -> str:
        doing = f"uploading a picture of {len(picture.content)} bytes"
        answer = self._rest.upload(doing, "/api/v2/media", picture)
        number = str(answer.json["id"])
        deadline = time.monotonic() + PROCESSING_SECONDS
        while answer.status in {202, 206}:
            if time.monotonic() > deadline:
                raise NetworkError(f"{doing}: it is still processed after {PROCESSING_SECONDS} s")
            time.sleep(LOOK_SECONDS)
            answer = self._rest.get(doing, f"/api/v1/media/{quote(number, safe='')}")
        return number

    def _happening(self, event: Event) -> Happening | None:
        if event.event == "delete":
            return Gone(event.payload)
        notification = parse_json(Notification, event.payload) if event.event == "notification" else None
        return self._mention(notification) if notification else None

    def _mention(self, notification: Notification) -> Mention | None:
        """The mention that a notification tells of, with its place in its thread."""
        mention = mention_from(notification, self._account_id, self.name)
        if mention is None or mention.in_reply_to is None:
            return mention
        try:
            return self._placed(mention)
        except NetworkError as error:
            LOG.warning("thread unknown", key=mention.key, error=str(error))
            return mention

    def _place(self, mention: Mention) -> Mention:
        post = mention.id
        answer = self._rest.get(f"reading the thread above {post}", f"{_path(post)}/context")
        return placed(mention, above(_statuses(answer.json, "ancestors")), self._account_id)


def _address(mention: Mention) -> str:
    return f"@{mention.author} "


def _is_gone(error: NetworkError) -> bool:
    """Whether the server itself says so: a proxy's page with that number says nothing about a post."""
    return error.trouble == "gone" and error.permanent


def _path(post: str) -> str:
    return f"/api/v1/statuses/{quote(post, safe='')}"


def _statuses(context: Any, part: str) -> list[Status]:
    entries = context.get(part) if isinstance(context, dict) else None
    return [status for entry in entries or [] if (status := parse(Status, entry))]


def _posted(doing: str, answer: Any) -> Status:
    status = parse(Status, answer) if isinstance(answer, dict) else None
    if status is None:
        raise NetworkError(f"{doing}: the answer describes no post", unknown=True)
    return status
