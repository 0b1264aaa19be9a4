"""`deepselfie listen` and `deepselfie respond`: the two processes that talk to the networks."""

from __future__ import annotations

import os
import signal
import sys

from redis import Redis

from bot import logs, queues
from bot.ledger import Ledger
from bot.listener import Listeners
from bot.networks.accounts import Account, accounts
from bot.networks.base import NetworkError
from bot.responder import responder
from bot.settings import BotSettings, ListenerSettings, Settings, SettingsError, load
from bot.sweeper import Sweeper

LOG = logs.Log(__name__)

FAILURES = (SettingsError, queues.RedisUnavailable, NetworkError)


def listen() -> int:
    """Run the listener, and return the exit status."""
    try:
        settings = load(ListenerSettings, os.environ)
        theirs, redis = _begin(settings)
        listeners = Listeners(theirs, redis, settings)
        Sweeper(redis, Ledger(redis, settings.policy)).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: listeners.stop())
        listeners.run()
        LOG.info("stopped")
    except FAILURES as error:
        return _complain(error)
    return 0


def respond() -> int:
    """Run the responder, and return the exit status."""
    try:
        settings = load(BotSettings, os.environ)
        theirs, redis = _begin(settings)
        for account in theirs:
            responder(account.network)
        # On a connection of its own: RQ's worker waits on the other.
        own = queues.connect(settings.redis_url.get_secret_value())
        Sweeper(own, Ledger(own, settings.policy)).start()
        queues.serve(redis, queues.REPLIES)
    except FAILURES as error:
        return _complain(error)
    return 0


def _begin(settings: Settings) -> tuple[list[Account], Redis]:
    """Set the log up, before anything can put a secret into it, and connect to Redis."""
    theirs = accounts(os.environ)
    logs.setup(settings.log_format, settings.secrets.union(*(account.secrets for account in theirs)))
    return theirs, queues.connect(settings.redis_url.get_secret_value())


def _complain(error: Exception) -> int:
    sys.stderr.write(f"deepselfie: {error}\n")
    return 1
