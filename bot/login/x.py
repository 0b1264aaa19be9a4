"""Logging in at X: five values out of its developer console, and what has to be done by hand."""

from __future__ import annotations

from bot.calls import bearer, call
from bot.login import LoginFailed
from bot.login.conversation import Conversation
from bot.login.signature import Keys, signed
from bot.login.vault import Vault

SERVER = "https://api.x.com"

SECRETS = {
    "X_CONSUMER_KEY": "The API key (consumer key)",
    "X_CONSUMER_SECRET": "The API key secret (consumer secret)",
    "X_ACCESS_TOKEN": "The access token",
    "X_ACCESS_TOKEN_SECRET": "The access token secret",
    "X_BEARER_TOKEN": "The bearer token",
}

BEFORE = """\
X wants money and some clicks; nobody can do those for you. Logged in as the bot's account:

  1. In X's developer console (https://console.x.com) make a project with an app, and buy credit.
     A summoned reply costs $0.010, one with a link in it $0.200, and what is read costs too:
     set a spending limit there. docs/networks.md has the details.
  2. In the app, under "User authentication settings", set the permissions to "Read and write".
  3. Under "Keys and tokens" make: API key and secret; access token and secret (after step 2, or they
     may only read); bearer token.
"""

AFTER = """\
Now, by hand, logged in to X as the bot: Settings → Your account → Account information → Automation →
Managing account, and name your own account there. That labels the bot as automated, which X's rules want.
Say in its bio who runs it, and where its privacy policy is."""


def log_in(conversation: Conversation, vault: Vault, url: str | None) -> None:
    """Log in.

    Args:
        conversation: With the operator.
        vault: Where the five secrets are kept.
        url: Where the API is; None: where X has it.

    Raises:
        LoginFailed: The values are not accepted.
        CallFailed: X does not answer.
    """
    vault.make_room(conversation, *(name.lower() for name in SECRETS))
    server = conversation.ask_server("X's API", url or SERVER)
    conversation.say(BEFORE)
    values = {name: conversation.ask_secret(question) for name, question in SECRETS.items()}
    me = f"{server}/2/users/me"
    answer = call("GET", me, signed("GET", me, keys_of(values)))
    if not answer.ok:
        raise LoginFailed(
            f"X does not accept keys and access token ({answer.reason}); {advice(answer.status)}"
        )
    rules = call("GET", f"{server}/2/tweets/search/stream/rules", bearer(values["X_BEARER_TOKEN"]))
    if not rules.ok:
        raise LoginFailed(f"X does not accept the bearer token ({rules.reason}); {advice(rules.status)}")
    files = {f"{name}_FILE": vault.keep(name.lower(), value) for name, value in values.items()}
    conversation.say(f"Logged in as @{(answer.body.get('data') or {}).get('username')}.")
    conversation.give(**files)
    conversation.say(AFTER)


def keys_of(values: dict[str, str]) -> Keys:
    """The four values of OAuth 1.0a, by the names of their settings."""
    names = ("X_CONSUMER_KEY", "X_CONSUMER_SECRET", "X_ACCESS_TOKEN", "X_ACCESS_TOKEN_SECRET")
    return Keys(*(values[name] for name in names))


def advice(status: int) -> str:
    """What to do about X's refusal."""
    match status:
        case 401:
            return "make keys and tokens anew, copy them whole, and see that the clock here is right"
        case 402:
            return "the credit is used up: buy some in the developer console"
        case 403:
            return 'the app is in no project, or may only read: set "Read and write", then make tokens anew'
        case 429:
            return "too much was asked within 15 minutes: wait so long"
        case _:
            return "try again later"
