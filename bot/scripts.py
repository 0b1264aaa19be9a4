"""One Lua script, called many times in one pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from redis.client import Pipeline
from redis.commands.core import Script

# The keys and arguments of a script.
Call = tuple[list[str], list[Any]]


def call(pipeline: Pipeline, script: Script, calls: Iterable[Call]) -> None:
    """Call a script many times, when the pipeline is executed."""
    for number, (names, arguments) in enumerate(calls):
        # The first carries the script's text, in case Redis does not know it: inside of a transaction there
        # is no second try, and redis-py's own way is to ask beforehand, which is a round trip.
        if number:
            pipeline.evalsha(script.sha, len(names), *names, *arguments)
        else:
            pipeline.eval(str(script.script), len(names), *names, *arguments)
