"""The networks people mention the bot on: one file a network, behind one protocol (base.py)."""

from __future__ import annotations

from importlib import import_module

from bot.networks.accounts import Account
from bot.networks.base import Network


def connect(account: Account) -> Network:
    """Log in to an account.

    Raises:
        NetworkError: Its network cannot be reached, or does not accept the bot.
    """
    module, _, function = account.adapter.partition(":")
    network: Network = getattr(import_module(module), function)(account)
    return network
