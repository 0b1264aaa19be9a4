"""The parts of Bluesky's JSON that the bot reads.

A post comes as its author's record, with an address for each blob, and sometimes with the network's view of
it, in which pictures have URLs.
"""

from __future__ import annotations

import re

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

SENSITIVE_LABELS = {"gore", "graphic-media", "nudity", "porn", "sexual"}

POST_URI = re.compile(r"at://did:[a-z]+:[^/]+/app\.bsky\.feed\.post/[^/]+")


class _Wire(BaseModel):
    # Frozen, so that a notification can be looked up among those that were read before.
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Label(_Wire):
    """What somebody, or a moderator, says a post or an account is."""

    val: str
    neg: bool = False


class SelfLabels(_Wire):
    """What somebody says of their own post or account."""

    values: tuple[Label, ...] = ()


class Link(_Wire):
    """The address of a blob."""

    cid: str = Field(alias="$link")


class Blob(_Wire):
    """A file that somebody has uploaded; the old ones have their address in `cid`."""

    ref: Link | None = None
    cid: str | None = None

    @property
    def address(self) -> str | None:
        """Its CID."""
        return self.ref.cid if self.ref else self.cid


class Image(_Wire):
    """A picture: in a record a blob, in a view a URL."""

    image: Blob | None = None
    fullsize: str | None = None


class External(_Wire):
    """The card of a link."""

    uri: str


class Ref(_Wire):
    """Another post; beside media, one level further down."""

    uri: str | None = None
    cid: str | None = None
    record: Ref | None = None


class Embed(_Wire):
    """What goes with a post, in a record or in a view: any of these."""

    images: tuple[Image, ...] = ()
    items: tuple[Image, ...] = ()
    """A gallery's pictures."""
    video: Blob | None = None
    thumbnail: str | None = None
    external: External | None = None
    media: Embed | None = None
    record: Ref | None = None


class Feature(_Wire):
    """What a part of a text is: a mention has a DID, a link a URI."""

    did: str | None = None
    uri: str | None = None


class Facet(_Wire):
    """A part of a text that is more than text."""

    features: tuple[Feature, ...] = ()


class ReplyRef(_Wire):
    """What a post replies to."""

    root: Ref
    parent: Ref


class Record(_Wire):
    """A post as its author wrote it."""

    text: str = ""
    langs: tuple[str, ...] | None = ()
    facets: tuple[Facet, ...] | None = ()
    embed: Embed | None = None
    labels: SelfLabels | None = None
    reply: ReplyRef | None = None


class Author(_Wire):
    """Who wrote something."""

    did: str
    handle: str
    created_at: AwareDatetime | None = None
    description: str | None = ""
    labels: tuple[Label, ...] | None = ()


class Viewer(_Wire):
    """What a post allows the bot."""

    reply_disabled: bool = False


class Post(_Wire):
    """A post as the network shows it."""

    uri: str
    cid: str
    author: Author
    record: Record
    embed: Embed | None = None
    labels: tuple[Label, ...] | None = ()
    viewer: Viewer | None = None

    @property
    def parent(self) -> str | None:
        """The post that this one replies to."""
        return self.record.reply.parent.uri if self.record.reply else None

    @property
    def quoted(self) -> str | None:
        """The post that this one quotes."""
        ref = self.record.embed.record if self.record.embed else None
        return (ref.uri or (ref.record.uri if ref.record else None)) if ref else None

    @property
    def is_sensitive(self) -> bool:
        """Its author, or a moderator, has marked it so."""
        own = self.record.labels.values if self.record.labels else ()
        return bool(SENSITIVE_LABELS & {label.val for label in (*own, *(self.labels or ())) if not label.neg})


class Notification(Post):
    """Something happened to the bot's account; of interest are posts only."""

    indexed_at: AwareDatetime
    """By what notifications are sorted: when the post was written or seen, whichever was first."""


def is_post(uri: str) -> bool:
    """Whether it may lead to a post: Bluesky answers with error 500 where a handle stands for a DID."""
    return bool(POST_URI.fullmatch(uri))


def did_of(uri: str) -> str:
    """Whose post it is."""
    return uri.removeprefix("at://").partition("/")[0]


def rkey_of(uri: str) -> str:
    """A post's name among its author's."""
    return uri.rpartition("/")[2]
