"""Mastodon's notification policy: by default, private mentions from strangers are held back as requests.

Everybody who mentions the bot is a stranger, so it lets them all in. Servers before Mastodon 4.3, and most
that are not Mastodon, have no such policy.
"""

from __future__ import annotations

from bot.logs import Log
from bot.networks.base import NetworkError
from bot.networks.mastodon_rest import Rest

LOG = Log(__name__)

POLICY = "/api/v2/notifications/policy"
REQUESTS = "/api/v1/notifications/requests"
KINDS = (
    "for_not_following",
    "for_not_followers",
    "for_new_accounts",
    "for_private_mentions",
    "for_limited_accounts",
)

# How servers answer that know nothing of policies.
NO_POLICY = {"gone", "refused"}


def let_everybody_in(rest: Rest) -> None:
    """Have no mention held back any more, and accept those that were.

    Raises:
        NetworkError: Nobody knows whether that worked.
    """
    doing = "letting everybody's mentions in"
    try:
        held_back = rest.get(doing, POLICY).json or {}
        if any(held_back.get(kind, "accept") != "accept" for kind in KINDS):
            rest.send(doing, "PATCH", POLICY, dict.fromkeys(KINDS, "accept"))
        waiting = rest.get(doing, REQUESTS).json or []
        if waiting:
            rest.send(doing, "POST", f"{REQUESTS}/accept", {"id": [str(each["id"]) for each in waiting]})
            LOG.info("requests accepted", people=len(waiting))
    except NetworkError as error:
        if error.trouble == "unauthorized":
            LOG.warning(
                "private mentions may be held back",
                error=str(error),
                do="give MASTODON_TOKEN the scope write:notifications, or set Preferences → Notifications → "
                "Manage notifications from … to Accept",
            )
        elif error.trouble not in NO_POLICY:
            raise
