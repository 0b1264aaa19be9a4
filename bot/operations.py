"""`deepselfie status`, `retry` and `forget`: what an operator does with the ledger."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from redis import Redis

    from bot.record import Record
    from bot.settings import Group

G = TypeVar("G", bound="Group")

NAMES = (
    "somebody on the bot's own Mastodon server is known without it (@ann, not @ann@example.social), "
    "somebody elsewhere with it"
)


def status(arguments: Sequence[str]) -> int:
    """Print how the bot is doing."""
    parser = argparse.ArgumentParser(
        prog="deepselfie status",
        description="Show what waits, for how long, what ended how, and who is alive. It needs REDIS_URL.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object; ages and silences in seconds")
    options = parser.parse_args(arguments)
    redis = _redis()
    from bot.overview import look
    from bot.settings import BotSettings

    overview = look(redis, _load(BotSettings).promise_seconds)
    print(json.dumps(overview.as_json()) if options.json else overview.as_text())
    return 0


def retry(arguments: Sequence[str]) -> int:
    """Give failed mentions another chance."""
    parser = argparse.ArgumentParser(
        prog="deepselfie retry",
        description="Give failed mentions another chance. What was answered, with an apology too, is "
        "refused: nobody gets two answers. It needs REDIS_URL.",
    )
    parser.add_argument(
        "keys", nargs="*", metavar="KEY", help="a mention, as the log names it: mastodon:1234"
    )
    parser.add_argument("--failed", action="store_true", help="all failed mentions that were not answered")
    options = parser.parse_args(arguments)
    if bool(options.keys) == options.failed:
        parser.error("name either some mentions or --failed")
    redis = _redis()
    from bot import queues
    from bot.ledger import Ledger

    ledger = Ledger(redis)
    retried = refused = 0
    for key in list(ledger.failed()) if options.failed else options.keys:
        if queue := ledger.retry(key):
            retried += 1
            queues.enqueue(redis, queue, key)
            print(f"{key}: on its way again")
        elif not options.failed:
            refused += 1
            print(f"{key}: refused, {_why_refused(ledger.read(key))}", file=sys.stderr)
    if options.failed and not retried:
        print("no failed mention is without an answer")
    return 1 if refused else 0


def _why_refused(record: Record | None) -> str:
    if record is None:
        return "it is not in the ledger"
    return f"it is {record.state}{', its author has been answered' * bool(record.reply_id)}"


def forget(arguments: Sequence[str]) -> int:
    """Delete what is held about somebody."""
    parser = argparse.ArgumentParser(
        prog="deepselfie forget",
        description="Delete everything that is held about somebody, answered or not, but for their wish to "
        "be left alone. It needs REDIS_URL.",
    )
    parser.add_argument(
        "user",
        metavar="USER",
        help="as the network writes it: @ann@example.social, @ann on the bot's own server",
    )
    parser.add_argument("--network", default="mastodon", help="the network they are on (%(default)s)")
    options = parser.parse_args(arguments)
    redis = _redis()
    from bot.people import People

    mentions = People(redis).forget(options.network, options.user.removeprefix("@"))
    print(f"{options.user}: {mentions} mention{'' if mentions == 1 else 's'} forgotten")
    if not mentions:
        print(f"nothing is known of them on {options.network}; {NAMES}", file=sys.stderr)
    return 0


def _redis() -> Redis:
    from bot.queues import RedisUnavailable, connect
    from bot.settings import Settings

    try:
        return connect(_load(Settings).redis_address)
    except RedisUnavailable as error:
        raise SystemExit(f"deepselfie: {error}") from None


def _load(kind: type[G]) -> G:
    from bot.settings import SettingsError, load

    try:
        return load(kind, os.environ)
    except SettingsError as error:
        raise SystemExit(f"deepselfie: {error}") from None
