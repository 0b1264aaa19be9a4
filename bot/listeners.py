"""All networks that the bot is on: one process listens to each, the others stand by (leader.py)."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence

from redis import Redis, RedisError

from bot import backoff
from bot.alarms import clear_unled, raise_alarm
from bot.blocklist import Blocklist
from bot.leader import Lead, leaders
from bot.listener import TURN_SECONDS, Listener
from bot.logs import Log
from bot.monitor import Check, Pulse
from bot.networks import connect
from bot.networks.accounts import Account
from bot.networks.base import Network, NetworkError
from bot.settings import ListenerSettings

LOG = Log(__name__)

LOOK_SECONDS = 0.1
# What a leader has in hand when it is told to stop should get into its queue; and its lead to the next one.
STOP_SECONDS = 3
# A network whose listening fails in a way that nobody foresaw is begun again, later each time it fails sooner
# than this.
STABLE_SECONDS = 60
LONGEST_PAUSE_SECONDS = 60


class Listeners:
    """One listener an account, each in a thread of its own: what befalls one network is its own business.

    Of all processes that run this, one listens to a network, and the others stand by, logged in (leader.py).

    Args:
        accounts: Where the bot is.
        redis: Where ledger and queues are.
        settings: What the operator has decided.

    Raises:
        NetworkError: No network can be logged in to.
        SettingsError: The blocklist cannot be read.
    """

    def __init__(self, accounts: Sequence[Account], redis: Redis, settings: ListenerSettings) -> None:
        self._redis = redis
        self._settings = settings
        self._blocklist = Blocklist(settings.blocklist)
        self._refusals: dict[str, NetworkError] = {}
        self._stopped = False
        self._pulse = Pulse(TURN_SECONDS)
        with contextlib.suppress(RedisError):
            clear_unled(redis, leaders(redis))
        self._networks = {account: self._login(account) for account in accounts}
        if not any(self._networks.values()):
            raise next(iter(self._refusals.values()))
        # Only those that lead.
        self._listening: dict[threading.Thread, Listener] = {}

    def run(self) -> None:
        """Listen, wherever no other process does, until `stop` is called.

        Raises:
            NetworkError: No network is left that does not refuse us for good.
        """
        # Daemons: whatever they are in the middle of, the next look at the network finds again.
        threads = [
            threading.Thread(target=self._listen, args=(account,), name=account.network, daemon=True)
            for account in self._networks
        ]
        for thread in threads:
            thread.start()
        while not self._stopped and any(thread.is_alive() for thread in threads):
            self._pulse.turn()
            time.sleep(LOOK_SECONDS)
        if not self._stopped:
            raise next(iter(self._refusals.values()))
        leading = dict(self._listening)
        for listener in leading.values():
            listener.stop()
        until = time.monotonic() + STOP_SECONDS
        for thread in leading:
            thread.join(max(0.0, until - time.monotonic()))

    def stop(self) -> None:
        """Make `run` return soon. Safe to call from a signal handler."""
        self._stopped = True

    def live(self) -> dict[str, Check]:
        """Whether this process's loop turns, and that of each network that it leads."""
        leading = self._listening.copy()
        polls = {f"{thread.name} poll": listener.pulse.check() for thread, listener in leading.items()}
        return {"loop": self._pulse.check(), **polls}

    def ready(self) -> Check:
        """Whether the bot is logged in anywhere; the value: where."""
        networks = [account.network for account, network in self._networks.copy().items() if network]
        return Check(bool(networks), networks)

    def _listen(self, account: Account) -> None:
        failures = 0
        while not self._stopped:
            began = time.monotonic()
            try:
                self._listen_on(account)
            except NetworkError as error:
                LOG.error("network lost", network=account.network, error=str(error))
                self._networks[account] = None
                self._refuse(account, error)
                return
            # Nobody else would ever listen to it again, nor notice.
            except Exception as error:
                failures = 1 if time.monotonic() - began > STABLE_SECONDS else failures + 1
                pause = backoff.pause(failures, LONGEST_PAUSE_SECONDS)
                LOG.exception("listening failed", network=account.network, failures=failures, pause=pause)
                raise_alarm(self._redis, account.network, f"listening failed, and begins again: {error!r}")
                time.sleep(pause)
            else:
                return

    def _listen_on(self, account: Account) -> None:
        """Listen until told to stop, or until the network refuses us for good."""
        network = self._logged_in(account)
        lead = Lead(self._redis, account.network)
        while network and not self._stopped:
            self._lead(lead, Listener(network, self._redis, self._settings, self._blocklist))

    def _lead(self, lead: Lead, listener: Listener) -> None:
        """Listen for one term, whenever that begins."""
        with lead.held(listener.stop, listener.hangs):
            self._listening[threading.current_thread()] = listener
            try:
                # Told to stop, nobody would stop a listener that begins only now.
                if not self._stopped:
                    listener.run()
            finally:
                del self._listening[threading.current_thread()]

    def _logged_in(self, account: Account) -> Network | None:
        """The network, as soon as it can be logged in to; None if it refuses for good."""
        failures = 0
        while not (network := self._networks[account]):
            refusal = self._refusals[account.network]
            failures += 1
            pause = max(backoff.pause(failures), refusal.retry_after or 0)
            LOG.error("not logged in", network=account.network, error=str(refusal), pause=pause)
            if refusal.permanent:
                return None
            time.sleep(pause)
            self._networks[account] = self._login(account)
        return network

    def _login(self, account: Account) -> Network | None:
        try:
            return connect(account, self._redis)
        except NetworkError as error:
            self._refuse(account, error)
            return None

    def _refuse(self, account: Account, error: NetworkError) -> None:
        self._refusals[account.network] = error
        raise_alarm(self._redis, account.network, f"the bot is not on it: {error}", is_logged=True)
