"""All checks, one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from importlib import import_module

from bot.doctor.finding import Finding, failed, warning
from bot.logs import REDACTED
from bot.networks.accounts import accounts
from bot.settings import Settings, SettingsError, load

# Modules and functions that find something out about an environment. As strings, so that no adapter or
# judge is loaded for what is not here.
SETTINGS = {"settings": "bot.doctor.configuration:examine"}
REDIS = {"redis": "bot.doctor.store:examine"}
NETWORKS = {
    "mastodon": "bot.doctor.mastodon:examine",
    "bluesky": "bot.doctor.bluesky:examine",
    "x": "bot.doctor.x:examine",
    "sandbox": "bot.doctor.sandbox:examine",
}
WORKER = {"worker": "worker.doctor:examine"}


# What each process of the bot needs, apart from its networks.
NEEDED = {"listen": SETTINGS | REDIS, "respond": SETTINGS | REDIS, "work": REDIS | WORKER}
EVERYTHING = SETTINGS | REDIS | WORKER


def examine(environment: Mapping[str, str], process: str | None = None) -> Iterator[Finding]:
    """Check everything, or only what one process needs; no secret is in what is found."""
    networks: list[str] = []
    secrets: set[str] = set()
    with contextlib.suppress(SettingsError):
        secrets = load(Settings, environment).secrets
        theirs = accounts(environment)
        secrets = secrets.union(*(account.secrets for account in theirs))
        networks = [account.network for account in theirs if process != "work"]
    checks = NEEDED[process] if process else EVERYTHING
    checks = checks | {name: NETWORKS[name] for name in networks if name in NETWORKS}
    seen = set()
    for name, path in checks.items():
        for finding in _found(name, path, environment):
            # The worker's check and the bot's have some settings in common.
            if finding not in seen:
                seen.add(finding)
                yield _without(secrets, finding)
    for name in networks:
        if name not in NETWORKS:
            yield warning(name, "this command knows no checks for that network; read the listener's log")


def _found(name: str, path: str, environment: Mapping[str, str]) -> Iterator[Finding]:
    module, _, function = path.partition(":")
    try:
        yield from getattr(import_module(module), function)(environment)
    except SettingsError as error:
        yield failed(name, str(error))
    except Exception as error:
        # Servers answer in ways that nobody foresaw: the other checks are of use all the same.
        yield failed(name, f"this check broke ({type(error).__name__}: {error}); please report it")


def _without(secrets: set[str], finding: Finding) -> Finding:
    words = finding.words
    for secret in secrets:
        words = words.replace(secret, REDACTED)
    return Finding(finding.name, finding.state, words)
