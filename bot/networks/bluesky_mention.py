"""A mention made of what Bluesky tells, and the photos of a post."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bot.etiquette import NO_BOT, command_in
from bot.messages import Mention, Photo
from bot.networks.bluesky_wire import Embed, Image, Notification, Post, Record, did_of

MAX_LINKS = 4

# What marks an account as automated.
BOT_LABEL = "bot"
# An account whose handle does not lead back to it is shown as this; many are.
INVALID_HANDLE = "handle.invalid"

BlobUrl = Callable[[str, str], str | None]
"""DID and CID → where the original bytes are, if somebody knows."""


def mention_from(notification: Notification, bot: str) -> Mention | None:
    """The mention that a notification tells of, without its photos; None if it does not speak to the bot.

    A reply to the bot speaks to it if it calls it by name, or is a command and nothing else: people talk on
    below a reply, as they do below a quote.

    Args:
        notification: What happened.
        bot: The bot's DID.
    """
    author, record, parent = notification.author, notification.record, notification.parent
    answers_bot = parent is not None and did_of(parent) == bot
    command = command_in(record.text)
    if author.did == bot or not (_calls(record, bot) or (answers_bot and command)):
        return None
    return Mention(
        network="bluesky",
        id=notification.uri,
        author=author.did if author.handle == INVALID_HANDLE else author.handle,
        author_since=author.created_at,
        author_is_bot=any(label.val == BOT_LABEL and not label.neg for label in author.labels or ()),
        author_opts_out=bool(NO_BOT.search(author.description or "")),
        created_at=notification.indexed_at,
        language=record.langs[0] if record.langs else None,
        command=command,
        in_reply_to=parent,
        thread=record.reply.root.uri if record.reply else None,
        answers_bot=answers_bot,
        sensitive=notification.is_sensitive,
    )


def photos_of(post: Post, blob_url: BlobUrl) -> tuple[Photo, ...]:
    """The pictures or the video of a post; or, if there are none, what it links to."""
    embed = _media(post.record.embed)
    if media := tuple(_photos(post, embed, blob_url)):
        return media
    links = [embed.external.uri] if embed.external else []
    links += [feature.uri for facet in post.record.facets or () for feature in facet.features if feature.uri]
    return tuple(Photo(medium="link", url=url) for url in list(dict.fromkeys(links))[:MAX_LINKS])


def _calls(record: Record, bot: str) -> bool:
    return any(feature.did == bot for facet in record.facets or () for feature in facet.features)


def _media(embed: Embed | None) -> Embed:
    return (embed.media or embed) if embed else Embed()


def _photos(post: Post, embed: Embed, blob_url: BlobUrl) -> Iterator[Photo]:
    view = _media(post.embed)
    shown: tuple[Image, ...] = view.images or view.items
    for place, image in enumerate(embed.images or embed.items):
        cid = image.image.address if image.image else None
        url = blob_url(post.author.did, cid) if cid else None
        copy = shown[place].fullsize if place < len(shown) else None
        yield Photo(medium="image", url=url or copy)
    if embed.video:
        yield Photo(medium="video", url=view.thumbnail)
