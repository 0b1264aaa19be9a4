"""Lists of posts, newest first."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from bot.sandbox.accounts import numbered
from bot.sandbox.call import Call
from bot.sandbox.paging import Limit, links, page
from bot.sandbox.statuses import VISIBLE, status_json

LIMIT = Limit(default=20, most=40)
# As in Mastodon, the public timeline leaves replies out, unless somebody continues their own thread.
LISTED = "visibility = 'public' AND (in_reply_to IS NULL OR in_reply_to_author = author)"


async def public(call: Call) -> Response:
    """GET /api/v1/timelines/public."""
    return _posts(call, LISTED, {})


async def home(call: Call) -> Response:
    """GET /api/v1/timelines/home: here everybody follows everybody, so all that the asker may see."""
    return _posts(call, VISIBLE, {"me": call.asker["id"]})


async def of_account(call: Call) -> Response:
    """GET /api/v1/accounts/:id/statuses."""
    author = numbered(call.sandbox.store, call.path("id"))
    me = call.person["id"] if call.person else None
    condition = f"author = :author AND {VISIBLE}"
    if call.flag("exclude_replies"):
        condition += " AND in_reply_to IS NULL"
    if call.flag("only_media"):
        condition += " AND EXISTS (SELECT 1 FROM media WHERE media.status = statuses.id)"
    return _posts(call, condition, {"author": author["id"], "me": me})


def _posts(call: Call, condition: str, values: dict[str, object]) -> Response:
    rows = page(call, f"SELECT * FROM statuses WHERE {condition}", values, LIMIT)  # noqa: S608
    return JSONResponse(
        [status_json(call.sandbox, row, call.base) for row in rows], headers=links(call, rows)
    )
