"""What RQ's own workers run for benchmarks.queue: all that a mention costs but its photos."""

from __future__ import annotations

from bot import jobs, queues
from bot.ledger import Ledger
from bot.messages import Judged, Verdict

VERDICT = Verdict(opinions=(Judged(score=0.5, label="good"),), judge="no judge 1")

# The one ledger of the process, as the bot's worker has one: set before the first job.
LEDGER: list[Ledger] = []


def judge(key: str) -> None:
    """Take one mention on, and hand it on."""
    [ledger] = LEDGER
    lease = ledger.claim(key, ["new"], "judging")
    if lease and ledger.pass_on(lease, "ready", {"verdict": VERDICT.model_dump_json()}):
        queues.enqueue(ledger.redis, jobs.REPLIES, key)
