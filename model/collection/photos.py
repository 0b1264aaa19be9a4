"""Photos by URL, from the hosts that they are expected on and no others."""

from __future__ import annotations

from collections.abc import Set
from urllib.parse import urlsplit

from model.collection.network import LeftAlone
from model.collection.visitor import Refused, Visitor


class Photos:
    """Fetches photos for one run.

    Args:
        visitor: Makes the calls.
        hosts: Where photos may be, subdomains included.
        secure: Over HTTPS only.
    """

    def __init__(self, visitor: Visitor, hosts: Set[str], *, secure: bool = True) -> None:
        self._visitor = visitor
        self._hosts = hosts
        self._schemes = {"https"} if secure else {"http", "https"}
        self.elsewhere: set[str] = set()
        """Hosts that photos are on, but were not expected on."""

    def __call__(self, url: str) -> bytes | LeftAlone:
        """Fetch a photo, or say why not.

        Raises:
            CollectionError: Its server cannot be reached, or wants us to go.
        """
        try:
            place = urlsplit(url)
        except ValueError:
            return LeftAlone("photo's URL makes no sense")
        host = place.hostname or ""
        if not any(host == one or host.endswith(f".{one}") for one in self._hosts):
            self.elsewhere.add(host)
            return LeftAlone("photo is on another host")
        if place.scheme not in self._schemes:
            return LeftAlone("photo is not on HTTPS")
        if not self._visitor.may(url):
            return LeftAlone("robots.txt keeps us from the photo")
        try:
            return self._visitor.photo(url)
        except Refused:
            return LeftAlone("photo could not be had")
