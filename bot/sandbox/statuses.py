"""Posts: who may see them, how Mastodon describes them, what hangs above and below."""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.responses import JSONResponse, Response

from bot.sandbox import content, media
from bot.sandbox.accounts import account_json, address, numbered
from bot.sandbox.call import Call, Sandbox
from bot.sandbox.errors import not_found
from bot.sandbox.store import Store, when

DEPTH = 400  # posts of a thread above and below one that are shown; Mastodon has such a limit too

# Followers do not exist here, so a post for followers is for its author and the people it mentions.
# :me is the asker's id, NULL for a guest.
VISIBLE = """(visibility IN ('public', 'unlisted') OR author = :me
    OR EXISTS (SELECT 1 FROM mentions WHERE mentions.status = statuses.id AND person = :me))"""


def visible(store: Store, number: int, person: sqlite3.Row | None) -> sqlite3.Row:
    """Return a status this person may see; 404 for others, so that nobody learns it exists."""
    row = store.db.execute(
        f"SELECT * FROM statuses WHERE id = :id AND {VISIBLE}",  # noqa: S608
        {"id": number, "me": person["id"] if person else None},
    ).fetchone()
    if row is None:
        raise not_found()
    return row  # type: ignore[no-any-return]


def status_json(sandbox: Sandbox, row: sqlite3.Row, base: str) -> dict[str, Any]:
    """Return Mastodon's Status entity."""
    store = sandbox.store
    author = numbered(store, row["author"])
    people = mentioned_people(store, row["id"])
    addresses = {person["username"].lower(): address(base, person) for person in people}
    return {
        "id": str(row["id"]),
        "created_at": when(row["id"]),
        "in_reply_to_id": _optional(row["in_reply_to"]),
        "in_reply_to_account_id": _optional(row["in_reply_to_author"]),
        "sensitive": bool(row["sensitive"]),
        "spoiler_text": row["spoiler_text"],
        "visibility": row["visibility"],
        "language": row["language"],
        "uri": f"{base}/users/{author['username']}/statuses/{row['id']}",
        "url": f"{address(base, author)}/{row['id']}",
        **dict.fromkeys(("reblogs_count", "favourites_count", "quotes_count"), 0),
        "replies_count": _replies(store, row["id"]),
        "edited_at": None,
        **dict.fromkeys(("favourited", "reblogged", "muted", "bookmarked", "pinned"), False),
        "content": content.html(row["text"], base, addresses),
        "filtered": [],
        **dict.fromkeys(("reblog", "card", "poll"), None),
        "quote": _quote(sandbox, row, base),
        "application": {"name": "sandbox", "website": None},
        "account": account_json(store, author, base),
        "media_attachments": [media.media_json(item, base) for item in media.of_status(sandbox, row["id"])],
        "mentions": [_mention_json(person, base) for person in people],
        "tags": [{"name": tag, "url": f"{base}/tags/{tag}"} for tag in content.tags(row["text"])],
        "emojis": [],
    }


def _quote(sandbox: Sandbox, row: sqlite3.Row, base: str) -> dict[str, Any] | None:
    """Return Mastodon's Quote entity; who may see a post sees what it quotes, if that is open to all."""
    quoted = sandbox.store.db.execute(
        "SELECT statuses.* FROM quotes JOIN statuses ON statuses.id = quoted "
        "WHERE status = ? AND visibility IN ('public', 'unlisted')",
        (row["id"],),
    ).fetchone()
    return quoted and {"state": "accepted", "quoted_status": status_json(sandbox, quoted, base)}


def _replies(store: Store, number: int) -> int:
    row = store.db.execute("SELECT count(*) FROM statuses WHERE in_reply_to = ?", (number,)).fetchone()
    return int(row[0])


def mentioned_people(store: Store, number: int) -> list[sqlite3.Row]:
    """Return the people a status mentions."""
    return store.db.execute(
        "SELECT people.* FROM mentions JOIN people ON people.id = person WHERE status = ?", (number,)
    ).fetchall()


def _mention_json(person: sqlite3.Row, base: str) -> dict[str, Any]:
    return {
        "id": str(person["id"]),
        "username": person["username"],
        "url": address(base, person),
        "acct": person["username"],
    }


def _optional(number: int | None) -> str | None:
    return None if number is None else str(number)


async def show(call: Call) -> Response:
    """GET /api/v1/statuses/:id."""
    row = visible(call.sandbox.store, call.path("id"), call.person)
    return JSONResponse(status_json(call.sandbox, row, call.base))


async def context(call: Call) -> Response:
    """GET /api/v1/statuses/:id/context: the thread above, oldest first, and below."""
    row = visible(call.sandbox.store, call.path("id"), call.person)
    me = {"me": call.person["id"] if call.person else None, "id": row["id"], "depth": DEPTH}
    ancestors = call.sandbox.store.db.execute(
        f"""WITH RECURSIVE above (id, depth) AS (
            SELECT in_reply_to, 1 FROM statuses WHERE id = :id
            UNION ALL SELECT in_reply_to, depth + 1 FROM above JOIN statuses USING (id) WHERE depth < :depth)
        SELECT statuses.* FROM above JOIN statuses USING (id) WHERE {VISIBLE} ORDER BY id""",  # noqa: S608
        me,
    ).fetchall()
    descendants = call.sandbox.store.db.execute(
        f"""WITH RECURSIVE below (id) AS (
            SELECT id FROM statuses WHERE in_reply_to = :id
            UNION ALL SELECT statuses.id FROM below JOIN statuses ON in_reply_to = below.id LIMIT :depth)
        SELECT statuses.* FROM below JOIN statuses USING (id) WHERE {VISIBLE} ORDER BY id""",  # noqa: S608
        me,
    ).fetchall()
    shown = {
        "ancestors": [status_json(call.sandbox, item, call.base) for item in ancestors],
        "descendants": [status_json(call.sandbox, item, call.base) for item in descendants],
    }
    return JSONResponse(shown)
