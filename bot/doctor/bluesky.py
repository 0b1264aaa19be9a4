"""The account on Bluesky. Each time, a session is made of the 300 that an account may make a day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bot.calls import CallFailed
from bot.doctor import headers
from bot.doctor.finding import Finding, failed, ok, warning
from bot.environment import typed
from bot.login.bluesky import EVERYTHING, PROFILE, SERVER, scope_of, xrpc
from bot.settings import read

LOGIN = typed("login bluesky")
NEW_PASSWORD = f"make a new app password: {LOGIN}"


def examine(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check the account."""
    handle, password = read("BLUESKY_HANDLE", environment) or "", read("BLUESKY_PASSWORD", environment) or ""
    server = (read("BLUESKY_URL", environment) or SERVER).rstrip("/")
    who = {"identifier": handle, "password": password}
    try:
        session = xrpc(server, "com.atproto.server.createSession", json=who)
        if session.status < 500:
            yield from headers.examine("bluesky", session.headers)
        if session.status in {400, 401}:
            yield failed(
                "bluesky password", f"{server} does not accept it ({session.reason}); {NEW_PASSWORD}"
            )
        elif not session.ok:
            yield failed("bluesky server", f"{server} answers {session.reason}; is BLUESKY_URL right?")
        else:
            token = str(session.body.get("accessJwt"))
            yield _password(token, server, str(session.body.get("handle", handle)))
            yield _label(server, token, str(session.body.get("did")))
            yield ok("bluesky streaming", "this network has none for mentions; they are polled")
    except CallFailed as error:
        yield failed("bluesky server", f"{error}; is BLUESKY_URL right, and the server up?")


def _password(token: str, server: str, handle: str) -> Finding:
    name = "bluesky password"
    if scope_of(token) == EVERYTHING:
        return failed(name, f"it is the account's own, which may do everything; {NEW_PASSWORD}")
    return ok(name, f"{server} takes it for @{handle}")


def _label(server: str, token: str, did: str) -> Finding:
    name = "bluesky bot label"
    found = xrpc(server, f"com.atproto.repo.getRecord?repo={did}&collection={PROFILE}&rkey=self", token)
    labels = ((found.body.get("value") or {}).get("labels") or {}).get("values") or []
    if any(label.get("val") == "bot" for label in labels):
        return ok(name, 'the profile is labelled "bot"')
    return warning(name, f'the profile is not labelled "bot"; {LOGIN} does that')
