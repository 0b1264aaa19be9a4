"""The sandbox network, under a name of its own: nothing of it is ever taken for a real server's."""

from __future__ import annotations

from bot.environment import typed
from bot.networks.accounts import START_SANDBOX, SandboxAccount
from bot.networks.base import NetworkError
from bot.networks.mastodon import Mastodon


def connect(account: SandboxAccount, _redis: object) -> Mastodon:
    """Log in.

    Raises:
        NetworkError: The sandbox does not run, or does not accept the token.
    """
    try:
        return Sandbox.login(str(account.url), account.token.get_secret_value())
    except NetworkError as error:
        login = typed("login mastodon")
        words = f"{error}; the bot has no other account: set one up ({login}), or {START_SANDBOX}"
        raise NetworkError(words, trouble=error.trouble, permanent=error.permanent) from None


class Sandbox(Mastodon):
    """The bot's account on it, which speaks Mastodon's API."""

    name = "sandbox"
