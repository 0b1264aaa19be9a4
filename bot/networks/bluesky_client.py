"""Calls to Bluesky as the bot, in one session that all its processes share.

Bluesky allows 300 log-ins a day, and a session can be renewed without end. So it is kept in Redis: whoever
finds it expired renews it, one process at a time, and the others take what that one has put there. It lies
there sealed; one that cannot be opened is as good as none.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from typing import Any

from atproto_client.client.raw import ClientRaw
from atproto_client.client.session import Session, get_session_pds_endpoint
from atproto_client.exceptions import BadRequestError, ModelError, RequestErrorBase, UnauthorizedError
from atproto_client.models.dot_dict import DotDict
from atproto_client.request import Request
from redis import Redis

from bot import keys
from bot.networks.accounts import BlueskyAccount
from bot.networks.bluesky_errors import is_expired
from bot.networks.bluesky_seal import Seal

# The door to many servers; which of them an account is on, its session tells.
ENTRYWAY = "https://bsky.social"
TIMEOUT_SECONDS = 10
# Renewing a session takes two calls at most.
LOCK_SECONDS = 3 * TIMEOUT_SECONDS

# Twice: what another process has put there may have run out in its turn.
RENEWALS = 2

JSON = "application/json"

Call = Callable[[dict[str, str]], Any]


class Client:
    """The bot on its server. Every call raises what `bluesky_errors.errors` understands.

    Args:
        account: The bot's account.
        redis: Where the session is kept.
    """

    def __init__(self, account: BlueskyAccount, redis: Redis) -> None:
        url = str(account.url).rstrip("/")
        request = Request(timeout=TIMEOUT_SECONDS)
        # Who gives up and logs in anew leaves no connection behind.
        weakref.finalize(self, request.close)
        self._account = account
        self._door = ClientRaw(url, request)
        self._server = ClientRaw(url, request)
        self._redis = redis
        self._key = keys.session(f"bluesky:{account.handle}@{url}")
        self._seal = Seal(account)
        self._session: Session | None = None

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Read something; None is a parameter that is not sent."""
        sent = DotDict({name: value for name, value in parameters.items() if value is not None})
        return self._call(lambda headers: self._server.invoke_query(method, params=sent, headers=headers))

    def tell(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change something."""
        return self.send(method, json.dumps(body).encode(), JSON)

    def send(self, method: str, content: bytes, kind: str) -> dict[str, Any]:
        """Send bytes of some media type."""

        def call(headers: dict[str, str]) -> Any:
            return self._server.invoke_procedure(
                method, content=content, headers=headers | {"Content-Type": kind}
            )

        return self._call(call)

    def _call(self, call: Call) -> dict[str, Any]:
        session = self._session or self._renew(None)
        for _ in range(RENEWALS):
            try:
                return _answer(call, session)
            except RequestErrorBase as error:
                if not is_expired(error):
                    raise
                session = self._renew(session)
        return _answer(call, session)

    def _renew(self, stale: Session | None) -> Session:
        with self._redis.lock(f"{self._key}:lock", timeout=LOCK_SECONDS, blocking_timeout=LOCK_SECONDS):
            session = self._kept()
            if session is None or session == stale:
                session = self._refreshed(stale) or self._created()
                self._redis.set(self._key, self._seal.close(session))
        if str(self._account.url).rstrip("/") == ENTRYWAY:
            self._server.update_base_url(session.pds_endpoint)
        self._session = session
        return session

    def _kept(self) -> Session | None:
        kept: Any = self._redis.get(self._key)
        return self._seal.open(kept) if kept else None

    def _refreshed(self, stale: Session | None) -> Session | None:
        if stale is None:
            return None
        try:
            return self._session_of(
                self._door.com.atproto.server.refresh_session(headers=_bearer(stale.refresh_jwt))
            )
        except (BadRequestError, UnauthorizedError):
            return None

    def _created(self) -> Session:
        who = {"identifier": self._account.handle, "password": self._account.password.get_secret_value()}
        return self._session_of(self._door.com.atproto.server.create_session(who))

    def _session_of(self, answer: Any) -> Session:
        place = get_session_pds_endpoint(answer) or str(self._account.url).rstrip("/")
        return Session(answer.handle, answer.did, answer.access_jwt, answer.refresh_jwt, place)


def _answer(call: Call, session: Session) -> dict[str, Any]:
    response = call(_bearer(session.access_jwt))
    if not isinstance(response.content, dict):
        raise ModelError(f"the answer is {response.headers.get('content-type')}, not JSON")
    return response.content


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
