"""The parts of X's JSON that the bot reads, and a mention made of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field
from pydantic_core import from_json

from bot.etiquette import NO_BOT, command_in
from bot.logs import Log
from bot.messages import Mention, Photo
from bot.networks.wire import parse

LOG = Log(__name__)

# What is asked for besides ids and texts. Without an expansion, what a post refers to does not come along.
FIELDS: Mapping[str, Sequence[str]] = {
    "expansions": (
        "author_id",
        "attachments.media_keys",
        "referenced_tweets.id",
        "referenced_tweets.id.author_id",
        "referenced_tweets.id.attachments.media_keys",
    ),
    "tweet.fields": (
        "attachments",
        "author_id",
        "conversation_id",
        "created_at",
        "edit_history_tweet_ids",
        "entities",
        "in_reply_to_user_id",
        "lang",
        "possibly_sensitive",
        "referenced_tweets",
    ),
    "user.fields": ("created_at", "description", "protected", "username"),
    "media.fields": ("preview_image_url", "type", "url"),
}

MAX_LINKS = 4
# "und" and "qme", "zxx", …: X's names for no language.
NO_LANGUAGE = re.compile(r"und|q[a-z]{2}|zxx|art")
UNSEEN = re.compile(r".*/problems/(resource-not-found|not-authorized-for-resource)")
POST = re.compile(r"https?://(www\.|mobile\.)?(x|twitter)\.com/\w+/status/\d+", re.IGNORECASE)


def _dictionary(value: object) -> object:
    return value if isinstance(value, dict) else {}


def _array(value: object) -> object:
    return value if isinstance(value, list) else []


Dictionary = Annotated[dict[str, Any], BeforeValidator(_dictionary)]
Array = Annotated[list[Any], BeforeValidator(_array)]


class User(BaseModel):
    """Who wrote something."""

    id: str
    username: str
    created_at: AwareDatetime | None = None
    description: str | None = ""
    protected: bool | None = False


class Media(BaseModel):
    """A picture, video or animation of a post."""

    media_key: str
    type: str
    url: str | None = None
    preview_image_url: str | None = None


class Reference(BaseModel):
    """A post's tie to another one: a reply, a quote, a retweet."""

    type: str
    id: str


class Tweet(BaseModel):
    """A post."""

    id: Annotated[str, Field(pattern=r"^[0-9]{1,19}$")]
    text: str = ""
    author_id: str = ""
    created_at: AwareDatetime
    conversation_id: str | None = None
    in_reply_to_user_id: str | None = None
    lang: str | None = None
    possibly_sensitive: bool | None = False
    attachments: Dictionary = {}
    edit_history_tweet_ids: tuple[str, ...] = ()
    entities: Dictionary = {}
    referenced_tweets: tuple[Reference, ...] = ()

    def refers_to(self, kind: Literal["replied_to", "quoted", "retweeted"]) -> str | None:
        """Id of the post that this one is a reply to, a quote or a retweet of."""
        return next((reference.id for reference in self.referenced_tweets if reference.type == kind), None)


class Answer(BaseModel):
    """One page of posts, or one event of the stream: `data` is a list or one post."""

    data: Any = None
    includes: Dictionary = {}
    meta: Dictionary = {}
    errors: Array = []

    @property
    def posts(self) -> list[Tweet]:
        """The posts that make sense."""
        return each(Tweet, self.data if isinstance(self.data, list) else [self.data] if self.data else [])

    @property
    def unseen(self) -> set[str]:
        """Ids of the posts that are deleted or not for the bot to see; not of what X just failed to show."""
        errors = [error for error in self.errors if isinstance(error, dict)]
        return {str(error.get("resource_id")) for error in errors if UNSEEN.fullmatch(str(error.get("type")))}


@dataclass(frozen=True)
class Around:
    """What came along with some posts: who wrote them, what is in them, and the posts that they refer to."""

    users: Mapping[str, User]
    media: Mapping[str, Media]
    posts: Mapping[str, Tweet]

    @classmethod
    def of(cls, answer: Answer) -> Around:
        """What came along with an answer."""
        includes = answer.includes
        return cls(
            {user.id: user for user in each(User, includes.get("users"))},
            {media.media_key: media for media in each(Media, includes.get("media"))},
            {post.id: post for post in each(Tweet, includes.get("tweets"))},
        )

    def with_posts(self, answer: Answer) -> Around:
        """The same, and an answer's own posts with what came along with them."""
        more = Around.of(answer)
        posts = {**self.posts, **more.posts, **{post.id: post for post in answer.posts}}
        return Around({**self.users, **more.users}, {**self.media, **more.media}, posts)


