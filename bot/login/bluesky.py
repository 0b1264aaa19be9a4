"""Logging in at Bluesky: an app password, a profile that says it is a bot."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from bot.calls import Answer, bearer, call
from bot.login import LoginFailed
from bot.login.conversation import Conversation
from bot.login.profile import QUESTIONS, About
from bot.login.vault import Vault

PASSWORD = "bluesky_password"  # noqa: S105
SERVER = "https://bsky.social"

PROFILE = "app.bsky.actor.profile"
SELF_LABELS = "com.atproto.label.defs#selfLabels"
MAX_DESCRIPTION = 256

# What a session's token says when it was made with the account's own password.
EVERYTHING = "com.atproto.access"


def log_in(conversation: Conversation, vault: Vault, url: str | None) -> None:
    """Log in.

    Args:
        conversation: With the operator.
        vault: Where the app password is kept.
        url: The account's server; None: the one most accounts are on.

    Raises:
        LoginFailed: Handle and password are not accepted, or may do too much.
        CallFailed: The server does not answer.
    """
    vault.make_room(conversation, PASSWORD)
    server = conversation.ask_server("The account's server", url or SERVER)
    conversation.say(
        f"Logging in at {server}. Make an app password for the bot, on the website or in the app: Settings → "
        "Privacy and security → App passwords. It needs no access to direct messages."
    )
    handle = conversation.ask("The bot's handle, such as deepselfie.bsky.social").removeprefix("@")
    password = conversation.ask_secret("The app password")
    answer = xrpc(
        server, "com.atproto.server.createSession", json={"identifier": handle, "password": password}
    )
    if not answer.ok:
        raise LoginFailed(f"{server} does not accept handle and password ({answer.reason})")
    token = str(answer.body.get("accessJwt"))
    if scope_of(token) == EVERYTHING:
        raise LoginFailed("that is the account's own password, which may do everything; make an app password")
    file = vault.keep(PASSWORD, password)
    conversation.say(f"Logged in as @{answer.body.get('handle', handle)}.")
    conversation.give(BLUESKY_HANDLE=handle, BLUESKY_PASSWORD_FILE=file, BLUESKY_URL=server)
    _introduce(conversation, server, token, str(answer.body.get("did")))


def xrpc(server: str, name: str, token: str = "", *, json: dict[str, Any] | None = None) -> Answer:
    """Call a procedure, or ask a question, which has no JSON."""
    authorization = bearer(token) if token else ""
    return call("GET" if json is None else "POST", f"{server}/xrpc/{name}", authorization, json=json)


def scope_of(token: str) -> str:
    """What a session's token says that it may do; empty if it is not for us to read."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims.get("scope", ""))
    except (IndexError, ValueError, binascii.Error, AttributeError):
        return ""


def _introduce(conversation: Conversation, server: str, token: str, did: str) -> None:
    """Label the account as a bot's, and add to its description what the operator tells."""
    about = About.asked(conversation)
    where = f"repo={did}&collection={PROFILE}&rkey=self"
    found = xrpc(server, f"com.atproto.repo.getRecord?{where}", token)
    if not found.ok and found.body.get("error") != "RecordNotFound":
        conversation.say(f"The profile could not be read ({found.reason}); label it as a bot's by hand.")
        return
    record = labelled(found.body.get("value") or {"$type": PROFILE})
    description = described(str(record.get("description") or ""), about)
    if len(description) > MAX_DESCRIPTION:
        conversation.say(
            f"With all that the description would have {len(description)} characters, the limit is "
            f"{MAX_DESCRIPTION}; it stays as it is. Shorten it, and add: {about}."
        )
    else:
        record["description"] = description
    wish = {"repo": did, "collection": PROFILE, "rkey": "self", "record": record}
    # Should the profile have changed in between, it is not overwritten.
    put = xrpc(server, "com.atproto.repo.putRecord", token, json=wish | {"swapRecord": found.body.get("cid")})
    if put.ok:
        conversation.say('The account is labelled "bot".')
    else:
        conversation.say(f"The profile could not be changed ({put.reason}); add by hand: a bot. {about}")


def labelled(record: dict[str, Any]) -> dict[str, Any]:
    """A profile with the label "bot" among those that the account gives itself."""
    labels = record.get("labels") or {"$type": SELF_LABELS, "values": []}
    values = [label for label in labels.get("values") or [] if label.get("val") != "bot"]
    return record | {"labels": labels | {"values": [*values, {"val": "bot"}]}}


def described(description: str, about: About) -> str:
    """A description with the operator's lines, each in place of an older one of its name."""
    replaced = tuple(f"{name}: " for name in QUESTIONS if name in about.lines)
    kept = [line for line in description.splitlines() if not line.startswith(replaced)]
    return "\n".join([*kept, *(f"{name}: {value}" for name, value in about.lines.items())]).strip()
