"""The settings: are they complete, and are the files with the secrets in them for nobody else?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import SecretStr

from bot.blocklist import Blocklist
from bot.doctor.finding import Finding, failed, ok, warning
from bot.networks.accounts import KINDS, accounts
from bot.settings import Group, ListenerSettings, SettingsError, load
from bot.spelling import DOTENV, OF_THE_BOT, misspelt

# Where containers find secrets: whoever is in there may read them.
OF_CONTAINERS = Path("/run/secrets")
FOR_OTHERS = 0o077


def examine(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check the environment."""
    try:
        settings = load(ListenerSettings, environment)
        Blocklist(settings.blocklist)
        yield ok("settings", "understood")
        if settings.dry_run == "yes":
            yield warning("settings", "BOT_DRY_RUN is yes: replies are only logged; unset it to post them")
    except SettingsError as error:
        yield failed("settings", str(error))
    for words in misspelt(OF_THE_BOT, environment, DOTENV):
        yield warning("settings", words)
    try:
        networks = ", ".join(account.network for account in accounts(environment))
        yield ok("accounts", f"on {networks}")
    except SettingsError as error:
        yield failed("accounts", str(error))
    yield from _files(environment)


def _files(environment: Mapping[str, str]) -> Iterator[Finding]:
    kinds: tuple[type[Group], ...] = (ListenerSettings, *KINDS)
    fields = [field for kind in kinds for field in kind.model_fields.values()]
    names = [f"{field.alias}_FILE" for field in fields if field.annotation is SecretStr]
    for name in names:
        file = Path(environment.get(name) or OF_CONTAINERS)
        if file.is_file() and OF_CONTAINERS not in file.parents and file.stat().st_mode & FOR_OTHERS:
            yield warning("secrets", f"others on this machine can read {file} ({name}); chmod 600 it")
