"""Writing and deleting posts: checked, stored whole, then announced."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from starlette.responses import JSONResponse, Response

from bot.sandbox import content
from bot.sandbox.call import Call, Sandbox
from bot.sandbox.errors import ApiError, invalid, not_found
from bot.sandbox.faults import POST_STATUS
from bot.sandbox.instance import MAX_CHARACTERS, MAX_MEDIA
from bot.sandbox.notifications import notification_json
from bot.sandbox.policy import hold_back
from bot.sandbox.statuses import mentioned_people, status_json, visible

VISIBILITIES = ("public", "unlisted", "private", "direct")
KEY_LIVES = 3600  # seconds an Idempotency-Key is remembered, as in Mastodon


@dataclass(frozen=True)
class Draft:
    """A post that passed every check."""

    text: str
    visibility: str
    spoiler_text: str
    sensitive: bool
    language: str | None
    parent: sqlite3.Row | None
    quoted: sqlite3.Row | None
    media: list[sqlite3.Row]


async def create(call: Call) -> Response:
    """POST /api/v1/statuses, once for each Idempotency-Key."""
    sandbox, asker = call.sandbox, call.asker
    key = call.request.headers.get("idempotency-key", "")
    if sandbox.faults.draw(POST_STATUS, "idempotency_ignored") or not sandbox.dialect.keeps_keys:
        key = ""
    earlier = _remembered(sandbox, asker["id"], key)
    if earlier is not None:
        return JSONResponse(status_json(sandbox, visible(sandbox.store, earlier, asker), call.base))
    raced = sandbox.faults.draw(POST_STATUS, "idempotency_raced") if key else None
    if raced:
        # Between look-up and insert lies the window in which a careless server lets a twin through.
        await asyncio.sleep(raced.seconds)
    draft = _check(call)
    status, notifications = _insert(
        call, draft, key
    )  # but for races no await since the look-up: nobody came between
    announce(sandbox, status, notifications)
    return JSONResponse(status_json(sandbox, status, call.base))


def _remembered(sandbox: Sandbox, person: int, key: str) -> int | None:
    if not key:
        return None
    row = sandbox.store.db.execute(
        "SELECT status FROM idempotency WHERE person = ? AND key = ? AND at > ?",
        (person, key, time.time() - KEY_LIVES),
    ).fetchone()
    return row["status"] if row else None


def _check(call: Call) -> Draft:
    text, spoiler_text = (call.text("status") or "").strip(), call.text("spoiler_text") or ""
    media = _attachments(call)
    if not text and not media:
        raise invalid("Text can't be blank")
    size = content.length(text) + content.length(spoiler_text)
    if size > MAX_CHARACTERS:
        raise invalid(f"Text character limit of {MAX_CHARACTERS} exceeded: it is {size}; write less")
    visibility = call.text("visibility") or "public"
    if visibility not in VISIBILITIES:
        raise invalid(f"Visibility is {visibility[:40]!r} but must be one of {', '.join(VISIBILITIES)}")
    sensitive = call.flag("sensitive") or bool(spoiler_text)
    return Draft(
        text,
        visibility,
        spoiler_text,
        sensitive,
        call.text("language") or "en",
        _parent(call),
        _quoted(call),
        media,
    )


def _quoted(call: Call) -> sqlite3.Row | None:
    number = call.number("quoted_status_id")
    return None if number is None else visible(call.sandbox.store, number, call.asker)


def _parent(call: Call) -> sqlite3.Row | None:
    number = call.number("in_reply_to_id")
    if number is None:
        return None
    try:
        return visible(call.sandbox.store, number, call.asker)
    except ApiError as error:
        if call.sandbox.dialect.takes_orphans:
            return None
        raise ApiError(404, "The post you are trying to reply to does not appear to exist.") from error


def _attachments(call: Call) -> list[sqlite3.Row]:
    wanted = call.all("media_ids")
    if len(wanted) > MAX_MEDIA:
        raise invalid(f"Cannot attach more than {MAX_MEDIA} files, you sent {len(wanted)}; leave some out")
    rows = [
        call.sandbox.store.db.execute(
            "SELECT * FROM media WHERE id = CAST(? AS INTEGER) AND owner = ? AND status IS NULL",
            (number, call.asker["id"]),
        ).fetchone()
        for number in wanted
    ]
    missing = [number[:40] for number, row in zip(wanted, rows, strict=True) if row is None]
    if missing:
        raise invalid(f"Media {', '.join(missing)} not found or already attached to another post")
    if any(row["ready_at"] > time.time() for row in rows):
        raise invalid("Cannot attach files that have not finished processing. Try again in a moment!")
    if len(rows) > 1 and any(row["kind"] != "image" for row in rows):
        raise invalid("Cannot attach a video to a post that already contains images")
    return rows


def _insert(call: Call, draft: Draft, key: str) -> tuple[sqlite3.Row, list[sqlite3.Row]]:
    store, author = call.sandbox.store, call.asker["id"]
    number = store.next_id()
    with store.transaction():
        store.db.execute(
            "INSERT INTO statuses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                author,
                draft.text,
                draft.visibility,
                draft.spoiler_text,
                draft.sensitive,
                draft.language,
                draft.parent["id"] if draft.parent else None,
                draft.parent["author"] if draft.parent else None,
            ),
        )
        for place, item in enumerate(draft.media):
            store.db.execute(
                "UPDATE media SET status = ?, place = ? WHERE id = ?", (number, place, item["id"])
            )
        if draft.quoted:
            store.db.execute("INSERT INTO quotes VALUES (?, ?)", (number, draft.quoted["id"]))
        mention(call, number, draft)
        if key:
            store.db.execute(
                "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?)", (author, key, number, time.time())
            )
    status = store.db.execute("SELECT * FROM statuses WHERE id = ?", (number,)).fetchone()
    told = "SELECT * FROM notifications WHERE status = ? AND id NOT IN (SELECT id FROM held)"
    return status, store.db.execute(told, (number,)).fetchall()


def mention(call: Call, number: int, draft: Draft) -> None:
    """Note who is mentioned, and notify them; nobody is told of their own post."""
    store, author = call.sandbox.store, call.asker["id"]
    for name in content.mentioned(draft.text, call.base.partition("://")[2].lower()):
        person = store.db.execute("SELECT id FROM people WHERE username = ?", (name,)).fetchone()
        if person is None:
            continue
        store.db.execute("INSERT OR IGNORE INTO mentions VALUES (?, ?)", (number, person["id"]))
        if person["id"] != author:
            notification = store.next_id()
            store.db.execute(
                "INSERT INTO notifications VALUES (?, ?, ?, ?)", (notification, person["id"], author, number)
            )
            hold_back(store, notification, person["id"], draft.visibility)


def announce(sandbox: Sandbox, status: sqlite3.Row, notifications: list[sqlite3.Row]) -> None:
    """Tell every listener who may know; links are made for where each of them reached us."""
    told = {row["person"]: row for row in notifications}
    people = {person["id"] for person in mentioned_people(sandbox.store, status["id"])} | {status["author"]}
    open_to_all = status["visibility"] in {"public", "unlisted"}
    listed = status["visibility"] == "public" and status["in_reply_to_author"] in {None, status["author"]}
    update: Callable[[str], str] = cache(lambda base: json.dumps(status_json(sandbox, status, base)))
    for listener in list(sandbox.hub.listeners):
        if listener.person in told:
            note = json.dumps(notification_json(sandbox, told[listener.person], listener.base))
            sandbox.hub.tell(listener, "user:notification", "notification", note)
            sandbox.hub.tell(listener, "user", "notification", note)
        if "user" in listener.streams and (open_to_all or listener.person in people):
            sandbox.hub.tell(listener, "user", "update", update(listener.base))
        for stream in listener.streams & {"public", "public:local"} if listed else ():
            sandbox.hub.tell(listener, stream, "update", update(listener.base))


async def delete(call: Call) -> Response:
    """DELETE /api/v1/statuses/:id: answers with the post, and its text as it was typed."""
    store = call.sandbox.store
    row = visible(store, call.path("id"), call.person)
    if row["author"] != call.asker["id"]:
        raise not_found()
    gone: dict[str, Any] = {**status_json(call.sandbox, row, call.base), "text": row["text"]}
    with store.transaction():
        for statement in (
            "DELETE FROM statuses WHERE id = ?",
            "DELETE FROM mentions WHERE status = ?",
            "DELETE FROM quotes WHERE status = ?",
            "DELETE FROM notifications WHERE status = ?",
            "UPDATE media SET status = NULL WHERE status = ?",
        ):
            store.db.execute(statement, (row["id"],))
    for listener in list(call.sandbox.hub.listeners):
        for stream in listener.streams & {"user", "public", "public:local"}:
            call.sandbox.hub.tell(listener, stream, "delete", str(row["id"]))
    return JSONResponse(gone)
