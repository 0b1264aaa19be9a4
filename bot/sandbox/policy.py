"""Mastodon's notification policy, as far as private mentions go: they may be held back as requests."""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.responses import JSONResponse, Response

from bot.sandbox.accounts import account_json, numbered
from bot.sandbox.call import Call
from bot.sandbox.errors import invalid, not_found
from bot.sandbox.store import Store, when

KINDS = (
    "for_not_following",
    "for_not_followers",
    "for_new_accounts",
    "for_private_mentions",
    "for_limited_accounts",
)
# As in Mastodon, but that a fresh sandbox holds nothing back.
HELD = "for_private_mentions"
WISHES = ("accept", "filter", "drop")


def hold_back(store: Store, notification: int, person: int, visibility: str) -> None:
    """Hold a notification back if its receiver wants that."""
    row = store.db.execute("SELECT 1 FROM policies WHERE person = ?", (person,)).fetchone()
    if row and visibility == "direct":
        store.db.execute("INSERT INTO held VALUES (?)", (notification,))


def _check(call: Call) -> Store:
    if not call.sandbox.dialect.has_policy:
        raise not_found()
    return call.sandbox.store


def _policy(call: Call) -> Response:
    store, me = call.sandbox.store, call.asker["id"]
    filters = store.db.execute("SELECT 1 FROM policies WHERE person = ?", (me,)).fetchone()
    wishes: dict[str, Any] = dict.fromkeys(KINDS, "accept")
    wishes[HELD] = "filter" if filters else "accept"
    requests = len(_held(call))
    return JSONResponse(
        wishes | {"summary": {"pending_requests_count": requests, "pending_notifications_count": requests}}
    )


async def show(call: Call) -> Response:
    """GET /api/v2/notifications/policy."""
    _check(call)
    return _policy(call)


async def change(call: Call) -> Response:
    """PATCH /api/v2/notifications/policy."""
    store, me = _check(call), call.asker["id"]
    wish = call.text(HELD)
    if wish is not None and wish not in WISHES:
        raise invalid(f"{HELD} is {wish[:40]!r} but must be one of {', '.join(WISHES)}")
    if wish == "accept":
        store.db.execute("DELETE FROM policies WHERE person = ?", (me,))
    elif wish:
        store.db.execute("INSERT OR IGNORE INTO policies VALUES (?)", (me,))
    return _policy(call)


async def requests(call: Call) -> Response:
    """GET /api/v1/notifications/requests: one for each author who is held back."""
    store = _check(call)
    return JSONResponse(
        [
            {
                "id": str(row["author"]),
                "created_at": when(row["id"]),
                "updated_at": when(row["id"]),
                "account": account_json(store, numbered(store, row["author"]), call.base),
                "notifications_count": "1",
                "last_status": None,
            }
            for row in _held(call)
        ]
    )


async def accept(call: Call) -> Response:
    """POST /api/v1/notifications/requests/accept: let in what these authors wrote."""
    store, me = _check(call), call.asker["id"]
    for author in call.all("id"):
        store.db.execute(
            "DELETE FROM held WHERE id IN (SELECT id FROM notifications WHERE person = ? AND author = ?)",
            (me, author),
        )
    return JSONResponse({})


def _held(call: Call) -> list[sqlite3.Row]:
    return call.sandbox.store.db.execute(
        "SELECT notifications.* FROM notifications JOIN held USING (id) WHERE person = ? GROUP BY author",
        (call.asker["id"],),
    ).fetchall()
