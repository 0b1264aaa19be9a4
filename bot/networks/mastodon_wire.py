"""The parts of Mastodon's JSON that the bot reads, and a mention made of them.

Servers other than Mastodon send other ids, more fields and fewer: what is not needed is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError, WrapValidator

from bot.etiquette import NO_BOT, command_in
from bot.messages import Mention, Photo, Visibility
from bot.networks.mastodon_content import Content
from bot.networks.wire import parse

MAX_LINKS = 4
# Mastodon's own posts have 4, Pixelfed's 20; a server may pass on any number, and each costs a download.
MAX_ATTACHMENTS = 20
MAX_WARNING = 100


def _or_none(value: object, parse: Callable[[object], datetime | None]) -> datetime | None:
    """What a server got wrong, it has not told: a mention is not lost over an account's birthday."""
    try:
        return parse(value)
    except ValidationError:
        return None


class _Wire(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)


class Field(_Wire):
    """A line of a profile's table."""

    name: str = ""
    value: str = ""


class Account(_Wire):
    """Who wrote something."""

    id: str
    acct: str
    bot: bool | None = False
    created_at: Annotated[AwareDatetime | None, WrapValidator(_or_none)] = None
    note: str | None = ""
    fields: Annotated[tuple[Field, ...] | None, WrapValidator(_or_none)] = ()

    @property
    def says_no_bot(self) -> bool:
        """Whether the profile asks bots to stay away, in its text or its fields."""
        texts = [self.note or "", *(f"{field.name} {field.value}" for field in self.fields or ())]
        return any(NO_BOT.search(Content.of(text).text) for text in texts)


class Attachment(_Wire):
    """A picture, video or sound of a status."""

    type: str
    url: str | None = None
    preview_url: str | None = None


class Status(_Wire):
    """A post."""

    id: str
    created_at: AwareDatetime
    content: str
    account: Account
    visibility: str = "public"
    spoiler_text: str | None = ""
    sensitive: bool | None = False
    language: str | None = None
    in_reply_to_id: str | None = None
    in_reply_to_account_id: str | None = None
    url: str | None = None
    uri: str = ""
    reblog: Any = None
    """The post that this one boosts."""
    quote: Any = None
    """The post that this one quotes: on Mastodon within an envelope, on Pleroma as it is."""
    media_attachments: tuple[Attachment, ...] = ()

    @property
    def address(self) -> str:
        """Where people read it."""
        return self.url or self.uri

    @property
    def quoted(self) -> Status | None:
        """The quoted post, as far as the bot may see it."""
        envelope = self.quote if isinstance(self.quote, dict) else {}
        post = envelope.get("quoted_status", envelope)
        return parse(Status, post) if isinstance(post, dict) and "content" in post else None


class Notification(_Wire):
    """Something happened to the bot's account."""

    id: str
    type: str
    created_at: AwareDatetime
    status: Status | None = None


class Event(_Wire):
    """One message of the stream; the payload is JSON inside JSON."""

    event: str
    payload: str = ""


@dataclass(frozen=True)
class Above:
    """Where a reply stands in its thread, as far as the bot may see it."""

    first: str | None
    """Id of the thread's first post."""
    parent: Status | None


def mention_from(notification: Notification, bot_id: str, network: str = "mastodon") -> Mention | None:
    """The mention that a notification tells of; None if it is about a boost, an edit or the bot's own post.

    A reply comes with its parent as the thread's first post, for want of a better one (see `placed`).
    """
    status = notification.status
    if notification.type != "mention" or status is None:
        return None
    if status.reblog or status.account.id == bot_id:
        return None
    author = status.account
    return Mention(
        network=network,
        id=status.id,
        author=author.acct,
        author_since=author.created_at,
        author_is_bot=bool(author.bot),
        author_opts_out=author.says_no_bot,
        created_at=status.created_at,
        visibility=_visibility(status.visibility),
        # Long ones would leave no room for the reply behind them.
        warning=(status.spoiler_text or "")[:MAX_WARNING],
        language=status.language,
        command=command_in(Content.of(status.content).text),
        in_reply_to=status.in_reply_to_id,
        thread=status.in_reply_to_id,
        answers_bot=status.in_reply_to_account_id == bot_id,
        **_seen(author.acct, status),
    )


def above(ancestors: Sequence[Status]) -> Above:
    """The ends of what stands above a post, given the first first."""
    return Above(ancestors[0].id, ancestors[-1]) if ancestors else Above(None, None)


def placed(mention: Mention, above: Above, bot_id: str) -> Mention:
    """A reply with its thread, and its parent's photos if it has none of its own and is not to the bot."""
    found: dict[str, Any] = {"thread": above.first or mention.thread}
    parent = above.parent
    if parent and parent.id == mention.in_reply_to and parent.account.id != bot_id and not mention.photos:
        found |= _seen(mention.author, parent)
    return mention.model_copy(update=found)


def _seen(author: str, status: Status) -> dict[str, Any]:
    """The photos in a post, or else in the one that it quotes; and whether they are marked as sensitive."""
    for post in (status, status.quoted):
        if post and (photos := _photos(post)):
            is_own = post.account.acct == author
            photos = tuple(photo.model_copy(update={"is_own": is_own}) for photo in photos)
            return {"photos": photos, "sensitive": bool(post.sensitive)}
    return {"photos": (), "sensitive": bool(status.sensitive)}


def _visibility(name: str) -> Visibility:
    # Servers invent more ("local", "mutuals_only"): what is unknown is treated as the narrowest.
    match name:
        case "public" | "unlisted" | "private" | "direct":
            return name
        case _:
            return "direct"


def _photos(status: Status) -> tuple[Photo, ...]:
    """The attachments; or, if there are none, what the text links to."""
    if status.media_attachments:
        return tuple(_photo(attachment) for attachment in status.media_attachments[:MAX_ATTACHMENTS])
    links = dict.fromkeys(Content.of(status.content).links)
    return tuple(Photo(medium="link", url=url) for url in list(links)[:MAX_LINKS])


def _photo(attachment: Attachment) -> Photo:
    match attachment.type:
        case "video" | "gifv":
            moving = attachment.preview_url != attachment.url
            return Photo(medium="video", url=attachment.preview_url if moving else None)
        case "audio":
            return Photo(medium="audio", url=None)
        case _:
            return Photo(medium="image", url=attachment.url or attachment.preview_url)
