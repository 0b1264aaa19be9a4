"""Ids as other servers write them. Inside the sandbox they are numbers; they are dressed on their way out."""

from __future__ import annotations

import re
from typing import Any, Literal
from uuid import UUID

Scheme = Literal["number", "ulid", "uuid"]

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's, as in ULIDs
ULID_LENGTH = 26
FIELDS = frozenset({"id", "in_reply_to_id", "in_reply_to_account_id", "quoted_status_id"})
PARAMETERS = FIELDS | {"max_id", "min_id", "since_id", "older_than", "account_id", "media_ids"}
ULID = re.compile(f"[{DIGITS}]{{{ULID_LENGTH}}}")


def dress(number: int | str, scheme: Scheme) -> str:
    """Write an id as a scheme does; equal order where the scheme has one."""
    number = int(number)
    if scheme == "uuid":
        return str(UUID(int=number))
    if scheme == "number":
        return str(number)
    digits = ""
    for _ in range(ULID_LENGTH):
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits


def undress(text: str, scheme: Scheme) -> str:
    """Read an id again; what is none stays as it is, for its reader to refuse."""
    if scheme == "uuid":
        try:
            return str(UUID(text.rpartition("/")[2]).int)
        except ValueError:
            return text
    if scheme == "number" or not ULID.fullmatch(text):
        return text
    number = 0
    for character in text:
        number = number * len(DIGITS) + DIGITS.index(character)
    return str(number)


def dressed(entity: Any, scheme: Scheme) -> Any:
    """Write all ids in an entity as a scheme does."""
    if isinstance(entity, list):
        return [dressed(item, scheme) for item in entity]
    if not isinstance(entity, dict):
        return entity
    out = {name: dressed(value, scheme) for name, value in entity.items()}
    for name in FIELDS & entity.keys():
        value = entity[name]
        if isinstance(value, str) and value.isdigit():
            out[name] = dress(value, scheme)
    if scheme == "uuid" and {"id", "type", "status"} <= entity.keys():
        # Hollo's notifications carry in their id when they were made, and of which kind.
        out["id"] = f"{entity['created_at']}/{entity['type']}/{out['id']}"
    return out
