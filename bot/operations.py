"""`deepselfie status`, `retry` and `forget`: what an operator does with the ledger."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis import Redis


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

    overview = look(redis)
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
    refused = 0
    for key in list(ledger.failed()) if options.failed else options.keys:
        if queue := ledger.retry(key):
            queues.enqueue(redis, queue, key)
            print(f"{key}: on its way again")
        elif not options.failed:
            refused += 1
            record = ledger.read(key)
            words = f"it is {record.state}" if record else "it is not in the ledger"
            answered = ", its author has been answered" if record and record.reply_id else ""
            print(f"{key}: refused, {words}{answered}", file=sys.stderr)
    return 1 if refused else 0


def forget(arguments: Sequence[str]) -> int:
    """Delete what is held about somebody."""
    parser = argparse.ArgumentParser(
        prog="deepselfie forget",
        description="Delete everything that is held about somebody, answered or not, but for their wish to "
        "be left alone. It needs REDIS_URL.",
    )
    parser.add_argument("user", metavar="USER", help="as the network writes it: @ann or @ann@example.social")
    parser.add_argument("--network", default="mastodon", help="the network they are on (%(default)s)")
    options = parser.parse_args(arguments)
    redis = _redis()
    from bot.people import People

    mentions = People(redis).forget(options.network, options.user.removeprefix("@"))
    print(f"{options.user}: {mentions} mention{'' if mentions == 1 else 's'} forgotten")
    return 0


def _redis() -> Redis:
    from bot.queues import RedisUnavailable, connect
    from bot.settings import Settings, SettingsError, load

    try:
        return connect(load(Settings, os.environ).redis_url.get_secret_value())
    except (RedisUnavailable, SettingsError) as error:
        raise SystemExit(f"deepselfie: {error}") from None
