"""The bot's own profile, on which it says that it is one."""

from __future__ import annotations

from typing import Any

from bot.logs import Log
from bot.networks.base import NetworkError
from bot.networks.bluesky_client import Client
from bot.networks.bluesky_errors import errors
from bot.networks.bluesky_mention import BOT_LABEL
from bot.networks.bluesky_wire import SelfLabels
from bot.networks.wire import parse

LOG = Log(__name__)

PROFILE = "app.bsky.actor.profile"


def mark_as_automated(client: Client, did: str) -> None:
    """Put the label on the bot's profile by which apps show that nobody sits there.

    Raises:
        NetworkError: It is not there, and cannot be put there.
    """
    place = {"repo": did, "collection": PROFILE, "rkey": "self"}
    found = _read(client, place)
    value = found.get("value") or {"$type": PROFILE}
    labels = parse(SelfLabels, value.get("labels") or {})
    names = [label.val for label in labels.values] if labels else []
    if BOT_LABEL in names:
        return
    values = [{"val": name} for name in (*names, BOT_LABEL)]
    marked = value | {"labels": {"$type": "com.atproto.label.defs#selfLabels", "values": values}}
    with errors("marking the bot's profile as automated"):
        # Only in place of what was read: its owner may be editing it.
        client.tell("com.atproto.repo.putRecord", place | {"record": marked, "swapRecord": found.get("cid")})
    LOG.info("marked as automated", profile=did)


def _read(client: Client, place: dict[str, str]) -> dict[str, Any]:
    """The profile; empty if there is none."""
    try:
        with errors("reading the bot's profile"):
            return client.ask("com.atproto.repo.getRecord", **place)
    except NetworkError as error:
        if error.trouble == "gone":
            return {}
        raise
