"""Mastodon's way through long lists: min_id goes forward from an id, the others stay at the newest."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from bot.sandbox.call import Call
from bot.sandbox.ids import dress

POSITIONS = {"max_id": "<", "since_id": ">", "min_id": ">"}
# How Hollo's Link header leads to what is older.
OLDER = {"older_than": "<"}
# Where ids lead anywhere at all, by how a dialect pages.
KNOWN = {"forward": POSITIONS, "ascending": POSITIONS, "since": POSITIONS | OLDER, "newest": OLDER}


@dataclass(frozen=True)
class Limit:
    """Rows on a page when nothing is asked, and at most."""

    default: int
    most: int


def page(call: Call, select: str, values: dict[str, object], limit: Limit) -> list[sqlite3.Row]:
    """Return one page of a query, newest first.

    Args:
        call: Carries max_id, since_id, min_id and limit.
        select: A SELECT that ends in a WHERE clause and yields a column `id`.
        values: The values of its named parameters.
        limit: How many rows.
    """
    wanted = dict(values)
    pages = call.sandbox.dialect.pages
    for name, sign in KNOWN[pages].items():
        number = call.number(name)
        if number is not None:
            select += f" AND id {sign} :{name}"
            wanted[name] = number
    forward = pages in {"forward", "ascending"} and call.number("min_id") is not None
    asked = call.number("limit")
    wanted["rows"] = limit.default if asked is None else max(1, min(asked, limit.most))
    select += f" ORDER BY id {'ASC' if forward else 'DESC'} LIMIT :rows"
    rows = call.sandbox.store.db.execute(select, wanted).fetchall()
    return rows[::-1] if forward and pages == "forward" else rows


def links(call: Call, rows: Sequence[sqlite3.Row]) -> dict[str, str]:
    """Return the Link header to the pages after and before this one; none for an empty page."""
    if not rows:
        return {}
    kept = [
        (name, value)
        for name, value in call.request.query_params.multi_items()
        if name not in {*POSITIONS, *OLDER, "access_token"}
    ]
    address = f"{call.base}{call.request.url.path}?"
    ids = sorted(int(row["id"]) for row in rows)
    first, last = (dress(number, call.sandbox.dialect.ids) for number in (ids[0], ids[-1]))
    if "older_than" in KNOWN[call.sandbox.dialect.pages]:
        return {"Link": f'<{address}{urlencode([*kept, ("older_than", first)])}>; rel="next"'}
    older = address + urlencode([*kept, ("max_id", first)])
    newer = address + urlencode([*kept, ("min_id", last)])
    return {"Link": f'<{older}>; rel="next", <{newer}>; rel="prev"'}
