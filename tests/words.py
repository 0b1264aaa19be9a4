"""What the bot says to a mention, word for word: which words it uses, the mention's key decides."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.messages import Declined, Mention, Notice, Reason, Verdict
from bot.wording import reply_to


def words(post: str, verdict: Verdict, *, attempt: int = 0, network: str = "mastodon") -> str:
    """The reply to ann's post with this id, in one attempt after others."""
    mention = Mention(network=network, id=post, author="ann", created_at=datetime.now(UTC))
    return reply_to(mention, verdict, room=490, attempt=attempt).text


def notice(post: str, kind: Notice, *, deleted: int = 0, network: str = "mastodon") -> str:
    """What is said in place of an opinion."""
    return words(post, Verdict(notice=kind, deleted=deleted), network=network)


def declined(post: str, reason: Reason, value: float | None = None, limit: float | None = None) -> str:
    """What is said about a single photo that has no score."""
    return words(post, Verdict(opinions=(Declined(reason=reason, value=value, limit=limit),)))
