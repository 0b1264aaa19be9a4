"""The account on X. What is read here costs as any reading does: one account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bot.calls import Answer, CallFailed, bearer, call
from bot.doctor import headers
from bot.doctor.finding import Finding, failed, ok
from bot.login.signature import signed
from bot.login.x import SECRETS, SERVER, advice, keys_of
from bot.settings import read


def examine(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check the account."""
    values = {name: read(name, environment) or "" for name in SECRETS}
    server = (read("X_URL", environment) or SERVER).rstrip("/")
    me = f"{server}/2/users/me"
    try:
        user = call("GET", me, signed("GET", me, keys_of(values)))
        if user.status < 500:
            yield from headers.examine("x", user.headers)
        handle = (user.body.get("data") or {}).get("username")
        yield _accepted("x access token", user, f"{server} takes it for @{handle}")
        rules = call("GET", f"{server}/2/tweets/search/stream/rules", bearer(values["X_BEARER_TOKEN"]))
        yield _accepted("x streaming", rules, "the bearer token may open the stream")
    except CallFailed as error:
        yield failed("x server", f"{error}; is X_URL right, and this machine online?")


def _accepted(name: str, answer: Answer, words: str) -> Finding:
    return ok(name, words) if answer.ok else failed(name, f"{answer.reason}; {advice(answer.status)}")
