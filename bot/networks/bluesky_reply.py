"""The record of a reply: made of the mention alone, so that whoever makes it again makes the same one.

Bluesky keeps a record under a name of the writer's choice. One that is written twice under the same name
stands there once: that is how a reply whose answer was lost may be sent again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.messages import Mention, Reply
from bot.networks.bluesky_wire import Post, did_of

POSTS = "app.bsky.feed.post"

BASE32 = "234567abcdefghijklmnopqrstuvwxyz"
TID_LENGTH = 13
CLOCK_BITS = 10

# The network sorts a reply by when it says it was written or by when it was seen, whichever is first. It
# cannot say when it is sent: that changes when it is sent again. Saying the mention's own time, it would lie
# below what its reader has seen meanwhile. A moment to come makes it be sorted by when it was seen.
AFTER_MENTION = timedelta(minutes=1)


def rkey(mention: Mention) -> str:
    """The name of the reply: a TID of the mention's second, and of a hash where it has fractions and a clock.

    Two mentions of the same second get the same one once in a thousand million times.
    """
    digest = int.from_bytes(hashlib.blake2b(mention.key.encode(), digest_size=8).digest())
    clock, fraction = digest % (1 << CLOCK_BITS), (digest >> CLOCK_BITS) % 1_000_000
    second = max(0, int(mention.created_at.timestamp()))
    return _base32(((second * 1_000_000 + fraction) << CLOCK_BITS) + clock)


def record(mention: Mention, post: Post, reply: Reply, pictures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The reply to a mention.

    Args:
        mention: What is answered.
        post: The same as it stands in the network.
        reply: What is said.
        pictures: The pictures that go with it, uploaded and described.
    """
    above = post.record.reply
    parent = {"uri": post.uri, "cid": post.cid}
    made: dict[str, Any] = {
        "$type": POSTS,
        "text": reply.text,
        "createdAt": _time(mention.created_at + AFTER_MENTION),
        "langs": [reply.language],
        "reply": {"root": above.root.model_dump(exclude_none=True) if above else parent, "parent": parent},
    }
    if facets := _facets(reply.text, mention):
        made["facets"] = facets
    if pictures:
        made["embed"] = {"$type": "app.bsky.embed.images", "images": list(pictures)}
    return made


def _facets(text: str, mention: Mention) -> list[dict[str, Any]]:
    """Where the author is called by name; places count bytes, not characters."""
    feature = {"$type": "app.bsky.richtext.facet#mention", "did": did_of(mention.id)}
    name = rf"(?<![\w@.])@{re.escape(mention.author)}(?![\w-]|\.\w)"
    places = [
        (len(text[: found.start()].encode()), len(text[: found.end()].encode()))
        for found in re.finditer(name, text, re.IGNORECASE)
    ]
    return [{"index": {"byteStart": start, "byteEnd": end}, "features": [feature]} for start, end in places]


def _base32(number: int) -> str:
    return "".join(BASE32[number >> (5 * place) & 31] for place in reversed(range(TID_LENGTH)))


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
