"""A Mastodon server's API as one account sees it: JSON in, JSON out, every failure a NetworkError.

Our own because of the servers that are not Mastodon: Hollo wants JSON where Mastodon.py sends forms, and
others have versions, dates and errors that it does not expect.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import PoolManager, ProxyManager, Timeout
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProxyError
from urllib3.response import BaseHTTPResponse

from bot.messages import Picture
from bot.networks.base import NetworkError
from bot.networks.mastodon_errors import refusal

# GoToSocial answers 418 to an empty User-Agent.
USER_AGENT = "deepselfie (a bot that judges photos)"
TIMEOUT_SECONDS = 10

OLDER = re.compile(r'<([^>]*)>\s*;[^,]*rel="?next"?')

Query = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    json: Any
    older: Query | None
    """Which parameters lead to the list's older part, if the server says so."""


class Rest:
    """One account's calls.

    Args:
        url: The server's address, as the operator wrote it.
        token: The account's access token.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self._pool = _pool(self.url)
        self._headers = {
            "Authorization": f"Bearer {token}",
            "User-Agent": USER_AGENT,
        }

    def get(self, doing: str, path: str, query: Query | None = None) -> Answer:
        """Read something.

        Raises:
            NetworkError: As for all calls; its message begins with what we were doing.
        """
        return self._call(doing, "GET", f"{path}?{urlencode(query, doseq=True)}" if query else path)

    def send(
        self, doing: str, method: str, path: str, body: Mapping[str, Any] | None = None, *, key: str = ""
    ) -> Answer:
        """Change something; where idempotency keys are kept, once for each key."""
        headers = {"Idempotency-Key": key} if key else {}
        if body is None:
            return self._call(doing, method, path, headers=headers)
        headers["Content-Type"] = "application/json"
        return self._call(doing, method, path, headers=headers, body=json.dumps(body).encode())

    def upload(self, doing: str, path: str, picture: Picture) -> Answer:
        """Upload a picture with its description: a form, which for files is the only way everywhere."""
        name = f"picture.{picture.kind.partition('/')[2]}"
        fields = {"file": (name, picture.content, picture.kind), "description": picture.description}
        return self._call(doing, "POST", path, fields=fields)

    def _call(
        self, doing: str, method: str, path: str, *, headers: Mapping[str, str] | None = None, **what: Any
    ) -> Answer:
        try:
            answer = self._pool.request(
                method,
                self.url + path,
                headers={**self._headers, **(headers or {})},
                timeout=Timeout(connect=TIMEOUT_SECONDS, read=TIMEOUT_SECONDS),
                # What may be repeated, and when, the caller knows; and a redirect would lose a POST's body.
                retries=False,
                redirect=False,
                **what,
            )
        except HTTPError as error:
            # Without a connection the server cannot have done anything.
            unknown = not isinstance(error, NewConnectionError | ConnectTimeoutError | ProxyError)
            raise NetworkError(f"{doing}: Could not complete request: {error}", unknown=unknown) from None
        if answer.status >= 300:
            raise refusal(doing, answer.status, answer.headers, answer.data)
        return Answer(answer.status, _json(doing, answer), _older(answer))


def _pool(url: str) -> PoolManager:
    address = urlsplit(url)
    proxy = getproxies().get(address.scheme)
    if proxy and not proxy_bypass(address.hostname or ""):
        return ProxyManager(proxy)
    return PoolManager(maxsize=4)


def _json(doing: str, answer: BaseHTTPResponse) -> Any:
    try:
        return json.loads(answer.data) if answer.data else None
    except ValueError:
        shown = answer.data[:80].decode("utf-8", "replace")
        message = f"{doing}: answer {answer.status} is no JSON but {shown!r}; is MASTODON_URL right?"
        raise NetworkError(message, unknown=True) from None


def _older(answer: BaseHTTPResponse) -> Query | None:
    """Where the Link header leads; never to another host, whatever that header says."""
    match = OLDER.search(answer.headers.get("Link", ""))
    if not match:
        return None
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(urlsplit(match[1]).query):
        query.setdefault(name, []).append(value)
    return query
