"""The accounts that the bot has, one a network: where they are, and with which secrets.

Apart from the adapters, so that nothing is imported of a network that the bot is not on.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AnyHttpUrl, Field, SecretStr

from bot.environment import typed
from bot.settings import Group, SettingsError, load, read


class Account(Group):
    """An account on one network."""

    network: ClassVar[str]
    adapter: ClassVar[str]
    """Module and function that log in: account, Redis → Network."""


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


class BlueskyAccount(Account):
    """An account on Bluesky, or on another server of its kind."""

    network = "bluesky"
    adapter = "bot.networks.bluesky:connect"

    handle: str = Field(alias="BLUESKY_HANDLE", description="the bot's handle, selfiejudge.bsky.social")
    password: SecretStr = Field(
        alias="BLUESKY_PASSWORD",
        description="an app password of the bot's account (Settings → Privacy and security → App passwords)",
    )
    url: AnyHttpUrl = Field(
        AnyHttpUrl("https://bsky.social"),
        alias="BLUESKY_URL",
        description="the server that the bot's account is on",
    )
    directory: AnyHttpUrl = Field(
        AnyHttpUrl("https://plc.directory"),
        alias="BLUESKY_DIRECTORY",
        description="the directory that tells which server has an author's photos",
    )


class SandboxAccount(Account):
    """The account on the embedded network, for want of any other."""

    network = "sandbox"
    adapter = "bot.networks.sandbox:connect"

    url: AnyHttpUrl = Field(
        alias="SANDBOX_URL", description="the sandbox network, on which a bot without any other account is"
    )
    token: SecretStr = Field(alias="SANDBOX_TOKEN", description="the bot's access token on it")


Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000)]


class XAccount(Account):
    """An account on X, with the app that acts for it, and what that may cost."""

    network = "x"
    adapter = "bot.networks.x:connect"

    consumer_key: SecretStr = Field(
        alias="X_CONSUMER_KEY",
        description="the API key of the bot's app (developer console → Keys and tokens)",
    )
    consumer_secret: SecretStr = Field(alias="X_CONSUMER_SECRET", description="the API key's secret")
    access_token: SecretStr = Field(
        alias="X_ACCESS_TOKEN", description="the bot account's access token for that app, to read and write"
    )
    access_token_secret: SecretStr = Field(
        alias="X_ACCESS_TOKEN_SECRET", description="the access token's secret"
    )
    bearer_token: SecretStr = Field(
        alias="X_BEARER_TOKEN", description="the app's own bearer token, for the stream"
    )
    url: AnyHttpUrl = Field(AnyHttpUrl("https://api.x.com"), alias="X_URL", description="where X's API is")
    stream: Literal["on", "off"] = Field(
        "on", alias="X_STREAM", description="off where the app may not stream: mentions are polled then"
    )
    daily_budget: Dollars = Field(
        Decimal("5"), alias="X_DAILY_BUDGET", description="dollars that the bot may cost in a day (UTC)"
    )
    monthly_budget: Dollars = Field(
        Decimal("50"), alias="X_MONTHLY_BUDGET", description="dollars that the bot may cost in a month (UTC)"
    )
    price_reply: Dollars = Field(
        Decimal("0.010"),
        alias="X_PRICE_REPLY",
        description="dollars for a reply without links to who has mentioned the bot",
    )
    price_post: Dollars = Field(
        Decimal("0.005"), alias="X_PRICE_POST", description="dollars for a post that is read, once a day"
    )
    price_user: Dollars = Field(
        Decimal("0.010"), alias="X_PRICE_USER", description="dollars for a profile that is read, once a day"
    )


START_SANDBOX = "start the sandbox network: docker compose --profile sandbox up"

KINDS: tuple[type[Account], ...] = (MastodonAccount, XAccount, BlueskyAccount)


def accounts(environment: Mapping[str, str]) -> list[Account]:
    """The accounts that the environment tells of; the one on the sandbox counts only where there is no other.

    Raises:
        SettingsError: There is none, or one is told of in part only.
    """
    found = [load(kind, environment) for kind in KINDS if _is_told_of(kind, environment)]
    if found:
        return found
    login = typed("login mastodon")
    if read("SANDBOX_URL", environment) is None:
        names = ", or ".join(" and ".join(_required(kind)) for kind in KINDS)
        raise SettingsError(f"the bot has no account; set {names}; or run {login} (or bluesky, or x)")
    try:
        return [load(SandboxAccount, environment)]
    except SettingsError as error:
        token = environment.get("SANDBOX_TOKEN_FILE")
        # Until the sandbox has started once, its token is not there: no cause, but the case.
        why = "" if token and not Path(token).exists() else f" ({error})"
        wanted = f"the bot has no account; make one ready: {login} (or bluesky, or x)"
        raise SettingsError(f"{wanted}; or {START_SANDBOX}{why}") from None


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
