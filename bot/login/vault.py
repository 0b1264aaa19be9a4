"""A directory of secrets, and of settings beside them: one file each, that only its owner can read."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from bot.login import LoginFailed
from bot.login.conversation import Conversation


class Vault:
    """Where the secrets of a bot lie.

    Args:
        directory: Made, for its owner alone, when the first secret comes.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.expanduser().absolute()
        self._replaceable: set[str] = set()

    def make_room(self, conversation: Conversation, *names: str) -> None:
        """Before any work is done: may what lies there under these names be replaced?

        Raises:
            LoginFailed: It may not.
        """
        for name in names:
            file = self._directory / name
            if not file.exists():
                continue
            if not conversation.agrees(f"{file} exists. Replace it?", otherwise=False):
                raise LoginFailed(f"{file} is left as it is; --secrets names another directory")
            self._replaceable.add(name)

    def keep(self, name: str, secret: str) -> str:
        """Write a secret down, whole or not at all, and return its file's path.

        Raises:
            LoginFailed: It cannot be written, or lies there by now and may not be replaced.
        """
        return str(self._written(name, secret, may_replace=name in self._replaceable))

    def note(self, name: str, value: str) -> None:
        """Write a setting down beside its secrets, unless it only tells where one of them is.

        Raises:
            LoginFailed: It cannot be written.
        """
        if not name.endswith("_FILE"):
            self._written(name.lower(), value, may_replace=True)

    def _written(self, name: str, text: str, *, may_replace: bool) -> Path:
        file = self._directory / name
        # Under another name until it is whole; nobody else could read even that.
        draft = self._directory / f".{name}.{secrets.token_hex(4)}"
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
                    opened.write(text + "\n")
                    opened.flush()
                    os.fsync(opened.fileno())
                if may_replace:
                    draft.replace(file)
                else:
                    file.hardlink_to(draft)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    draft.unlink()
        except OSError as error:
            place, user = self._directory.name, os.getuid()
            raise LoginFailed(
                f"{file} cannot be written ({error.strerror}); --secrets names another directory, or make it "
                f"user {user}'s: sudo chown -R {user} {place}"
            ) from None
        return file
