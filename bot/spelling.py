"""Settings that somebody meant to set: names that are almost a setting's, which nobody would ever read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from bot.networks.accounts import KINDS, SandboxAccount
from bot.settings import Group, ListenerSettings

OF_THE_BOT: tuple[type[Group], ...] = (ListenerSettings, *KINDS, SandboxAccount)

# A wrong name in these never reaches a process: the file lies here, and there in docker-compose.yml's cli.
DOTENV = (Path(".env"), Path("/checkout/.env"))

# Less alike, and it is some other program's: REDIS_MEMORY, or Kubernetes' REDIS_PORT_6379_TCP.
ALIKE = 0.8
# Files of secrets need not begin like a setting: secrets/blocklist is none's.
ALIKE_FILES = 0.85
_VARIABLE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=", re.MULTILINE | re.ASCII)


def misspelt(
    kinds: Iterable[type[Group]], environment: Mapping[str, str], dotenv: Iterable[Path] = ()
) -> list[str]:
    """A sentence for each variable, and each file in SECRETS_DIR, that is no setting but close to one.

    Args:
        kinds: The settings there are; of variables, only those that begin like one of them are looked at.
        environment: What is set.
        dotenv: Files that set variables, too; those that are not there, or closed, are passed over.
    """
    settings = {str(field.alias) for kind in kinds for field in kind.model_fields.values()}
    known = settings | {f"{name}_FILE" for name in settings}
    beginnings = tuple({name.partition("_")[0] + "_" for name in settings})
    variables = set(environment)
    files: list[Path] = []
    for file in dotenv:
        with suppress(OSError, UnicodeDecodeError):
            variables.update(_VARIABLE.findall(file.read_text()))
    if directory := environment.get("SECRETS_DIR"):
        with suppress(OSError):
            files = sorted(Path(directory).iterdir())
    found = [
        f"{name} is no setting; did you mean {meant}?"
        for name in sorted(variables)
        if name.startswith(beginnings) and (meant := _meant(name, known, ALIKE))
    ]
    return found + [
        f"the file {file.parent.name}/{file.name} is no setting's; did you mean {meant.lower()}?"
        for file in files
        if not file.name.startswith(".") and (meant := _meant(file.name.upper(), settings, ALIKE_FILES))
    ]


def _meant(name: str, known: Iterable[str], alike: float) -> str | None:
    """The setting that a name is close to; None if it is one, or close to none."""
    close = get_close_matches(name, known, 1, alike)
    return close[0] if close and close[0] != name else None
