"""What networks send → what the bot reads of it: nonsense is left out, and never ends anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bot.logs import Log

LOG = Log(__name__)

W = TypeVar("W", bound=BaseModel)
S = TypeVar("S")


def parse(kind: type[W], source: object) -> W | None:
    """Read what a network sent; None, and a line in the log, if it makes no sense."""
    return _understood(kind, kind.model_validate, source)


def parse_json(kind: type[W], source: str | bytes) -> W | None:
    """The same, of JSON that is still text."""
    return _understood(kind, kind.model_validate_json, source)


def _understood(kind: type[W], read: Callable[[S], W], source: S) -> W | None:
    try:
        return read(source)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        LOG.warning("not understood", kind=kind.__name__, problems=problems)
        return None
