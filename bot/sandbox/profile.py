"""What people say about themselves, and whose notifications they want."""

from __future__ import annotations

import re
from dataclasses import replace

from starlette.responses import Response

from bot.sandbox import accounts
from bot.sandbox.call import Call
from bot.sandbox.errors import invalid

MAX_FIELDS = 4
FIELD = re.compile(r"fields_attributes\[(\d)\]\[(name|value)\]")


async def update(call: Call) -> Response:
    """PATCH /api/v1/accounts/update_credentials: bot, display_name and fields_attributes."""
    db, person = call.sandbox.store.db, call.asker["id"]
    if call.text("bot"):
        db.execute("UPDATE people SET bot = ? WHERE id = ?", (call.flag("bot"), person))
    if name := call.text("display_name"):
        db.execute("UPDATE people SET display_name = ? WHERE id = ?", (name, person))
    if fields := _fields(call):
        db.execute("DELETE FROM fields WHERE person = ?", (person,))
        rows = [(person, place, *fields[place]) for place in sorted(fields)]
        db.executemany("INSERT INTO fields VALUES (?, ?, ?, ?)", rows)
    return await accounts.verify_credentials(
        replace(call, person=accounts.numbered(call.sandbox.store, person))
    )


def _fields(call: Call) -> dict[int, tuple[str, str]]:
    """The profile's fields by place, of fields_attributes[0][name] and the like."""
    found: dict[int, dict[str, str]] = {}
    for parameter in call.parameters:
        if match := FIELD.fullmatch(parameter):
            found.setdefault(int(match[1]), {})[match[2]] = call.text(parameter) or ""
    if len(found) > MAX_FIELDS:
        raise invalid(f"there are {len(found)} fields but there may be {MAX_FIELDS}; leave some out")
    return {place: (field.get("name", ""), field.get("value", "")) for place, field in found.items()}
