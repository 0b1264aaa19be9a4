"""Apps and their tokens, as `deepselfie login` makes them: OAuth's code flow, with the code shown on a page.

Joining needs none of this. Tokens from joining may do everything; those made here what their scopes allow.
"""

from __future__ import annotations

import html
import secrets
import sqlite3
import time
from string import Template
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response

from bot.sandbox.call import Call, digest, person_of
from bot.sandbox.errors import ApiError, invalid
from bot.sandbox.store import Store

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
CODE_SECONDS = 600
DEFAULT_SCOPES = "read"

# What a token needs for a call; the part before the colon alone will do as well.
NEEDED = {
    "GET /api/v1/accounts/verify_credentials": "read:accounts",
    "PATCH /api/v1/accounts/update_credentials": "write:accounts",
    "GET /api/v1/notifications": "read:notifications",
    "GET /api/v2/notifications/policy": "read:notifications",
    "PATCH /api/v2/notifications/policy": "write:notifications",
    "GET /api/v1/statuses/:id": "read:statuses",
    "GET /api/v1/statuses/:id/context": "read:statuses",
    "POST /api/v1/statuses": "write:statuses",
    "DELETE /api/v1/statuses/:id": "write:statuses",
    "POST /api/v2/media": "write:media",
    "PUT /api/v1/media/:id": "write:media",
}

# Forms are forbidden everywhere else.
HEADERS = {"Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'"}
PAGE = Template("<!doctype html><meta charset=utf-8><title>deepselfie sandbox</title>$body")
FORM = Template("""<h1>May $app act for you?</h1><p>It wants to: $scopes</p>
<form method=post action=/oauth/authorize>$hidden
<label>Your access token (the bot's is in DATA/bot.token) <input type=password name=access_token></label>
<button>Allow</button></form>""")
CODE = Template("<h1>Copy this code</h1><p><code>$code</code></p>")


def check_scope(store: Store, token: str, endpoint: str) -> None:
    """Refuse with 403 what the scopes of a token do not cover."""
    needed = NEEDED.get(endpoint, "")
    row = store.db.execute("SELECT scopes FROM tokens WHERE digest = ?", (digest(token),)).fetchone()
    if row and needed and not {needed, needed.partition(":")[0]} & set(row["scopes"].split()):
        raise ApiError(403, "This action is outside the authorized scopes")


async def register(call: Call) -> Response:
    """POST /api/v1/apps: open to anyone, as everywhere."""
    name = call.text("client_name") or ""
    if not name or call.text("redirect_uris") != OUT_OF_BAND:
        raise invalid(f"an app needs a client_name, and {OUT_OF_BAND} as redirect_uris")
    client, secret = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    scopes = call.text("scopes") or DEFAULT_SCOPES
    call.sandbox.store.db.execute(
        "INSERT INTO apps VALUES (?, ?, ?, ?)", (client, digest(secret), name, scopes)
    )
    answer = {"name": name, "client_id": client, "client_secret": secret, "scopes": scopes.split()}
    return JSONResponse(answer | {"id": client, "redirect_uri": OUT_OF_BAND})


async def ask(call: Call) -> Response:
    """GET /oauth/authorize: the page that asks a person."""
    app, scopes = _app(call), _scopes(call)
    values = {"client_id": app["client"], "scope": scopes}
    fields = [f'<input type=hidden name={name} value="{html.escape(values[name])}">' for name in values]
    shown = {"app": html.escape(app["name"]), "scopes": html.escape(scopes), "hidden": "".join(fields)}
    return HTMLResponse(PAGE.substitute(body=FORM.substitute(shown)), headers=HEADERS)


async def allow(call: Call) -> Response:
    """POST /oauth/authorize: the person said yes, and gets a code to carry to the app."""
    store = call.sandbox.store
    app, scopes = _app(call), _scopes(call)
    person = person_of(store, call.text("access_token") or "")
    if person is None:
        raise invalid("access_token is missing; it is what tells the sandbox who you are")
    code = secrets.token_urlsafe(32)
    row = (digest(code), app["client"], person["id"], scopes, time.time())
    store.db.execute("INSERT INTO codes VALUES (?, ?, ?, ?, ?)", row)
    return HTMLResponse(PAGE.substitute(body=CODE.substitute(code=code)), headers=HEADERS)


async def exchange(call: Call) -> Response:
    """POST /oauth/token: a code, once, for a token."""
    store = call.sandbox.store
    app = _app(call)
    if not secrets.compare_digest(app["secret"], digest(call.text("client_secret") or "")):
        raise ApiError(401, "invalid_client")
    if call.text("grant_type") != "authorization_code":
        raise ApiError(400, "unsupported_grant_type")
    query = "DELETE FROM codes WHERE digest = ? AND client = ? RETURNING *"
    code = store.db.execute(query, (digest(call.text("code") or ""), app["client"])).fetchone()
    if code is None or code["at"] < time.time() - CODE_SECONDS:
        raise ApiError(400, "invalid_grant")
    token = secrets.token_urlsafe(32)
    store.db.execute("INSERT INTO tokens VALUES (?, ?, ?)", (digest(token), code["person"], code["scopes"]))
    answer: dict[str, Any] = {"access_token": token, "token_type": "Bearer", "scope": code["scopes"]}
    return JSONResponse(answer | {"created_at": int(time.time())})


def _app(call: Call) -> sqlite3.Row:
    client = call.text("client_id") or ""
    app = call.sandbox.store.db.execute("SELECT * FROM apps WHERE client = ?", (client,)).fetchone()
    if app is None:
        raise ApiError(401, "invalid_client")
    return app  # type: ignore[no-any-return]


def _scopes(call: Call) -> str:
    """The scopes that are asked for, all of which the app has registered."""
    scopes = call.text("scope") or DEFAULT_SCOPES
    if not set(scopes.split()) <= set(_app(call)["scopes"].split()):
        raise ApiError(400, "invalid_scope")
    return scopes
