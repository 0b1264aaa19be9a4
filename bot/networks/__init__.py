"""The networks people mention the bot on: one file a network, behind one protocol (base.py)."""

from __future__ import annotations

from importlib import import_module

from redis import Redis

from bot.networks.accounts import Account
from bot.networks.base import Network, NetworkError


def connect(account: Account, redis: Redis) -> Network:
    """Log in to an account.

    Args:
        account: Where, and with which secrets.
        redis: Where an adapter may keep what its processes share.

    Raises:
        NetworkError: Its network cannot be reached, does not accept the bot, or needs a missing package.
    """
    module, _, function = account.adapter.partition(":")
    try:
        log_in = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        message = f"{account.network} needs {error.name}: run pip install 'deepselfie[{account.network}]'"
        raise NetworkError(message, permanent=True) from None
    network: Network = log_in(account, redis)
    return network
