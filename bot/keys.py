"""What things are called in Redis."""

from __future__ import annotations

PREFIX = "deepselfie:"
OPEN = f"{PREFIX}open"
COUNTS = f"{PREFIX}counts"
SALT = f"{PREFIX}salt"
STOPPED = f"{PREFIX}stopped"
ALARMS = f"{PREFIX}alarms"


def record(key: str) -> str:
    """What is known of a mention."""
    return f"{PREFIX}mention:{key}"


def author(author: str) -> str:
    """The keys of an author's mentions; the author is a hash."""
    return f"{PREFIX}author:{author}"


def cursor(network: str) -> str:
    """How far a network has been read."""
    return f"{PREFIX}cursor:{network}"


def leader(network: str) -> str:
    """Which process listens to a network."""
    return f"{PREFIX}leader:{network}"


def handover(network: str) -> str:
    """Wakes one of those who wait for a network's lead."""
    return f"{PREFIX}handover:{network}"


def standby(network: str) -> str:
    """Whether some process waits for a network's lead."""
    return f"{PREFIX}standby:{network}"


def session(account: str) -> str:
    """A log-in that an account's processes share."""
    return f"{PREFIX}session:{account}"


def quota(name: str) -> str:
    """When those mentions were accepted that count against a quota."""
    return f"{PREFIX}quota:{name}"


def answered(network: str) -> str:
    """The keys of a network's lately answered mentions, by when to look whether each still stands."""
    return f"{PREFIX}answered:{network}"
