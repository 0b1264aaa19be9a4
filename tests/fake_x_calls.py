"""What the calls to the fake X do, after X's public OpenAPI description."""

from __future__ import annotations

import secrets
import time
from typing import Any

from twitter_text import parse_tweet

from tests.fake_x_faults import DUPLICATE, POST, TIMELINE, TYPES, forbidden, invalid
from tests.fake_x_http import Handler
from tests.fake_x_objects import Query, find, page, user
from tests.fake_x_store import id_at

GONE = "You attempted to reply to a Tweet that is deleted or not visible to you."
NOT_FOUND = "Not Found Error", "resource-not-found"
NO_ID_YET = 2**63 - 1
TOO_LONG = "Your Tweet text is too long."
LONGEST_TEXT = 280
MOST_IDS = 100
LARGEST_PICTURE = 5 * 1024 * 1024


class Calls(Handler):
    """The answers, one method a call."""

    def _me(self, query: Query) -> Any:
        del query
        return {"data": user(self.world.store, self.person)}

    def _mentions(self, query: Query, person: int) -> Any:
        return self._posts(query, "id IN (SELECT post FROM mentions WHERE person = ?)", person)

    def _timeline(self, query: Query, person: int) -> Any:
        lag = self.world.faults.draw(TIMELINE, "lags")
        return self._posts(
            query, "author = ?", person, id_at(time.time() - lag.seconds) if lag else NO_ID_YET
        )

    def _posts(self, query: Query, which: str, person: int, newest: int = NO_ID_YET) -> Any:
        most = int(query.get("max_results", "10"))
        if not 5 <= most <= 100:
            raise invalid(f"The `max_results` query parameter value [{most}] is not between 5 and 100")
        since = int(query.get("since_id", "0"))
        until = min(newest, int(query.get("pagination_token", NO_ID_YET)))
        rows = self.world.store.rows(
            f"SELECT * FROM posts WHERE {which} AND id > ? AND id < ? ORDER BY id DESC LIMIT ?",
            *(person, since, until, most + 1),
        )
        found = page(self.world.store, rows[:most], query, self.world.url)
        meta: dict[str, Any] = {"result_count": len(rows[:most])}
        if len(rows) > most:
            meta["next_token"] = str(rows[most - 1]["id"])
        return {**found, "meta": meta}

    def _look_up(self, query: Query) -> Any:
        ids = [int(id_) for id_ in query.get("ids", "").split(",") if id_.isdigit()]
        if not 1 <= len(ids) <= MOST_IDS:
            raise invalid(f"The `ids` query parameter has {len(ids)} ids, not 1 to {MOST_IDS}")
        rows = [row for id_ in ids if self._is_visible(id_) and (row := find(self.world.store, id_))]
        errors = [self._unseen(id_) for id_ in ids if not self._is_visible(id_)]
        found = page(self.world.store, rows, query, self.world.url)
        return {**found, **({"errors": errors} if errors else {})}

    def _unseen(self, post: int) -> dict[str, Any]:
        """What X says of a post that it does not show."""
        is_there = find(self.world.store, post) is not None
        title, type_ = ("Authorization Error", "not-authorized-for-resource") if is_there else NOT_FOUND
        about = {"resource_id": str(post), "resource_type": "tweet", "value": str(post), "parameter": "ids"}
        return {**about, "title": title, "type": f"{TYPES}{type_}", "detail": f"{title}: {post}"}

    def _post(self, query: Query) -> Any:
        del query
        store, wanted = self.world.store, self._json()
        text = str(wanted.get("text", ""))
        if parse_tweet(text).weightedLength > LONGEST_TEXT:
            raise forbidden(TOO_LONG)
        reply_to = _number((wanted.get("reply") or {}).get("in_reply_to_tweet_id"))
        with store.lock:
            if reply_to is not None and not self._is_visible(reply_to):
                raise forbidden(GONE)
            same = store.one("SELECT 1 FROM posts WHERE author = ? AND text = ?", self.person, text)
            if same and self.world.faults.draw(POST, "duplicate"):
                raise forbidden(DUPLICATE)
            post = store.add_post(
                self.person,
                text,
                [int(id_) for id_ in (wanted.get("media") or {}).get("media_ids", [])],
                reply_to=reply_to,
                quoted=_number(wanted.get("quote_tweet_id")),
                retweeted=_number(wanted.get("retweets")),
                edited=_number(wanted.get("edits")),
                lang=wanted.get("lang"),
                sensitive=bool(wanted.get("sensitive")),
            )
        self.world.stream.deliver(post)
        return {"data": {"id": str(post), "text": text, "edit_history_tweet_ids": [str(post)]}}

    def _is_visible(self, post: int) -> bool:
        row = find(self.world.store, post)
        query = "SELECT 1 FROM people WHERE id = ? AND NOT protected"
        return row is not None and bool(self.world.store.one(query, row["author"]))

    def _delete(self, query: Query, post: int) -> Any:
        del query
        self.world.store.rows("DELETE FROM mentions WHERE post = ?", post)
        self.world.store.rows("DELETE FROM posts WHERE id = ? AND author = ?", post, self.person)
        return {"data": {"deleted": True}}

    def _rules(self, query: Query) -> Any:
        del query
        rows = self.world.store.rows("SELECT * FROM rules ORDER BY id")
        named = [{"id": str(row["id"]), "value": row["value"], "tag": row["tag"]} for row in rows]
        data = [{name: value for name, value in rule.items() if value} for rule in named]
        return {"meta": {"result_count": len(rows)}} | ({"data": data} if data else {})

    def _change_rules(self, query: Query) -> Any:
        wanted, errors = self._json(), []
        for id_ in (wanted.get("delete") or {}).get("ids", []):
            self.world.store.rows("DELETE FROM rules WHERE id = ?", int(id_))
        for rule in wanted.get("add", []):
            if self.world.store.one("SELECT 1 FROM rules WHERE value = ?", rule["value"]):
                errors.append({"title": "DuplicateRule", "value": rule["value"]})
            else:
                self.world.store.insert("rules", value=rule["value"], tag=rule.get("tag"))
        return {**self._rules(query), "errors": errors}

    def _upload(self, query: Query) -> Any:
        del query
        parts = self._multipart()
        content, kind = parts["media"]
        if parts["media_category"][0] != b"tweet_image" or not 0 < len(content) <= LARGEST_PICTURE:
            raise invalid(f"a tweet_image has 1 to {LARGEST_PICTURE} bytes, this has {len(content)}")
        media = self.world.store.insert("media", owner=self.person, type="photo", kind=kind, content=content)
        return {"data": {"id": str(media), "media_key": f"3_{media}", "size": len(content)}}

    def _begin_upload(self, query: Query) -> Any:
        del query
        wanted = self._json()
        total, kind = wanted["total_bytes"], wanted["media_type"]
        if wanted["media_category"] != "tweet_image" or not 0 < total <= LARGEST_PICTURE:
            raise invalid(f"a tweet_image has 1 to {LARGEST_PICTURE} bytes, this has {total}")
        media = self.world.store.insert(
            "media", owner=self.person, type="photo", kind=kind, content=b"", total=total
        )
        return {"data": {"id": str(media), "media_key": f"3_{media}", "expires_after_secs": 86400}}

    def _append(self, query: Query, media: int) -> Any:
        del query
        parts = self._multipart()
        with self.world.store.lock:
            row = self._own_media(media)
            if parts["segment_index"][0] != str(row["segments"]).encode():
                raise invalid(f"segment_index is not {row['segments']}")
            content = row["content"] + parts["media"][0]
            change = "UPDATE media SET content = ?, segments = segments + 1 WHERE id = ?"
            self.world.store.rows(change, content, media)
        return {"data": {"expires_at": 86400}}

    def _end_upload(self, query: Query, media: int) -> Any:
        del query
        row = self._own_media(media)
        if len(row["content"]) != row["total"]:
            raise invalid(f"{len(row['content'])} bytes came, {row['total']} were announced")
        return {"data": {"id": str(media), "media_key": f"3_{media}", "size": row["total"]}}

    def _own_media(self, media: int) -> Any:
        row = self.world.store.one("SELECT * FROM media WHERE id = ? AND owner = ?", media, self.person)
        if not row:
            raise invalid(f"there is no media {media}")
        return row

    def _describe(self, query: Query) -> Any:
        del query
        wanted = self._json()
        text = wanted["metadata"]["alt_text"]["text"]
        if len(text) > 1000:
            raise invalid("alt_text.text is longer than 1000 characters")
        self.world.store.rows("UPDATE media SET alt_text = ? WHERE id = ?", text, int(wanted["id"]))
        return {"data": {"id": wanted["id"], "associated_metadata": wanted["metadata"]}}

    # ── what only the fake has ──

    def _join(self, query: Query) -> Any:
        del query
        wanted, token = self._json(), secrets.token_urlsafe(12)
        name = wanted["username"]
        person = self.world.join(
            name, token, wanted.get("description", ""), protected=bool(wanted.get("protected"))
        )
        return {"id": str(person), "username": name, "access_token": token}

    def _put_faults(self, query: Query) -> Any:
        del query
        if self.command != "GET":
            self.world.faults.put(self._json().get("faults") if self.command == "PUT" else [])
        return {"faults": self.world.faults.as_json()}

    def _connects(self, query: Query) -> Any:
        del query
        return {"connects": self.world.stream.connects, "open": self.world.stream.is_open}


def _number(value: Any) -> int | None:
    return int(value) if value else None
