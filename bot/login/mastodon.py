"""Logging in at Mastodon, or what speaks its API: an app, a token, a profile that says it is a bot."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from bot.calls import Answer, bearer, call
from bot.login import LoginFailed
from bot.login.conversation import Conversation
from bot.login.profile import About
from bot.login.vault import Vault

TOKEN = "mastodon_token"  # noqa: S105
APP = "deepselfie"
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"

# Read mentions and threads; post and delete replies; their pictures; the bot flag and fields of the profile;
# whose notifications are let through. Some servers know the broad ones only.
SCOPES = "read write:statuses write:media write:accounts write:notifications"
BROAD_SCOPES = "read write"

# Mastodon 4.3 and later keep back what strangers write privately; a bot is mentioned by strangers.
EVERYBODY = ("for_not_following", "for_not_followers", "for_new_accounts", "for_private_mentions")


def log_in(conversation: Conversation, vault: Vault, url: str | None, *, reads_token: bool) -> None:
    """Log in.

    Args:
        conversation: With the operator.
        vault: Where the token is kept.
        url: The bot's server; None: the operator is asked.
        reads_token: The operator has a token already, and gives it as the first answer.

    Raises:
        LoginFailed: No token came about, or none that works.
        CallFailed: The server does not answer.
    """
    vault.make_room(conversation, TOKEN)
    token = conversation.ask_secret("Access token") if reads_token else ""
    server = conversation.ask_server("The bot's server, such as example.social", url)
    token = token or _authorised(conversation, server)
    answer = call("GET", f"{server}/api/v1/accounts/verify_credentials", bearer(token))
    if not answer.ok:
        raise LoginFailed(
            f"{server} does not accept the token ({answer.reason}); it needs the scope read, at least"
        )
    handle = f"@{answer.body.get('acct')} at {server}"
    if not reads_token and not conversation.agrees(f"This is {handle}. The bot's account?", otherwise=True):
        raise LoginFailed(
            f"nothing was stored; remove {APP} from that account's authorised apps, "
            "log in to the server as the bot, and start again"
        )
    file = vault.keep(TOKEN, token)
    conversation.say(f"Logged in as {handle}.")
    conversation.give(MASTODON_URL=server, MASTODON_TOKEN_FILE=file)
    _introduce(conversation, server, token, answer.body)
    _let_everybody_in(conversation, server, token)


def _authorised(conversation: Conversation, server: str) -> str:
    """A new token, by way of a page on which the operator allows it."""
    scopes = SCOPES
    app = _register(server, scopes)
    if app.status in {400, 422}:
        scopes = BROAD_SCOPES
        app = _register(server, scopes)
    client, secret = app.body.get("client_id"), app.body.get("client_secret")
    if not (app.ok and client and secret):
        raise LoginFailed(f"{server} makes no app ({app.reason}); does it speak Mastodon's API?")
    wish = {"client_id": client, "redirect_uri": OUT_OF_BAND, "response_type": "code", "scope": scopes}
    conversation.say(
        "Open this page in a private window of your browser, log in as the bot, and allow it:\n\n"
        f"  {server}/oauth/authorize?{urlencode(wish)}\n"
    )
    proof = {"grant_type": "authorization_code", "code": conversation.ask("The code it shows")}
    proof |= {"client_id": client, "client_secret": secret, "redirect_uri": OUT_OF_BAND, "scope": scopes}
    answer = call("POST", f"{server}/oauth/token", form=proof)
    if not (answer.ok and answer.body.get("access_token")):
        raise LoginFailed(f"{server} does not take that code ({answer.reason}); start again for a new one")
    return str(answer.body["access_token"])


def _register(server: str, scopes: str) -> Answer:
    app = {"client_name": APP, "redirect_uris": OUT_OF_BAND, "scopes": scopes}
    return call("POST", f"{server}/api/v1/apps", form=app)


def _introduce(conversation: Conversation, server: str, token: str, account: dict[str, Any]) -> None:
    """Mark the account as a bot's, and add to the table in its profile what the operator tells."""
    about = About.asked(conversation)
    form = {"bot": "true"}
    if about.lines:
        kept = {str(f["name"]): str(f["value"]) for f in (account.get("source") or {}).get("fields") or []}
        for place, (name, value) in enumerate((kept | about.lines).items()):
            form[f"fields_attributes[{place}][name]"] = name
            form[f"fields_attributes[{place}][value]"] = value
    answer = call("PATCH", f"{server}/api/v1/accounts/update_credentials", bearer(token), form=form)
    if answer.ok and answer.body.get("bot"):
        conversation.say("The account is marked as automated.")
    else:
        reason = "the server keeps no such mark" if answer.ok else answer.reason
        more = f", and add there: {about}" if about.lines else ""
        conversation.say(
            f"The profile could not be changed ({reason}): mark the account as automated by hand, in its "
            f"profile's settings{more}."
        )


def _let_everybody_in(conversation: Conversation, server: str, token: str) -> None:
    form = dict.fromkeys(EVERYBODY, "accept")
    answer = call("PATCH", f"{server}/api/v2/notifications/policy", bearer(token), form=form)
    if answer.ok:
        conversation.say("Mentions of strangers are let through, private ones too.")
    elif answer.status == 403:
        conversation.say(
            f"The server may keep back what strangers write ({answer.reason}): see to it in the account's "
            "settings, under notifications."
        )
