"""What crosses a queue or the ledger: frozen, validated, JSON on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Score = Annotated[float, Field(ge=0, le=1)]
Visibility = Literal["public", "unlisted", "private", "direct"]

Reason = Literal[
    # the file
    "empty",
    "not_a_photo",
    "damaged",
    "too_many_pixels",
    "too_costly",
    "too_many_bytes",
    # the link
    "bad_link",
    "not_found",
    "server_error",
    "unreachable",
    "forbidden_address",
    "too_slow",
    "no_picture",
    # the attachment
    "video",
    "audio",
]

Notice = Literal[
    "help",
    "our_fault",
    # not now, or not this
    "busy",
    "slow_down",
    "sensitive",
    "not_yours",
    # commands that were carried out
    "stopped",
    "started",
    "deleted",
]

Command = Literal["stop", "start", "delete", "help"]


class Message(BaseModel):
    """Base of all messages: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Photo(Message):
    """One thing in a mention that may be looked at."""

    medium: Literal["image", "video", "audio", "link"]
    url: str | None
    """What to download: the image, a video's preview frame, a link; None where there is nothing to see."""
    is_own: bool = True
    """The mention's author posted it; False: somebody else did, and the mention only points there."""


class Mention(Message):
    """One post that mentions the bot, whatever network it came from."""

    network: str
    id: str
    """The post's id: an opaque string, unique within its network."""
    author: str
    """The author's handle, as one writes it after an @."""
    author_since: AwareDatetime | None = None
    """When the author's account was made; None if the network does not tell."""
    author_is_bot: bool = False
    author_opts_out: bool = False
    """The author's profile says #nobot."""
    created_at: AwareDatetime
    visibility: Visibility = "public"
    warning: str = ""
    """The content warning the post stands behind; empty for none."""
    language: str | None = None
    command: Command | None = None
    """What the text asks for, if it says nothing else; the text itself is not kept."""
    in_reply_to: str | None = None
    """Id of the post that this one replies to."""
    thread: str | None = None
    """Id of the thread's first post, as far as the bot may see it; None if that is this one."""
    answers_bot: bool = False
    """The post is a reply to one of the bot's own."""
    photos: tuple[Photo, ...] = ()
    """What may be looked at, in the post or else in the one that it replies to."""
    sensitive: bool = False
    """Whoever posted the photos marked them so."""

    @property
    def key(self) -> str:
        """The mention's name in the ledger, the queues and the logs."""
        return f"{self.network}:{self.id}"


class Judged(Message):
    """One photo's score."""

    kind: Literal["judged"] = "judged"
    score: Score
    label: str
    percentile: Score | None = None
    """Share of the judge's reference photos that score lower; None if the judge has no reference."""
    from_video: bool = False
    """What was judged is a video's preview picture."""


class Declined(Message):
    """Why one photo has no score."""

    kind: Literal["declined"] = "declined"
    reason: Reason
    value: float | None = None
    """The measured quantity, where one is over a limit: megapixels, megabytes, an HTTP status."""
    limit: float | None = None


Opinion = Annotated[Judged | Declined, Field(discriminator="kind")]


class Verdict(Message):
    """What the judge thinks of a mention's photos, in the mention's order; or else a notice."""

    opinions: tuple[Opinion, ...] = ()
    notice: Notice | None = None
    """What is said in place of opinions."""
    deleted: int = 0
    """How many replies were deleted, for the notice of that."""
    judge: str = ""
    """Name and version of the model file, for the record."""
    reference_name: str = ""
    """What the percentiles compare with: "Better than 83% of <reference_name>"."""
    caution: str = ""
    """A sentence about the judge that the reply has to carry."""
    accuracy: Score | None = None
    """Share of the photos in its tests that the judge was right about; None if its card does not tell."""

    @property
    def best(self) -> Judged | None:
        """The best photo's opinion; None if none was judged."""
        judged = [opinion for opinion in self.opinions if isinstance(opinion, Judged)]
        return max(judged, key=lambda opinion: opinion.score, default=None)


# What a mention gets that something of ours went wrong with.
APOLOGY = Verdict(notice="our_fault")


class Picture(Message):
    """A picture that goes with a reply."""

    content: bytes
    kind: str
    """Its media type: image/jpeg, image/png."""
    description: str
    """What is to be seen, for those who do not see it."""


class Reply(Message):
    """What the bot says back."""

    text: str
    visibility: Visibility
    warning: str = ""
    language: str = "en"
    pictures: tuple[Picture, ...] = ()
