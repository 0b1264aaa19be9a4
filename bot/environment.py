"""One variable of the environment: its value, or what is in the file that stands in for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


class SettingsError(Exception):
    """A setting is missing or wrong; the message says which, its value and what to do."""


def typed(arguments: str) -> str:
    """How the operator types a `deepselfie` command: the variable DEEPSELFIE tells, which containers have."""
    return f"{os.environ.get('DEEPSELFIE') or 'deepselfie'} {arguments}"


def read(name: str, environment: Mapping[str, str]) -> str | None:
    """A setting's value; None if it is not set.

    The variable comes first, then what is in the file that NAME_FILE names, then the file NAME, or name, in
    the directory that SECRETS_DIR names.

    An empty variable counts as not set: that is what `NAME=` in an .env file means. Space around it goes.

    Raises:
        SettingsError: A file cannot be read, is empty, or holds more than a line.
    """
    # Secrets often have a line break behind them, and a library that may not send that shows all of it.
    if value := environment.get(name, "").strip():
        return value
    if file := environment.get(f"{name}_FILE"):
        return _text(Path(file), f"{name}_FILE names {file}", file)
    if directory := environment.get("SECRETS_DIR"):
        return _secret(name, Path(directory))
    return None


def _secret(name: str, directory: Path) -> str | None:
    if directory.is_dir() and not os.access(directory, os.X_OK):
        raise _closed(f"SECRETS_DIR names {directory}", f"-R {os.getuid()} {directory.name}")
    for file in (directory / name, directory / name.lower()):
        if file.exists():
            # In a container, the rest of the path is not the operator's.
            place = f"{directory.name}/{file.name}"
            return _text(file, f"{name} is in {place}", place)
    return None


def _text(file: Path, where: str, place: str) -> str:
    try:
        text = file.read_text().strip()
    except PermissionError:
        raise _closed(where, f"{os.getuid()} {place}") from None
    except IsADirectoryError:
        words = f"which is a folder; type: sudo rmdir {place}, and put a file with the value there"
        raise SettingsError(f"{where}, {words}") from None
    except FileNotFoundError:
        raise SettingsError(f"{where}, which cannot be read as text: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where}, which cannot be read as text ({error})") from None
    if not text:
        raise SettingsError(f"{where}, which is empty; write the value there, or take the file away")
    if len(text.splitlines()) > 1:
        raise SettingsError(f"{where}, which holds several lines; a value is one line, and nothing else")
    return text


def _closed(where: str, what: str) -> SettingsError:
    # A file that a container is given has an owner outside of it, whom only a number joins to the one inside.
    return SettingsError(
        f"{where}, which may not be read by user {os.getuid()}, as whom this runs; where it comes from, "
        f"type: sudo chown {what}"
    )
