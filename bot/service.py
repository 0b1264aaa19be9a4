"""`deepselfie listen` and `deepselfie respond`: the two processes that talk to the networks."""

from __future__ import annotations

import os
import signal
import sys

from prometheus_client import REGISTRY
from redis import Redis

from bot import logs, monitor, queues
from bot.gauges import Gauges
from bot.ledger import Ledger
from bot.listeners import Listeners
from bot.networks.accounts import Account, accounts
from bot.networks.base import NetworkError
from bot.responder import respond as answer
from bot.responder import responder
from bot.settings import BotSettings, ListenerSettings, Settings, SettingsError, load
from bot.spelling import OF_THE_BOT, misspelt
from bot.sweeper import Sweeper

LOG = logs.Log(__name__)

FAILURES = (SettingsError, queues.RedisUnavailable, NetworkError)


def listen() -> int:
    """Run the listener, and return the exit status."""
    try:
        settings = load(ListenerSettings, os.environ)
        theirs, redis = _begin(settings)
        listeners = Listeners(theirs, redis, settings)
        look = monitor.impatient(settings.redis_address)
        REGISTRY.register(Gauges(look, [account.network for account in theirs], settings))
        monitor.start(
            settings,
            live=listeners.live,
            ready=lambda: {"redis": monitor.redis_check(look), "logged in": listeners.ready()},
        )
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
        # On a connection of its own: the loop waits on the other.
        own = queues.connect(url := settings.redis_address)
        Sweeper(own, Ledger(own, settings.policy)).start()
        look, pulse = monitor.impatient(url), monitor.Pulse(queues.TURN_SECONDS)
        networks = monitor.Check(ok=True, value=[account.network for account in theirs])
        monitor.start(
            settings,
            live=lambda: {"loop": pulse.check()},
            ready=lambda: {"redis": monitor.redis_check(look), "logged in": networks},
        )
        queues.serve(redis, queues.REPLIES, answer, pulse.turn)
    except FAILURES as error:
        return _complain(error)
    return 0


def _begin(settings: Settings) -> tuple[list[Account], Redis]:
    """Set the log up, before anything can put a secret into it, and connect to Redis."""
    theirs = accounts(os.environ)
    logs.setup(settings.log_format, settings.secrets.union(*(account.secrets for account in theirs)))
    for words in misspelt(OF_THE_BOT, os.environ):
        LOG.warning("unknown setting", note=words)
    return theirs, queues.connect(settings.redis_address)


def _complain(error: Exception) -> int:
    sys.stderr.write(f"deepselfie: {error}\n")
    return 1
