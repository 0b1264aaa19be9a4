"""Bluesky, through the server that the bot's account is on; calls to the network as a whole it passes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import regex
from redis import Redis

from bot.logs import Log
from bot.messages import Mention, Photo, Picture, Reply
from bot.networks.accounts import BlueskyAccount
from bot.networks.base import Alive, NetworkError, Page, Posted
from bot.networks.bluesky_client import Client
from bot.networks.bluesky_directory import Directory
from bot.networks.bluesky_errors import errors
from bot.networks.bluesky_mention import mention_from, photos_of
from bot.networks.bluesky_paging import EPOCH, Place
from bot.networks.bluesky_pictures import MAX_PICTURES, fitted
from bot.networks.bluesky_profile import mark_as_automated
from bot.networks.bluesky_reply import POSTS, record, rkey
from bot.networks.bluesky_wire import Notification, Post, did_of, is_post, rkey_of
from bot.networks.wire import parse

LOG = Log(__name__)

MAX_GRAPHEMES = 300
MAX_BYTES = 3000
BYTES_PER_GRAPHEME = MAX_BYTES // MAX_GRAPHEMES

PAGE_SIZE = 100
REASONS = ["mention", "reply", "quote"]

# Bluesky has no stream for an account's notifications; it takes 3000 calls in five minutes, this makes 150.
WATCH_SECONDS = 2
WATCH_SIZE = 30

# The poller and the watcher see a mention again and again; of so many the photos are looked up once.
MENTIONS_REMEMBERED = 1024

GRAPHEME = regex.compile(r"\X")


def connect(account: BlueskyAccount, redis: Redis) -> Bluesky:
    """Log in.

    Raises:
        NetworkError: The server cannot be reached, or does not accept the password.
    """
    client = Client(account, redis)
    with errors(f"logging in at {account.url}, which BLUESKY_URL names, as {account.handle}"):
        did = str(client.ask("com.atproto.server.getSession").get("did"))
    LOG.info("logged in", network=Bluesky.name, account=account.handle, server=str(account.url))
    try:
        mark_as_automated(client, did)
    except NetworkError as error:
        LOG.warning("not marked as automated", network=Bluesky.name, error=str(error))
    return Bluesky(client, did, Directory(str(account.directory)))


class Bluesky:
    """The bot's account on Bluesky.

    Args:
        client: Speaks for it.
        did: Its lasting name.
        directory: Where one asks which server has somebody's blobs.
    """

    name = "bluesky"

    def __init__(self, client: Client, did: str, directory: Directory) -> None:
        self._client = client
        self._did = did
        self._blob_url = directory.blob_url
        self._mention = lru_cache(MENTIONS_REMEMBERED)(self._read)

    def mentions_after(self, cursor: str | None) -> Page:
        """The mentions after the cursor, a page oldest first, but the youngest page first."""
        place = Place.parse(cursor) if cursor else Place(EPOCH)
        notifications, further = self._notifications(PAGE_SIZE, place.at)
        mentions = self._mentions(n for n in reversed(notifications) if n.indexed_at >= place.since)
        times = [notification.indexed_at for notification in notifications]
        if cursor is None:
            # The very first look: what lies before this page is not the bot's business any more.
            first = times[-1] if times and further else EPOCH
            return Page(mentions, first.isoformat(), next=None)
        below = place.below(times, further)
        if below:
            return Page(mentions, None, next=str(below))
        return Page(mentions, place.settle(times).isoformat(), next=None)

    def watch(self, deliver: Callable[[Mention], None], alive: Alive) -> None:
        """Look for new mentions every two seconds; what was there before is the poller's."""
        notifications, _ = self._notifications(WATCH_SIZE)
        known = {notification.uri for notification in notifications}
        # Where a mention is deleted, an older one moves up into the page; it is not new.
        since = notifications[-1].indexed_at if notifications else EPOCH
        over = threading.Event()
        while True:
            alive(over.set)
            if over.wait(WATCH_SECONDS):
                return
            notifications, _ = self._notifications(WATCH_SIZE)
            new = [n for n in notifications if n.indexed_at >= since and n.uri not in known]
            for mention in self._mentions(reversed(new)):
                deliver(mention)
            known.update(notification.uri for notification in new)

    def room(self, mention: Mention) -> int:  # noqa: ARG002
        """How long a reply may be, as `length` counts."""
        return MAX_GRAPHEMES

    def length(self, text: str) -> int:
        """What is seen as one character counts as one, if it is not made of more than ten bytes."""
        return max(len(GRAPHEME.findall(text)), -(-len(text.encode()) // BYTES_PER_GRAPHEME))

    def find_reply(self, mention: Mention) -> Posted | None:
        """The bot's own reply to this mention, if there is one."""
        name = rkey(mention)
        try:
            with errors(f"looking for a reply to {mention.key}"):
                found = self._client.ask(
                    "com.atproto.repo.getRecord", repo=self._did, collection=POSTS, rkey=name
                )
        except NetworkError as error:
            if error.trouble == "gone":
                return None
            raise
        return _posted(str(found.get("uri")))

    def reply(self, mention: Mention, reply: Reply) -> Posted:
        """Post the reply and its pictures. Repeated, it writes the same record to the same place."""
        with errors(f"reading {mention.key}"):
            posts = self._posts([mention.id])
        # A reply to what is deleted would be taken, and stand there alone.
        if not posts:
            message = f"{mention.key} is deleted, or out of the bot's sight"
            raise NetworkError(message, trouble="gone", permanent=True)
        (post,) = posts
        if post.viewer and post.viewer.reply_disabled:
            message = f"{mention.key}: its author takes no replies from the bot"
            raise NetworkError(message, trouble="refused", permanent=True)
        with errors(f"uploading pictures for {mention.key}"):
            pictures = [
                shown for picture in reply.pictures[:MAX_PICTURES] if (shown := self._upload(picture))
            ]
        with errors(f"replying to {mention.key}", writes=True):
            made = record(mention, post, reply, pictures)
            body = {"repo": self._did, "collection": POSTS, "rkey": rkey(mention), "record": made}
            answer = self._client.tell("com.atproto.repo.putRecord", body)
        return _posted(str(answer.get("uri")))

    def delete(self, reply_id: str) -> None:
        """Delete one of the bot's own posts; one that is gone already is fine."""
        body = {"repo": self._did, "collection": POSTS, "rkey": rkey_of(reply_id)}
        with errors(f"deleting {reply_id}"):
            self._client.tell("com.atproto.repo.deleteRecord", body)

    def missing(self, ids: Sequence[str]) -> set[str]:
        """Which of these posts are deleted or out of the bot's sight."""
        if not ids:
            return set()
        with errors(f"looking for {len(ids)} posts"):
            return set(ids) - {post.uri for post in self._posts(list(ids))}

    def _upload(self, picture: Picture) -> dict[str, Any] | None:
        if (small := fitted(picture)) is None:
            return None
        answer = self._client.send("com.atproto.repo.uploadBlob", small.content, small.kind)
        return {"alt": small.description, "image": answer.get("blob")}

    def _notifications(self, limit: int, at: str | None = None) -> tuple[list[Notification], str | None]:
        """A page of notifications, the youngest first, and where the network goes on."""
        with errors("reading notifications"):
            found = self._client.ask(
                "app.bsky.notification.listNotifications", limit=limit, cursor=at, reasons=REASONS
            )
        entries = found.get("notifications") or []
        return [n for entry in entries if (n := parse(Notification, entry))], found.get("cursor")

    def _mentions(self, notifications: Iterable[Notification]) -> tuple[Mention, ...]:
        return tuple(mention for n in notifications if (mention := self._mention(n)))

    def _read(self, notification: Notification) -> Mention | None:
        """The mention that a notification tells of, with the photos that it is about."""
        mention = mention_from(notification, self._did)
        if mention is None:
            return None
        photos = photos_of(notification, self._blob_url)
        if photos and all(photo.url for photo in photos):
            return _about(mention, notification, photos)
        # Where pictures without an address are to be seen; or else, whose pictures may be meant.
        uris = [notification.uri] if photos else [notification.quoted, notification.parent]
        for post in self._meant(uris, notification.parent):
            if post.author.did != self._did and (found := photos_of(post, self._blob_url)):
                return _about(mention, post, found)
        return _about(mention, notification, photos)

    def _meant(self, uris: Iterable[str | None], parent: str | None) -> Iterator[Post]:
        """Posts as the network shows them, and at last what the parent among them quotes."""
        posts = self._shown(uris)
        yield from posts
        yield from self._shown([post.quoted for post in posts if post.uri == parent])

    def _shown(self, wanted: Iterable[str | None]) -> list[Post]:
        """Posts as the network shows them; none, and a line in the log, if it does not."""
        uris = [uri for uri in wanted if uri and is_post(uri)]
        try:
            with errors(f"reading {', '.join(uris)}"):
                return self._posts(uris) if uris else []
        except NetworkError as error:
            # One that fails for good must not keep the bot from hearing all others.
            LOG.warning("posts unknown", network=self.name, error=str(error))
            return []

    def _posts(self, uris: list[str]) -> list[Post]:
        """Those of some posts that the bot may see, in the same order."""
        entries = self._client.ask("app.bsky.feed.getPosts", uris=uris).get("posts") or []
        posts = {post.uri: post for entry in entries if (post := parse(Post, entry))}
        return [posts[uri] for uri in uris if uri in posts]


def _about(mention: Mention, post: Post, photos: tuple[Photo, ...]) -> Mention:
    """A mention that asks about the photos of some post."""
    is_own = post.author.did == did_of(mention.id)
    own = tuple(photo.model_copy(update={"is_own": is_own}) for photo in photos)
    return mention.model_copy(update={"photos": own, "sensitive": post.is_sensitive})


def _posted(uri: str) -> Posted:
    return Posted(uri, f"https://bsky.app/profile/{did_of(uri)}/post/{rkey_of(uri)}")
