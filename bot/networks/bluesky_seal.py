"""A session at Bluesky, sealed: workers can read what lies in Redis, and must not act as the bot."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode

from atproto_client.client.session import Session
from cryptography.fernet import Fernet, InvalidToken

from bot.networks.accounts import BlueskyAccount

# 16 MB and a twentieth of a second, once a process: a password that is no app password may be weak.
COST, BLOCK = 2**14, 8
KEY_BYTES = 32


class Seal:
    """Closes and opens sessions; only who knows the account's password has the same one.

    Args:
        account: The bot's account.
    """

    def __init__(self, account: BlueskyAccount) -> None:
        secret = account.password.get_secret_value().encode()
        salt = f"deepselfie bluesky session {account.handle} {account.url}".encode()
        key = hashlib.scrypt(secret, salt=salt, n=COST, r=BLOCK, p=1, dklen=KEY_BYTES)
        self._fernet = Fernet(urlsafe_b64encode(key))

    def close(self, session: Session) -> bytes:
        """Make a session unreadable."""
        return self._fernet.encrypt(session.encode().encode())

    def open(self, sealed: bytes) -> Session | None:
        """Make a session readable again; None for one that is not this account's, or was not sealed."""
        try:
            return Session.decode(self._fernet.decrypt(sealed).decode())
        except (InvalidToken, ValueError):
            return None
