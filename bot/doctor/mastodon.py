"""The account on Mastodon, or on what speaks its API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from bot.calls import TIMEOUT_SECONDS, USER_AGENT, Answer, CallFailed, bearer, call
from bot.doctor import headers
from bot.doctor.finding import Finding, failed, ok, warning
from bot.environment import typed
from bot.networks.accounts import MastodonAccount
from bot.settings import load


@dataclass(frozen=True)
class Scope:
    """Something a token may do, a call that needs it and changes nothing, and what the bot needs it for."""

    name: str
    method: str
    path: str
    purpose: str
    is_needed: bool = True


# No post or picture has the number 0: who may ask hears that there is none, and only who may not, a 403.
SCOPES = (
    Scope("read:notifications", "GET", "/api/v1/notifications?limit=1", "to hear of mentions"),
    Scope("read:statuses", "GET", "/api/v1/statuses/0", "to read threads"),
    Scope("write:statuses", "DELETE", "/api/v1/statuses/0", "to post replies and delete them"),
    Scope("write:media", "PUT", "/api/v1/media/0", "to post pictures with replies", is_needed=False),
)
LOGIN = typed("login mastodon")
NEW_TOKEN = f"make a new token: {LOGIN}"


def examine(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check the account."""
    account = load(MastodonAccount, environment)
    server, token = str(account.url).rstrip("/"), account.token.get_secret_value()
    try:
        me = call("GET", f"{server}/api/v1/accounts/verify_credentials", bearer(token))
        yield _reached(server, me)
        if me.status < 500:
            yield from headers.examine("mastodon", me.headers)
        if me.ok:
            yield from _of_account(server, token, me.body)
    except CallFailed as error:
        yield failed("mastodon server", f"{error}; is MASTODON_URL right, and the server up?")


def _reached(server: str, me: Answer) -> Finding:
    if me.ok:
        return ok("mastodon token", f"{server} takes it for @{me.body.get('acct')}")
    if me.status in {401, 403}:
        return failed("mastodon token", f"{server} does not accept it ({me.reason}); {NEW_TOKEN}")
    return failed("mastodon server", f"{server} answers {me.reason}; is MASTODON_URL right? Else try later")


def _of_account(server: str, token: str, me: dict[str, Any]) -> Iterator[Finding]:
    for scope in SCOPES:
        yield _scope(server, token, scope)
    if me.get("bot"):
        yield ok("mastodon bot flag", "the account is marked as automated")
    else:
        yield warning(
            "mastodon bot flag",
            "the account is not marked as automated, as servers want it; do so in its profile's settings, or "
            f"with {LOGIN}",
        )
    yield _policy(server, token)
    yield _stream(server, token)


def _scope(server: str, token: str, scope: Scope) -> Finding:
    name = f"mastodon scope {scope.name}"
    answer = call(scope.method, f"{server}{scope.path}", bearer(token))
    if answer.status in {401, 403}:
        words = f"missing ({answer.reason}); the bot needs it {scope.purpose}; {NEW_TOKEN}"
        return failed(name, words) if scope.is_needed else warning(name, words)
    if answer.status >= 500 or answer.status == 429:
        return warning(name, f"unknown, the server answers {answer.reason}; try again later")
    return ok(name, scope.purpose)


def _policy(server: str, token: str) -> Finding:
    """Mastodon 4.3 and later can keep notifications back; a bot's come from strangers."""
    name = "mastodon notifications"
    answer = call("GET", f"{server}/api/v2/notifications/policy", bearer(token))
    kept_back = [
        subject.removeprefix("for_").replace("_", " ")
        for subject, decision in answer.body.items()
        if subject.startswith("for_") and subject != "for_limited_accounts" and decision != "accept"
    ]
    if answer.ok and kept_back:
        return warning(
            name,
            f"the server keeps some back ({', '.join(kept_back)}), and the bot never hears of them; let them "
            f"through in the account's settings, or with {LOGIN}",
        )
    return ok(name, "none are kept back" if answer.ok else "the server tells of none that it keeps back")


def _stream(server: str, token: str) -> Finding:
    name = "mastodon streaming"
    instance = call("GET", f"{server}/api/v2/instance", bearer(token)).body
    url = ((instance.get("configuration") or {}).get("urls") or {}).get("streaming")
    polled = "mentions are heard when they are polled, every BOT_POLL_SECONDS"
    if not url:
        return warning(name, f"the server offers none; {polled}")
    try:
        with connect(
            f"{url}/api/v1/streaming?stream=user:notification",
            additional_headers={"Authorization": bearer(token)},
            user_agent_header=USER_AGENT,
            open_timeout=TIMEOUT_SECONDS,
            close_timeout=1,
        ):
            return ok(name, "it opens")
    except (WebSocketException, OSError, ValueError) as error:
        return warning(name, f"it does not open at {url} ({error}); does a proxy block WebSockets? {polled}")
