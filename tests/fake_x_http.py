"""HTTP for the fake X: who calls, what is asked, what is sent back, and the connection under it."""

from __future__ import annotations

import email
import email.policy
import json
import re
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from oauthlib.oauth1.rfc5849 import signature

from tests.fake_x_faults import (
    POST,
    STREAM,
    TIMELINE,
    Faults,
    Problem,
    broken,
    forbidden,
    invalid,
    unauthorized,
)
from tests.fake_x_objects import Query
from tests.fake_x_store import Store
from tests.fake_x_stream import Stream

BOT = "deepselfie"

# Each call: its name for faults and its path, who may make it, and the method that answers it.
CALLS = [
    ("GET /2/users/me", "user", "me"),
    ("GET /2/users/:id/mentions", "user", "mentions"),
    (TIMELINE, "user", "timeline"),
    ("GET /2/tweets", "user", "look_up"),
    (POST, "user", "post"),
    ("DELETE /2/tweets/:id", "user", "delete"),
    ("GET /2/tweets/search/stream/rules", "app", "rules"),
    ("POST /2/tweets/search/stream/rules", "app", "change_rules"),
    ("POST /2/media/upload", "user", "upload"),
    ("POST /2/media/upload/initialize", "user", "begin_upload"),
    ("POST /2/media/upload/:id/append", "user", "append"),
    ("POST /2/media/upload/:id/finalize", "user", "end_upload"),
    ("POST /2/media/metadata", "user", "describe"),
    ("POST /sandbox/posts", "user", "post"),
    ("POST /sandbox/people", "anyone", "join"),
    ("PUT /sandbox/faults", "app", "put_faults"),
    ("GET /sandbox/faults", "app", "put_faults"),
    ("DELETE /sandbox/faults", "app", "put_faults"),
    ("GET /sandbox/connects", "anyone", "connects"),
]
ENDPOINTS = {name for name, _, _ in CALLS if "/2/" in name} | {STREAM}


class World:
    """What all connections share."""

    def __init__(self, data: Path, token: str, keep_alive: float) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.url = ""
        self.token = token
        self.store = Store(data / "x.sqlite3")
        self.faults = Faults(ENDPOINTS)
        self.stream = Stream(self.store, self.faults, keep_alive, lambda: self.url)
        if not self.store.one("SELECT id FROM people WHERE username = ?", BOT):
            self.join(BOT, token)

    def join(self, name: str, token: str, description: str = "", *, protected: bool = False) -> int:
        return self.store.insert(
            "people", username=name, token=token, description=description, protected=protected
        )


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    world: World

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _serve(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, query = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query))
        try:
            if f"{self.command} {path}" == STREAM:
                self._stream(query)
                return
            if self.command == "GET" and path.startswith("/media/"):
                self._send_media(int(path.removeprefix("/media/")))
                return
            name, answer, ids = self._find(path)
            self.world.faults.before(name)
            found = answer(query, *ids)
            if self.world.faults.draw(name, "error_after_success"):
                raise broken()
            if self.world.faults.draw(name, "dropped_answer"):
                self.close_connection = True
                return
            self._send(201 if self.command == "POST" else 200, json.dumps(found).encode())
        except Problem as problem:
            self._send(problem.status, json.dumps(problem.body).encode(), problem.headers)

    def _find(self, path: str) -> tuple[str, Callable[..., Any], list[int]]:
        for name, who, method in CALLS:
            pattern = re.escape(name).replace(":id", r"(\d+)").replace(r"\ ", " ")
            if found := re.fullmatch(pattern, f"{self.command} {path}"):
                self.person = self._who(who)
                return name, getattr(self, f"_{method}"), [int(id_) for id_ in found.groups()]
        raise Problem(404, "Not Found", "")

    def _stream(self, query: Query) -> None:
        self.world.stream.connects.append(time.time())
        self._who("app")
        self.world.faults.before(STREAM)
        self.close_connection = True
        self.world.stream.serve(self.connection, query)

    def _who(self, who: str) -> int:
        """Whose call it is; 0 for the app's own."""
        kind, _, rest = (self.headers.get("Authorization") or "").partition(" ")
        token = self.world.token
        if who == "anyone" or (kind, rest, who) == ("Bearer", token, "app"):
            return 0
        if kind == "OAuth" and who == "user" and not self._is_signed(token):
            raise unauthorized()
        given = token if kind == "OAuth" else rest
        person = self.world.store.one("SELECT id FROM people WHERE token = ?", given)
        # The bot's token, shown plainly, is the app's, which has no account of its own.
        if not person or who == "app" or (kind == "Bearer" and rest == token):
            raise forbidden("Unsupported Authentication") if person else unauthorized()
        return int(person[0])

    def _is_signed(self, secret: str) -> bool:
        given = {"Authorization": self.headers["Authorization"]}
        query = urlsplit(self.path).query
        all_params = signature.collect_parameters(query, [], given, exclude_oauth_signature=False)
        params = [pair for pair in all_params if pair[0] != "oauth_signature"]
        mine = f"http://{self.headers['Host']}{urlsplit(self.path).path}"
        signed = dict(all_params)
        request: Any = SimpleNamespace(
            http_method=self.command, uri=mine, params=params, signature=signed.get("oauth_signature", "")
        )
        known = {signed.get("oauth_consumer_key"), signed.get("oauth_token")} == {secret}
        return known and bool(signature.verify_hmac_sha1(request, secret, secret))

    def _json(self) -> Any:
        try:
            found = json.loads(self.body)
        except ValueError:
            raise invalid("the body is no JSON") from None
        return found if isinstance(found, dict) else {}

    def _multipart(self) -> dict[str, tuple[bytes, str]]:
        """The parts of a form: their bytes as they came, and their media types."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + self.body, policy=email.policy.HTTP)
        boundary = str(message.get_boundary()).encode()
        found = {}
        for part in self.body.split(b"--" + boundary)[1:-1]:
            about, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            headers = email.message_from_bytes(about, policy=email.policy.HTTP)
            name = headers["Content-Disposition"].params["name"]
            found[name] = (content.removesuffix(b"\r\n"), headers.get_content_type())
        return found

    def _send_media(self, media: int) -> None:
        row = self.world.store.one("SELECT * FROM media WHERE id = ?", media)
        if not row:
            raise Problem(404, "Not Found", "")
        self._send(200, row["content"], {"Content-Type": row["kind"]})

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True
