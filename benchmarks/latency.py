"""How long a person waits for the reply, and where the time goes.

A whole bot on this machine, warm; one 2-megapixel photo after the other is posted to it. The limit, from the
same run, is what the photo costs anyway: decoding it and running the model, alone in this process.

    python -m benchmarks.latency [--mentions N] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bot import queues
from bot.demo import Bot, started
from bot.ledger import Ledger
from bot.processes import Event
from bot.sandbox.person import Person
from model.judge import Judge
from model.pixels import squish
from tests.photos import portrait_jpeg

WIDTH, HEIGHT = 1632, 1224  # 2 megapixels
WARM_UP = 3
SECONDS = 60

# In the order in which a mention passes through them.
STAGES = {
    "network": "post → heard by the listener",
    "queue": "heard → taken by the worker",
    "download": "photo fetched",
    "decode": "photo decoded and squished",
    "model": "photo judged",
    "reply": "verdict → posted by the responder",
    "visible": "posted → seen under the post",
}

Row = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mentions", type=int, default=20, metavar="N")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object: medians and p95 in seconds, limit, ratio"
    )
    options = parser.parse_args()
    photo = portrait_jpeg(WIDTH, HEIGHT)
    rows = measure(photo, options.mentions)
    limit = bare(photo, options.mentions)
    if options.json:
        print(json.dumps(summary(rows, limit)))
    else:
        show(rows, limit)


def measure(photo: bytes, mentions: int) -> list[Row]:
    """Post the photo again and again, and follow each mention through the bot."""
    judged: dict[str, Event] = {}

    def on_event(_: str, event: Event) -> None:
        if event["event"] == "judged":
            judged[event["key"]] = event

    with tempfile.TemporaryDirectory() as directory, started(Path(directory), 0, on_event) as bot:
        file = Path(directory) / "photo.jpg"
        file.write_bytes(photo)
        person = Person(bot.url, "ann")
        ledger = Ledger(queues.connect(bot.redis_url))
        rows = [follow(bot, person, ledger, file, judged) for _ in range(WARM_UP + mentions)]
    return rows[WARM_UP:]


def follow(bot: Bot, person: Person, ledger: Ledger, file: Path, judged: dict[str, Event]) -> Row:
    media = person.upload(file)
    begin = time.time()
    post = person.post("@deepselfie look", [media])
    reply = person.wait_for_reply(post, SECONDS)
    end = time.time()
    bot.processes.check()
    record = ledger.read(f"mastodon:{post}")
    assert reply, "no reply"
    assert record
    while record.state != "sent":
        record = ledger.read(f"mastodon:{post}") or record
    times, worker = record.times, judged[f"mastodon:{post}"]
    return {
        "network": times["new"] - begin,
        "queue": times["judging"] - times["new"],
        "download": worker["download"],
        "decode": worker["decode"],
        "model": worker["model"],
        "reply": min(times["sent"], end) - times["ready"],
        "visible": max(end - times["sent"], 0),
        "total": end - begin,
    }


def bare(photo: bytes, repeats: int) -> list[float]:
    """Seconds of decoding and judging the photo, and nothing else."""
    judge = Judge()
    seconds = []
    for _ in range(WARM_UP + repeats):
        begin = time.perf_counter()
        judge(squish(photo, side=judge.card.input_size)[np.newaxis])
        seconds.append(time.perf_counter() - begin)
    return seconds[WARM_UP:]


def summary(rows: list[Row], limit: list[float]) -> dict[str, Any]:
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    bound = statistics.median(limit)
    return {
        "median": medians,
        "p95": float(np.percentile([row["total"] for row in rows], 95)),
        "limit": bound,
        "ratio": medians["total"] / bound,
    }


def show(rows: list[Row], limit: list[float]) -> None:
    found = summary(rows, limit)
    print(f"{len(rows)} mentions with a photo of {WIDTH}x{HEIGHT}, warm, medians\n")
    for name, meaning in STAGES.items():
        print(f"  {name:9} {found['median'][name] * 1000:7.1f} ms  {meaning}")
    print(f"\n  {'total':9} {found['median']['total'] * 1000:7.1f} ms  post → reply seen by the person")
    print(f"  {'p95':9} {found['p95'] * 1000:7.1f} ms")
    print(f"  {'limit':9} {found['limit'] * 1000:7.1f} ms  decoding and judging alone, in this process")
    print(f"  {'ratio':9} {found['ratio']:7.1f}")


if __name__ == "__main__":
    main()
