"""The parts of Mastodon's JSON that the bot reads, and a mention made of them.

Servers other than Mastodon send other ids, more fields and fewer: what is not needed is not looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html.parser import HTMLParser
from typing import Annotated, Any, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError, WrapValidator

from bot.etiquette import NO_BOT, command_in
from bot.logs import Log
from bot.messages import Mention, Photo, Visibility

LOG = Log(__name__)

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


class Account(_Wire):
    """Who wrote something."""

    id: str
    acct: str
    bot: bool | None = False
    created_at: Annotated[AwareDatetime | None, WrapValidator(_or_none)] = None
    note: str | None = ""


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
    reblog: Any = None
    """The post that this one boosts."""
    media_attachments: tuple[Attachment, ...] = ()


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


W = TypeVar("W", bound=_Wire)


def parse(kind: type[W], source: Mapping[str, Any] | str | bytes) -> W | None:
    """Read what a server sent; None, and a line in the log, if it makes no sense."""
    try:
        return (
            kind.model_validate_json(source)
            if isinstance(source, str | bytes)
            else kind.model_validate(source)
        )
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        LOG.warning("not understood", kind=kind.__name__, problems=problems)
        return None


def mention_from(notification: Notification, bot_id: str) -> Mention | None:
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
        network="mastodon",
        id=status.id,
        author=author.acct,
        author_since=author.created_at,
        author_is_bot=bool(author.bot),
        author_opts_out=bool(NO_BOT.search(_Content.of(author.note or "").text)),
        created_at=status.created_at,
        visibility=_visibility(status.visibility),
        # Long ones would leave no room for the reply behind them.
        warning=(status.spoiler_text or "")[:MAX_WARNING],
        language=status.language,
        command=command_in(_Content.of(status.content).text),
        in_reply_to=status.in_reply_to_id,
        thread=status.in_reply_to_id,
        answers_bot=status.in_reply_to_account_id == bot_id,
        photos=_photos(status),
        sensitive=bool(status.sensitive),
    )


def above(ancestors: Sequence[Status]) -> Above:
    """The ends of what stands above a post, given the first first."""
    return Above(ancestors[0].id, ancestors[-1]) if ancestors else Above(None, None)


def placed(mention: Mention, above: Above, bot_id: str) -> Mention:
    """A reply with its thread, and its parent's photos if it has none of its own and is not to the bot."""
    found: dict[str, Any] = {"thread": above.first or mention.thread}
    parent = above.parent
    if parent and parent.id == mention.in_reply_to and parent.account.id != bot_id and not mention.photos:
        is_own = parent.account.acct == mention.author
        found["photos"] = tuple(photo.model_copy(update={"is_own": is_own}) for photo in _photos(parent))
        found["sensitive"] = bool(parent.sensitive)
    return mention.model_copy(update=found)


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
    links = dict.fromkeys(_Content.of(status.content).links)
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


class _Content(HTMLParser):
    """A post's HTML: its plain text, and where it links to, apart from the mentions and hashtags in it."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.links: list[str] = []

    @classmethod
    def of(cls, content: str) -> Self:
        parser = cls()
        # Malformed declarations ("<![x") and numbers ("&#111…") make it raise; what came before still counts.
        with contextlib.suppress(AssertionError, ValueError):
            # Ended by a tag, which lets go of the last word: close() takes minutes for 100 kB of "<a <a <a".
            parser.feed(f"{content}<br>")
        return parser

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"br", "p"}:
            self.text += "\n"
        attributes = dict(attrs)
        classes = (attributes.get("class") or "").split()
        if tag == "a" and not {"mention", "hashtag"} & set(classes) and (url := attributes.get("href")):
            self.links.append(url)
