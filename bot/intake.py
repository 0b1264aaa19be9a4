"""Mentions → ledger → queue: what a network tells of is admitted, written down, and handed on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from redis import Redis

from bot import queues
from bot.blocklist import Blocklist
from bot.chaos import reach
from bot.etiquette import TOO_OLD, Moment, admit
from bot.ledger import Ledger
from bot.logs import Log
from bot.messages import Mention
from bot.networks.accounts import SandboxAccount
from bot.record import Admission, Fate
from bot.settings import ListenerSettings

LOG = Log(__name__)


class Intake:
    """Where the mentions of one network come in, however often each is told of."""

    def __init__(self, network: str, redis: Redis, settings: ListenerSettings, blocklist: Blocklist) -> None:
        self._network = network
        self._redis = redis
        self._ledger = Ledger(redis, settings.policy)
        self._promise_seconds = settings.promise_seconds
        self._rules = settings.rules.without_limits() if network == SandboxAccount.network else settings.rules
        self._blocklist = blocklist

    def take(self, mentions: Sequence[Mention], cursor: str | None = None) -> None:
        """Take some mentions on, and advance the network's cursor if one is given."""
        reach("heard")
        admissions = self._admit(mentions)
        fresh = self._ledger.ingest(self._network, admissions, cursor) if mentions or cursor else {}
        reach("ingested")
        by_key = {admission.mention.key: admission for admission in admissions}
        for key, fate in fresh.items():
            self._hand_on(by_key[key], fate)
        too_old = sum(fate.reason == TOO_OLD for fate in fresh.values())
        if too_old:
            LOG.warning("not answered after a pause", mentions=too_old, older_than=str(self._rules.catch_up))

    def _admit(self, mentions: Sequence[Mention]) -> list[Admission]:
        if not mentions:
            return []
        is_late = (queues.age(self._redis, queues.PHOTOS) or 0) > self._promise_seconds
        moment = Moment(datetime.now(UTC), is_late, self._blocklist.names())
        return [admit(mention, self._rules, moment) for mention in mentions]

    def _hand_on(self, admission: Admission, fate: Fate) -> None:
        mention = admission.mention
        if not fate.queue:
            LOG.info("skipped", key=mention.key, reason=fate.reason)
            return
        queues.enqueue(self._redis, fate.queue, mention.key)
        reach("enqueued")
        age = (datetime.now(UTC) - mention.created_at).total_seconds()
        notice = admission.verdict.notice if admission.verdict else None
        LOG.info("heard", key=mention.key, photos=len(mention.photos), age=age, notice=fate.reason or notice)