W = TypeVar("W", bound=BaseModel)


def each(kind: type[W], entries: object) -> list[W]:
    """Read a list of things; what makes no sense is left out, with a line in the log."""
    read = (parse(kind, entry) for entry in (entries if isinstance(entries, list) else ()))
    return [thing for thing in read if thing]


def event(line: bytes) -> Answer | None:
    """Read one line of the stream; None, and a line in the log, if it makes no sense."""
    try:
        return Answer.model_validate(from_json(line))
    except ValueError as error:
        LOG.warning("not understood", kind="event", problems=str(error)[:200])
        return None


def mention_from(post: Tweet, around: Around, bot_id: str) -> Mention | None:
    """The mention that a post is; None if it is a retweet or the bot's own."""
    if post.author_id == bot_id or post.refers_to("retweeted"):
        return None
    author = around.users.get(post.author_id)
    # An edited post is a new one to X; its first version's name keeps it from being answered again.
    first = post.edit_history_tweet_ids[0] if post.edit_history_tweet_ids else post.id
    photos, sensitive = _looked_at(post, around, bot_id)
    return Mention(
        network="x",
        id=first,
        author=author.username if author else post.author_id,
        author_since=author.created_at if author else None,
        author_opts_out=bool(author and NO_BOT.search(author.description or "")),
        created_at=post.created_at,
        visibility="private" if author and author.protected else "public",
        language=None if NO_LANGUAGE.fullmatch(post.lang or "und") else post.lang,
        command=command_in(post.text),
        in_reply_to=post.refers_to("replied_to"),
        thread=None if post.conversation_id in {first, post.id} else post.conversation_id,
        answers_bot=post.in_reply_to_user_id == bot_id,
        photos=photos,
        sensitive=sensitive,
    )


def quoted_by_parents(posts: Iterable[Tweet], around: Around, bot_id: str) -> list[str]:
    """Ids of posts, two steps away and so not around, that those without photos may be about."""
    return [
        quoted
        for post in posts
        if (parent := around.posts.get(post.refers_to("replied_to") or ""))
        and (quoted := parent.refers_to("quoted"))
        and quoted not in around.posts
        and not _looked_at(post, around, bot_id)[0]
    ]


def _looked_at(post: Tweet, around: Around, bot_id: str) -> tuple[tuple[Photo, ...], bool]:
    """The photos of the post; or of what it quotes, or of what it replies to, or of what that one quotes."""
    quoted, parent = (around.posts.get(post.refers_to(kind) or "") for kind in ("quoted", "replied_to"))
    above = around.posts.get(parent.refers_to("quoted") or "") if parent else None
    for source in (post, quoted, parent, above):
        if source and source.author_id != bot_id and (found := list(_photos(source, around))):
            is_own = source.author_id == post.author_id
            photos = tuple(photo.model_copy(update={"is_own": is_own}) for photo in found)
            return photos, bool(source.possibly_sensitive)
    return (), False


def _photos(post: Tweet, around: Around) -> Iterable[Photo]:
    """The attachments; or, if there are none, what the text links to."""
    keys = post.attachments.get("media_keys")
    attached = [around.media[key] for key in keys if key in around.media] if isinstance(keys, list) else []
    if attached:
        return map(_photo, attached)
    urls = post.entities.get("urls")
    links = [
        str(url["expanded_url"])
        for url in (urls if isinstance(urls, list) else ())
        if isinstance(url, dict) and url.get("expanded_url") and not url.get("media_key")
    ]
    # A quoted post is a link to it, too.
    outside = [link for link in dict.fromkeys(links) if not POST.match(link)]
    return (Photo(medium="link", url=link) for link in outside[:MAX_LINKS])


def _photo(media: Media) -> Photo:
    if media.type == "photo":
        return Photo(medium="image", url=media.url)
    return Photo(medium="video", url=media.preview_image_url)
