"""What people are told about: here, that somebody mentioned them."""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.responses import JSONResponse, Response

from bot.sandbox.accounts import account_json, numbered
from bot.sandbox.call import Call, Sandbox
from bot.sandbox.errors import not_found
from bot.sandbox.paging import Limit, links, page
from bot.sandbox.statuses import status_json
from bot.sandbox.store import when

LIMIT = Limit(default=40, most=80)
MENTION = "mention"


def notification_json(sandbox: Sandbox, row: sqlite3.Row, base: str) -> dict[str, Any]:
    """Return Mastodon's Notification entity."""
    status = sandbox.store.db.execute("SELECT * FROM statuses WHERE id = ?", (row["status"],)).fetchone()
    return {
        "id": str(row["id"]),
        "type": MENTION,
        "created_at": when(row["id"]),
        "group_key": f"ungrouped-{row['id']}",
        "account": account_json(sandbox.store, numbered(sandbox.store, row["author"]), base),
        "status": status_json(sandbox, status, base),
    }


async def listing(call: Call) -> Response:
    """GET /api/v1/notifications by types[], exclude_types[], account_id, min_id, since_id, max_id, limit."""
    asker, types = call.asker, call.all("types")
    if (types and MENTION not in types) or MENTION in call.all("exclude_types"):
        return JSONResponse([])
    select = "SELECT * FROM notifications WHERE person = :me AND id NOT IN (SELECT id FROM held)"
    values: dict[str, object] = {"me": asker["id"]}
    author = call.number("account_id")
    if author is not None:
        select += " AND author = :author"
        values["author"] = author
    rows = page(call, select, values, LIMIT)
    shown = [notification_json(call.sandbox, row, call.base) for row in rows]
    return JSONResponse(shown, headers=links(call, rows))


async def show(call: Call) -> Response:
    """GET /api/v1/notifications/:id."""
    row = call.sandbox.store.db.execute(
        "SELECT * FROM notifications WHERE id = ? AND person = ?", (call.path("id"), call.asker["id"])
    ).fetchone()
    if row is None:
        raise not_found()
    return JSONResponse(notification_json(call.sandbox, row, call.base))
