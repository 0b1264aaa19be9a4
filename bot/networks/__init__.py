"""The networks people mention the bot on: one file a network, behind one protocol (base.py)."""

from __future__ import annotations

from importlib import import_module

from redis import Redis

from bot.networks.accounts import Account
from bot.networks.base import Network


def connect(account: Account, redis: Redis) -> Network:
    """Log in to an account.

    Args:
        account: Where, and with which secrets.
        redis: Where an adapter may keep what its processes share.

    Raises:
        NetworkError: Its network cannot be reached, or does not accept the bot.
    """
    module, _, function = account.adapter.partition(":")
    network: Network = getattr(import_module(module), function)(account, redis)
    return network
