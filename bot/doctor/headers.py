"""What the headers of a network's answer tell: how late it is there, and how many calls are left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from bot.doctor.finding import Finding, failed, ok, warning

# Signatures and tokens with an end are judged by the other side's clock.
MAX_DIFFERENCE_SECONDS = 30
FEW_CALLS_LEFT = 0.1

# Mastodon, X, Bluesky.
PREFIXES = ("X-RateLimit-", "X-Rate-Limit-", "RateLimit-")


def examine(network: str, headers: Mapping[str, str]) -> Iterator[Finding]:
    """Check both, right after an answer came."""
    yield clock(f"{network} clock", headers)
    yield calls_left(f"{network} rate limit", headers)


def clock(name: str, headers: Mapping[str, str]) -> Finding:
    """Whether it is as late here as there."""
    try:
        there = parsedate_to_datetime(headers.get("Date") or "")
    except ValueError:
        return warning(name, "the server does not tell its time; see yourself that the clock here is right")
    # A Date of "-0000" comes without a zone, and means UTC.
    late = (datetime.now(UTC) - (there if there.tzinfo else there.replace(tzinfo=UTC))).total_seconds()
    if abs(late) > MAX_DIFFERENCE_SECONDS:
        which = "ahead of" if late > 0 else "behind"
        return failed(
            name,
            f"the clock here is {abs(late):.0f} s {which} the server's, the limit is "
            f"{MAX_DIFFERENCE_SECONDS} s; have it set from the network (NTP)",
        )
    return ok(name, f"within {MAX_DIFFERENCE_SECONDS} s of the server's")


def calls_left(name: str, headers: Mapping[str, str]) -> Finding:
    """Whether the bot may go on asking."""
    for prefix in PREFIXES:
        left, limit = headers.get(f"{prefix}Remaining") or "", headers.get(f"{prefix}Limit") or ""
        if left.isdecimal() and limit.isdecimal() and int(limit):
            words = f"{left} of {limit} calls are left"
            if int(left) < FEW_CALLS_LEFT * int(limit):
                return warning(name, f"{words}; does something else use this account too?")
            return ok(name, words)
    return ok(name, "the server tells of none")
