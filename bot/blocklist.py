"""The operator's list of who is not answered: a file that is read again when it changes."""

from __future__ import annotations

from pathlib import Path

from bot.logs import Log
from bot.settings import SettingsError

LOG = Log(__name__)


class Blocklist:
    """Handles and domains, one a line; # begins a comment.

    Args:
        file: The list; None for an empty one.

    Raises:
        SettingsError: The file cannot be read.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._version: object = None
        self._names: frozenset[str] = frozenset()
        try:
            self._refresh()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"BOT_BLOCKLIST names {file}, which cannot be read as text ({error}); "
                "make the file, with a handle or domain a line, or unset BOT_BLOCKLIST"
            ) from None

    def names(self) -> frozenset[str]:
        """What the list holds now, in lower case, without a leading @; once it was read, its last version."""
        try:
            self._refresh()
        except (OSError, UnicodeDecodeError) as error:
            LOG.warning("blocklist not read again", file=str(self._file), error=str(error))
        return self._names

    def _refresh(self) -> None:
        if self._file is None:
            return
        status = self._file.stat()
        version = status.st_mtime_ns, status.st_size, status.st_ino
        if version == self._version:
            return
        lines = self._file.read_text(encoding="utf-8-sig").splitlines()
        names = (line.partition("#")[0].strip().lstrip("@").lower() for line in lines)
        self._names, self._version = frozenset(name for name in names if name), version
