"""`deepselfie login`: from an account on a network to a bot's secrets and settings, step by step."""

from __future__ import annotations


class LoginFailed(Exception):
    """No login came about; the message says why, and what to do."""
