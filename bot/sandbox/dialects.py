"""How servers that speak Mastodon's API differ from it, as far as a bot can tell: one table.

Read out of their sources and documentation; where a server's versions differ, the hardest one counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Dialect:
    """One kind of server; the defaults are Mastodon's own."""

    ids: Literal["number", "ulid", "uuid"] = "number"
    pages: Literal["forward", "ascending", "since", "newest"] = "forward"
    """What min_id does: pages forward; so too, but oldest first; the same as since_id; nothing, as max_id."""
    streams: bool = True
    keeps_keys: bool = True
    """Idempotency-Key has an effect."""
    json_only: bool = False
    """Forms are refused, but for uploads."""
    resets: Literal["iso", "seconds", "none"] = "iso"
    """How a rate limit's end is told."""
    instance: Literal["v2", "v1"] = "v2"
    """Which version of the server's description there is."""
    claims_https: bool = False
    """The stream is said to be at wss://, wherever it is."""
    wants_agent: bool = False
    """Who does not say what they are gets 418."""
    has_policy: bool = False
    """Strangers' private mentions may be held back."""
    takes_orphans: bool = False
    """A reply to what is deleted becomes a post that replies to nothing."""


DIALECTS: Mapping[str, Dialect] = {
    "mastodon": Dialect(has_policy=True),
    "gotosocial": Dialect(
        ids="ulid", keeps_keys=False, resets="seconds", claims_https=True, wants_agent=True
    ),
    "takahe": Dialect(pages="ascending", streams=False, keeps_keys=False, resets="none", takes_orphans=True),
    "hollo": Dialect(
        ids="uuid", pages="since", streams=False, keeps_keys=False, json_only=True, resets="none"
    ),
    # Before it learned to page.
    "old-hollo": Dialect(
        ids="uuid", pages="newest", streams=False, keeps_keys=False, json_only=True, resets="none"
    ),
    "pleroma": Dialect(ids="ulid", instance="v1", resets="none"),
}
