"""The accounts that the bot has, one a network: where they are, and with which secrets.

Apart from the adapters, so that nothing is imported of a network that the bot is not on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import AnyHttpUrl, Field, SecretStr

from bot.settings import Group, SettingsError, load, read


class Account(Group):
    """An account on one network."""

    network: ClassVar[str]
    adapter: ClassVar[str]
    """Module and function that log in: account → Network."""


class MastodonAccount(Account):
    """An account on a server that speaks Mastodon's API."""

    network = "mastodon"
    adapter = "bot.networks.mastodon:connect"

    url: AnyHttpUrl = Field(alias="MASTODON_URL", description="the bot's server, https://example.social")
    token: SecretStr = Field(
        alias="MASTODON_TOKEN",
        description="the bot account's access token (Preferences → Development → New application, "
        "scopes read, write:statuses, write:media and write:notifications)",
    )


KINDS: tuple[type[Account], ...] = (MastodonAccount,)


def accounts(environment: Mapping[str, str]) -> list[Account]:
    """The accounts that the environment tells of.

    Raises:
        SettingsError: There is none, or one is told of in part only.
    """
    found = [load(kind, environment) for kind in KINDS if _is_told_of(kind, environment)]
    if not found:
        names = [" and ".join(_required(kind)) for kind in KINDS]
        raise SettingsError(f"the bot has no account; set {', or '.join(names)}")
    return found


def account_on(network: str, environment: Mapping[str, str]) -> Account:
    """The account on one network.

    Raises:
        SettingsError: There is none.
    """
    for account in accounts(environment):
        if account.network == network:
            return account
    raise SettingsError(f"the bot has no account on {network}, but mentions from there; set it up again")


def _is_told_of(kind: type[Account], environment: Mapping[str, str]) -> bool:
    return any(read(name, environment) is not None for name in _required(kind))


def _required(kind: type[Account]) -> list[str]:
    return [str(field.alias) for field in kind.model_fields.values() if field.is_required()]
