"""The parts of Mastodon's JSON that the bot reads, and a mention made of them.

Servers other than Mastodon send other ids, more fields and fewer: what is not needed is not looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from bot.logs import Log
from bot.messages import Mention, Photo, Visibility

LOG = Log(__name__)

MAX_LINKS = 4
MAX_WARNING = 100


class _Wire(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)


class Account(_Wire):
    """Who wrote something."""

    id: str
    acct: str
    bot: bool | None = False


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
    language: str | None = None
    in_reply_to_account_id: str | None = None
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
    """The mention that a notification tells of; None if it is about something else, or the bot's own post."""
    status = notification.status
    if notification.type != "mention" or status is None or status.account.id == bot_id:
        return None
    return Mention(
        network="mastodon",
        id=status.id,
        author=status.account.acct,
        created_at=status.created_at,
        visibility=_visibility(status.visibility),
        # Long ones would leave no room for the reply behind them.
        warning=(status.spoiler_text or "")[:MAX_WARNING],
        language=status.language,
        author_is_bot=bool(status.account.bot),
        answers_bot=status.in_reply_to_account_id == bot_id,
        photos=_photos(status),
    )


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
        return tuple(_photo(attachment) for attachment in status.media_attachments)
    links = dict.fromkeys(_Links.found_in(status.content))
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


class _Links(HTMLParser):
    """Collects where a post's text links to, apart from the mentions and hashtags in it."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    @classmethod
    def found_in(cls, content: str) -> list[str]:
        parser = cls()
        # Malformed declarations ("<![x") make it raise; the links before them still count.
        with contextlib.suppress(AssertionError):
            parser.feed(content)
            parser.close()
        return parser.urls

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        classes = (attributes.get("class") or "").split()
        if tag == "a" and not {"mention", "hashtag"} & set(classes) and (url := attributes.get("href")):
            self.urls.append(url)
