"""Queue "replies" → network: puts a verdict into words and posts it, once."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import cache

from bot import metrics, queues, wording
from bot.alarms import clear_alarms, raise_alarm
from bot.chaos import reach, without
from bot.keeper import Hold, Keeper
from bot.ledger import Ledger
from bot.logs import Log, about
from bot.messages import APOLOGY, Mention, Verdict
from bot.networks import connect
from bot.networks.accounts import account_on
from bot.networks.base import Network, NetworkError, Posted
from bot.record import Lease, State
from bot.settings import BotSettings, load

LOG = Log(__name__)

# A POST whose sender is gone may still be under way: so long nobody posts anew, only looks.
QUARANTINE_SECONDS = 6
LONGEST_PAUSE_SECONDS = 60
# With pauses that double up to a minute: three quarters of an hour.
SEND_TRIES = 50
# Credit is bought by hand: until then, one try now and then.
OUT_OF_CREDIT_SECONDS = 900
# So many texts may be taken for one that was posted before.
DUPLICATE_TRIES = 5
# From then on whether a mention has been answered has been unclear for so long that somebody should look.
PARKED_TRIES = 4


class Responder:
    """Posts replies on one network.

    Args:
        network: The account to post from.
        ledger: What is known of the mentions.
        apologise: Late mentions get an apology; False: silence.
        dry_run: Only log what would be posted; nothing in the network changes.
    """

    def __init__(self, network: Network, ledger: Ledger, *, apologise: bool, dry_run: bool = False) -> None:
        self._network = network
        self._answer_seconds = metrics.ANSWER_SECONDS.labels(network.name)
        self._ledger = ledger
        self._keeper = Keeper(ledger)
        self._apologise = apologise
        self._dry_run = dry_run

    def respond(self, key: str) -> None:
        """Answer the mention with this key, if nobody else does or has."""
        reach("respond started")
        since = time.monotonic()
        lease = self._ledger.claim(key, ["ready", "sending"], "sending")
        if lease is None:
            return
        reach("respond claimed")
        if lease.tries > SEND_TRIES:
            self._fail(lease, f"not answered in {SEND_TRIES} tries")
            return
        with self._keeper.holding(lease, since) as hold:
            try:
                if without("reconcile") or self._may_post(lease):
                    self._answer(lease, hold)
            except NetworkError as error:
                self._not_answered(lease, error)

    def _may_post(self, lease: Lease) -> bool:
        """Find out what nobody knows: whether an earlier holder of the token has posted."""
        before = lease.before
        # One that failed may have had a lost answer too, before somebody gave it another chance.
        if before.state != "sending" and "failed" not in before.times:
            return True
        if posted := self._network.find_reply(lease.mention):
            self._answered(lease, posted, before.ends)
            return False
        since = before.times["sending"]
        wait = QUARANTINE_SECONDS - (time.time() - since)
        if wait > 0:
            # This holder has only looked: the quarantine still counts from the one who may have posted.
            self._ledger.pass_on(lease, "sending", {"sending": since}, after=wait)
        return wait <= 0

    def _answer(self, lease: Lease, hold: Hold) -> None:
        verdict = self._verdict(lease)
        if verdict is None:
            return
        reply = wording.reply_to(
            lease.mention,
            verdict,
            room=self._network.room(lease.mention),
            length=self._network.length,
            attempt=lease.before.wordings,
        )
        if not (hold.is_certain or without("fencing")):
            LOG.warning("lease lost", key=lease.key)
            return
        if self._dry_run:
            self._ledger.close(lease, "skipped", {"reason": "dry run"})
            LOG.info("would answer", key=lease.key, text=reply.text)
            return
        reach("before the post")
        with metrics.STAGES["post"].time():
            posted = self._network.reply(lease.mention, reply)
        reach("after the post")
        self._answered(lease, posted, lease.before.ends)

    def _verdict(self, lease: Lease) -> Verdict | None:
        """What is to be said; None where the mention has been dealt with in another way."""
        record, people = lease.before, self._ledger.people
        # Before anything can be late: what was asked to be deleted goes, whenever that may be.
        if lease.mention.command == "delete":
            verdict = self._delete(lease)
            if people.may_hear_of_deletion(lease.mention):
                return verdict
            self._ledger.close(lease, "skipped", {"reason": "deleted, and told so often enough"})
            return None
        if self._is_unwanted(lease.mention):
            self._ledger.close(lease, "skipped", {"reason": "author said stop"})
            return None
        if record.ends is None and record.deadline is not None and time.time() > record.deadline:
            self._be_late(lease)
            return None
        assert record.verdict
        return record.verdict

    def _is_unwanted(self, mention: Mention) -> bool:
        """Whether the author has said stop since: a photo is looked at for longer than that takes."""
        if mention.command in ("stop", "start"):
            return False
        return self._ledger.people.has_stopped(mention.network, mention.author)

    def _delete(self, lease: Lease) -> Verdict:
        """Delete the reply that a mention replies to, or all replies; to its own author and nobody else."""
        mention, people = lease.mention, self._ledger.people
        replies = people.replies(mention.network, mention.author)
        if mention.answers_bot:
            replies = {key: reply for key, reply in replies.items() if reply == mention.in_reply_to}
        if self._dry_run:
            LOG.info("would delete", key=lease.key, replies=len(replies))
            return Verdict(notice="deleted", deleted=len(replies))
        for key, reply in replies.items():
            self._network.delete(reply)
            people.note_deleted(key)
        LOG.info("deleted", key=lease.key, replies=len(replies))
        return Verdict(notice="deleted", deleted=len(replies))

    def _be_late(self, lease: Lease) -> None:
        """Write down that the mention is late; then, or whoever takes it on next, apologise if wanted."""
        LOG.warning("late", key=lease.key)
        fields = {"reason": "not answered in time"}
        if not self._apologise:
            self._ledger.close(lease, "expired", fields)
            return
        fields |= {"verdict": APOLOGY.model_dump_json(), "ends": "expired"}
        if self._ledger.pass_on(lease, "ready", fields):
            self.respond(lease.key)

    def _answered(self, lease: Lease, posted: Posted, ends: State | None) -> None:
        self._ledger.close(lease, ends or "sent", {"reply_id": posted.id})
        reach("answer stored")
        network = self._network.name
        clear_alarms(self._ledger.redis, f"{network} replies", f"{network} parked")
        self._observe(lease)
        seconds = (datetime.now(UTC) - lease.mention.created_at).total_seconds()
        LOG.info("answered", key=lease.key, score=lease.before.score, seconds=seconds)

    def _observe(self, lease: Lease) -> None:
        # A mention that was failed and is tried again has a new deadline, and that is fair.
        if deadline := lease.before.deadline:
            heard = deadline - self._ledger.policy.promise_seconds
            self._answer_seconds.observe(max(0.0, time.time() - heard))

    def _not_answered(self, lease: Lease, error: NetworkError) -> None:
        self._sound_alarm(lease, error)
        if lease.tries >= SEND_TRIES or _is_final(error, lease.before.wordings):
            self._fail(lease, str(error))
            return
        pause = error.retry_after or min(LONGEST_PAUSE_SECONDS, 2 ** (lease.tries - 1))
        if error.trouble == "out_of_credit":
            pause = max(pause, OUT_OF_CREDIT_SECONDS)
        fields: dict[str, str | float] = {}
        if error.trouble == "duplicate":
            # Only then: where nobody knows whether the first words went out, the same ones do no harm.
            fields["wordings"] = lease.before.wordings + 1
        # After the pause the sweeper enqueues it again; what is unknown is looked up before it is posted.
        # A look that failed has found out nothing.
        if error.unknown or lease.before.state == "sending":
            self._ledger.pass_on(lease, "sending", fields | {"sending": time.time()}, after=pause)
        else:
            self._ledger.pass_on(lease, "ready", fields, after=pause)
        LOG.warning("trying again", key=lease.key, error=str(error), tries=lease.tries, pause=pause)

    def _sound_alarm(self, lease: Lease, error: NetworkError) -> None:
        redis, network = self._ledger.redis, self._network.name
        if error.trouble in {"unauthorized", "out_of_credit"}:
            raise_alarm(redis, f"{network} replies", f"they are not taken: {error}")
        elif error.unknown and lease.tries >= PARKED_TRIES:
            raise_alarm(redis, f"{network} parked", f"{lease.key} may be answered, nobody knows: {error}")

    def _fail(self, lease: Lease, reason: str) -> None:
        self._ledger.close(lease, "failed", {"reason": reason})
        LOG.error("not answered", key=lease.key, error=reason)


def _is_final(error: NetworkError, wordings: int) -> bool:
    """Whether no further try can help, as far as the bot can tell; so often it has found other words."""
    match error.trouble:
        case "out_of_credit":
            return False
        case "duplicate":
            return wordings + 1 >= DUPLICATE_TRIES
        case _:
            return error.permanent


def respond(key: str) -> None:
    """The job: answer one mention."""
    network = key.partition(":")[0]
    with about(key):
        try:
            responder(network).respond(key)
        except NetworkError as error:
            # Not even claimed: the sweeper brings it again.
            LOG.warning("not logged in", key=key, error=str(error))


@cache
def responder(network: str) -> Responder:
    """This process's responder on one network, logged in once.

    Raises:
        NetworkError: The network cannot be reached, or does not accept the bot.
        SettingsError: The bot has no account there.
    """
    settings = load(BotSettings, os.environ)
    redis = queues.connect(settings.redis_address)
    return Responder(
        connect(account_on(network, os.environ), redis),
        Ledger(redis, settings.policy),
        apologise=settings.policy.apologise,
        dry_run=settings.dry_run == "yes",
    )
