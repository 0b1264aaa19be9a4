"""X's JSON: posts with only those fields, and those things around them, that were asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.fake_x_store import Row, Store, when

Query = Mapping[str, str]
Object = dict[str, Any]

ALWAYS = {
    "tweet.fields": {"id", "text", "edit_history_tweet_ids"},
    "user.fields": {"id", "name", "username"},
    "media.fields": {"media_key", "type"},
}
LINK = re.compile(r"https?://\S+")


def page(store: Store, rows: Iterable[Row], query: Query, url: str) -> Object:
    """Some posts in the order given, and what was asked for around them."""
    posts = list(rows)
    asked = set(query.get("expansions", "").split(","))
    referred: list[Row] = []
    if "referenced_tweets.id" in asked:
        ids = {id_ for post in posts for _, id_ in references(post)}
        referred = [row for id_ in sorted(ids) if (row := find(store, id_))]
    people = {post["author"] for post in posts if "author_id" in asked}
    people |= {post["author"] for post in referred if "referenced_tweets.id.author_id" in asked}
    with_media = posts if "attachments.media_keys" in asked else []
    with_media = [*with_media, *(referred if "referenced_tweets.id.attachments.media_keys" in asked else [])]
    media = [row for post in with_media for row in media_of(store, post["id"])]
    includes = {
        "users": [_only(user(store, id_), query, "user.fields") for id_ in sorted(people)],
        "media": [_only(medium(row, url), query, "media.fields") for row in media],
        "tweets": [_only(tweet(store, row), query, "tweet.fields") for row in referred],
    }
    found: Object = {"data": [_only(tweet(store, row), query, "tweet.fields") for row in posts]}
    found["includes"] = {name: things for name, things in includes.items() if things}
    return {name: value for name, value in found.items() if value}


def tweet(store: Store, row: Row) -> Object:
    versions = [str(id_) for id_ in (row["edited"], row["id"]) if id_]
    above = find(store, row["reply_to"]) if row["reply_to"] else None
    found: Object = {
        "id": str(row["id"]),
        "text": row["text"],
        "author_id": str(row["author"]),
        "conversation_id": str(row["conversation"]),
        "created_at": when(row["id"]),
        "edit_history_tweet_ids": versions,
        "lang": row["lang"] or "en",
        "possibly_sensitive": bool(row["sensitive"]),
    }
    # X leaves out what is empty.
    if above:
        found["in_reply_to_user_id"] = str(above["author"])
    if refers := references(row):
        found["referenced_tweets"] = [{"type": kind, "id": str(id_)} for kind, id_ in refers]
    if media := media_of(store, row["id"]):
        found["attachments"] = {"media_keys": [f"3_{medium['id']}" for medium in media]}
    if links := LINK.findall(row["text"]):
        found["entities"] = {"urls": [{"url": "https://t.co/abc", "expanded_url": link} for link in links]}
    return found


def user(store: Store, id_: int) -> Object:
    row = store.one("SELECT * FROM people WHERE id = ?", id_)
    return {
        "id": str(row["id"]),
        "name": row["username"],
        "username": row["username"],
        "created_at": when(row["id"]),
        "description": row["description"],
        "protected": bool(row["protected"]),
    }


def medium(row: Row, url: str) -> Object:
    name = "url" if row["type"] == "photo" else "preview_image_url"
    return {"media_key": f"3_{row['id']}", "type": row["type"], name: f"{url}/media/{row['id']}"}


def references(row: Row) -> list[tuple[str, int]]:
    kinds = {"replied_to": row["reply_to"], "quoted": row["quoted"], "retweeted": row["retweeted"]}
    return [(kind, id_) for kind, id_ in kinds.items() if id_]


def find(store: Store, id_: int) -> Row | None:
    row: Row | None = store.one("SELECT * FROM posts WHERE id = ?", id_)
    return row


def media_of(store: Store, post: int) -> list[Row]:
    return store.rows("SELECT id, type FROM media WHERE post = ? ORDER BY place", post)


def _only(thing: Object, query: Query, kind: str) -> Object:
    wanted = ALWAYS[kind] | set(query.get(kind, "").split(","))
    return {name: value for name, value in thing.items() if name in wanted}
