"""People of the sandbox: joining, and how Mastodon describes them."""

from __future__ import annotations

import re
import secrets
import sqlite3
from datetime import date
from typing import Any

from starlette.responses import JSONResponse, Response

from bot.sandbox import content
from bot.sandbox.call import Call, digest, token_of
from bot.sandbox.errors import ApiError, invalid, not_found
from bot.sandbox.store import Store, when

USERNAME = re.compile(r"[A-Za-z0-9_]{1,30}")
BOT = "deepselfie"


def create(store: Store, username: str, *, bot: bool, token: str) -> sqlite3.Row:
    """Add a person and return their row; only a digest of the token is kept."""
    store.db.execute(
        "INSERT INTO people (id, username, display_name, bot, token_digest) VALUES (?, ?, ?, ?, ?)",
        (store.next_id(), username, username, bot, digest(token)),
    )
    return named(store, username)


def named(store: Store, username: str) -> sqlite3.Row:
    """Return the person of that name, whatever its case; 404 when there is none."""
    row = store.db.execute("SELECT * FROM people WHERE username = ?", (username,)).fetchone()
    if row is None:
        raise not_found()
    return row  # type: ignore[no-any-return]


def numbered(store: Store, number: int) -> sqlite3.Row:
    """Return the person with that id; 404 when there is none."""
    row = store.db.execute("SELECT * FROM people WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise not_found()
    return row  # type: ignore[no-any-return]


def ensure_bot(store: Store, token: str) -> None:
    """Make the bot's account exist and answer to this token."""
    known = store.db.execute("SELECT 1 FROM people WHERE username = ?", (BOT,)).fetchone()
    if known is None:
        create(store, BOT, bot=True, token=token)
    store.db.execute("UPDATE people SET token_digest = ? WHERE username = ?", (digest(token), BOT))


def address(base: str, person: sqlite3.Row) -> str:
    """Return a person's page, where mentions of them link to."""
    return f"{base}/@{person['username']}"


def account_json(store: Store, person: sqlite3.Row, base: str) -> dict[str, Any]:
    """Return Mastodon's Account entity."""
    posts, last = store.db.execute(
        "SELECT count(*), max(id) FROM statuses WHERE author = ?", (person["id"],)
    ).fetchone()
    profile = store.db.execute("SELECT * FROM profiles WHERE person = ?", (person["id"],)).fetchone()
    note, since = (profile["note"], profile["created_at"]) if profile else ("", None)
    picture = f"{base}/page/{'icon' if person['bot'] else 'person'}.svg"
    return {
        "id": str(person["id"]),
        "username": person["username"],
        "acct": person["username"],
        "display_name": person["display_name"],
        "locked": False,
        "bot": bool(person["bot"]),
        "discoverable": True,
        "indexable": False,
        "group": False,
        "created_at": (since or when(person["id"]))[:10] + "T00:00:00.000Z",
        "note": content.html(note, base, {}),
        "url": address(base, person),
        "uri": f"{base}/users/{person['username']}",
        **dict.fromkeys(("avatar", "avatar_static", "header", "header_static"), picture),
        "followers_count": 0,
        "following_count": 0,
        "statuses_count": posts,
        "last_status_at": when(last)[:10] if last else None,
        "hide_collections": None,
        "noindex": True,
        "emojis": [],
        "roles": [],
        "fields": fields(store, person),
    }


def fields(store: Store, person: sqlite3.Row) -> list[dict[str, Any]]:
    """Return the lines of a profile's table."""
    query = "SELECT name, value FROM fields WHERE person = ? ORDER BY place"
    return [dict(row) | {"verified_at": None} for row in store.db.execute(query, (person["id"],))]


async def verify_credentials(call: Call) -> Response:
    """GET /api/v1/accounts/verify_credentials."""
    source = {
        "privacy": "public",
        "sensitive": False,
        "language": None,
        "note": "",
        "fields": fields(call.sandbox.store, call.asker),
        "follow_requests_count": 0,
    }
    return JSONResponse({**account_json(call.sandbox.store, call.asker, call.base), "source": source})


async def show(call: Call) -> Response:
    """GET /api/v1/accounts/:id."""
    store = call.sandbox.store
    return JSONResponse(account_json(store, numbered(store, call.path("id")), call.base))


async def lookup(call: Call) -> Response:
    """GET /api/v1/accounts/lookup?acct=name or name@this.host."""
    store = call.sandbox.store
    name, _, domain = (call.text("acct") or "").removeprefix("@").partition("@")
    if domain and domain.lower() != call.base.partition("://")[2].lower():
        raise not_found()
    return JSONResponse(account_json(store, named(store, name), call.base))


async def join(call: Call) -> Response:
    """POST /sandbox/people: open to anyone who reaches the sandbox, because it is one.

    A taken name answers 409, unless its own token comes along: then it is a return. Whoever tests a bot may
    give a new person a note, and a created_at that lies back.
    """
    store = call.sandbox.store
    username = call.text("username") or ""
    if not USERNAME.fullmatch(username):
        raise invalid(f"username is {username[:40]!r} but must be 1 to 30 letters, digits or underscores")
    try:
        person = named(store, username)
    except ApiError:
        token = secrets.token_urlsafe(32)
        profile = call.text("note") or "", _day(call.text("created_at"))
        person = create(store, username, bot=call.flag("bot"), token=token)
        store.db.execute("INSERT INTO profiles VALUES (?, ?, ?)", (person["id"], *profile))
        return _welcome(person, token)
    if call.person is None or call.person["id"] != person["id"]:
        raise ApiError(409, f"{username} is taken; choose another name, or send the token it was given")
    return _welcome(person, token_of(call.request))


def _day(text: str | None) -> str | None:
    """A day as it was given; 422 when it is none."""
    try:
        return date.fromisoformat(text[:10]).isoformat() if text else None
    except ValueError as error:
        raise invalid(f"created_at is {text!r} but must begin with a day, as 2026-01-31") from error


def _welcome(person: sqlite3.Row, token: str) -> Response:
    return JSONResponse(
        {"id": str(person["id"]), "username": person["username"], "access_token": token},
    )
