"""One request, read once: who asks, with which parameters, and the sandbox that is asked."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.requests import HTTPConnection, Request

from bot.sandbox.dialects import Dialect
from bot.sandbox.errors import ApiError, bad_token, invalid
from bot.sandbox.faults import Faults
from bot.sandbox.hub import Hub
from bot.sandbox.ids import PARAMETERS, undress
from bot.sandbox.limits import Limiter
from bot.sandbox.store import Store

UPLOAD_LIMIT = 16 * 2**20  # bytes of one file
BODY_LIMIT = UPLOAD_LIMIT + 2**16  # bytes of a whole body: the file and its envelope
LARGEST = 2**63 - 1  # the largest whole number that the store can hold
DRAIN_LIMIT = 4 * BODY_LIMIT  # bytes read and thrown away so that the client lives to read the refusal


@dataclass(frozen=True)
class Sandbox:
    """What outlives a call."""

    folder: Path
    store: Store
    hub: Hub
    faults: Faults
    limiter: Limiter
    dialect: Dialect


@dataclass(frozen=True)
class Upload:
    """A file as it was sent; `kind` is the content type the sender claims."""

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True)
class Call:
    """A request as handlers see it."""

    sandbox: Sandbox
    request: Request
    person: sqlite3.Row | None  # the people row the token belongs to; None for a guest
    parameters: Mapping[str, list[str | Upload]]
    body: Any  # parsed JSON, None for other bodies

    @property
    def base(self) -> str:
        """Where the caller reaches this network, such as http://localhost:8080."""
        return base(self.request)

    @property
    def asker(self) -> sqlite3.Row:
        """The person who asks; 401 for a guest."""
        if self.person is None:
            raise bad_token()
        return self.person

    def all(self, name: str) -> list[str]:
        """Return every value of a parameter; name and name[] are the same, as in Rails."""
        values = [value for value in self.parameters.get(name, []) if isinstance(value, str)]
        return (
            [undress(value, self.sandbox.dialect.ids) for value in values] if name in PARAMETERS else values
        )

    def text(self, name: str) -> str | None:
        """Return a parameter's last value, None when it is absent or empty."""
        values = self.all(name)
        return values[-1] if values and values[-1] else None

    def number(self, name: str) -> int | None:
        """Return a parameter that is an id or a count; 422 when it is no whole number that an id could be."""
        value = self.text(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) < 20 and int(value) <= LARGEST):
            raise invalid(f"{name} is {value[:40]!r} but must be a whole number up to {LARGEST}")
        return int(value)

    def path(self, name: str) -> int:
        """Return an id from the path; what no id can be is found nowhere: 0."""
        value = undress(str(self.request.path_params[name]), self.sandbox.dialect.ids)
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else 0

    def flag(self, name: str) -> bool:
        """Return whether a parameter is switched on, by any of the words Rails takes for true."""
        return (self.text(name) or "").lower() in {"1", "true", "on", "yes", "t"}


def base(connection: HTTPConnection) -> str:
    """Return scheme and host as the caller wrote them, so that the links we hand out work for the caller."""
    scheme = {"ws": "http", "wss": "https"}.get(connection.scope["scheme"], connection.scope["scheme"])
    return f"{scheme}://{connection.headers.get('host', 'localhost')}"


def digest(token: str) -> str:
    """Return what is stored of a token, so that a stolen database opens no account."""
    return hashlib.sha256(token.encode()).hexdigest()


def token_of(connection: HTTPConnection) -> str:
    """Return the token a request carries in its header, else in its query; empty without one."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        token = connection.query_params.get("access_token", "")
    return token.strip()


def person_of(store: Store, token: str) -> sqlite3.Row | None:
    """Return the person a token belongs to; None without a token, 401 for an unknown one."""
    if not token:
        return None
    query = (
        "SELECT * FROM people WHERE token_digest = :it OR id = (SELECT person FROM tokens WHERE digest = :it)"
    )
    row = store.db.execute(query, {"it": digest(token)}).fetchone()
    if row is None:
        raise bad_token()
    return row  # type: ignore[no-any-return]


async def read_call(sandbox: Sandbox, request: Request, person: sqlite3.Row | None) -> Call:
    """Read a request to its end: query, then a form, multipart or JSON body."""
    values: dict[str, list[str | Upload]] = {}
    for name, value in request.query_params.multi_items():
        values.setdefault(name.removesuffix("[]"), []).append(value)
    parsed = None
    if request.method in {"POST", "PUT", "PATCH", "DELETE"}:
        content = await _read_body(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json" and content:
            parsed = _read_json(content)
            pairs = flat(parsed)
        elif kind == "multipart/form-data":
            try:
                pairs = [pair async for pair in _read_multipart(request, content)]
            except UnicodeError as error:  # a charset of the sender's choice may fail in ways of its own
                raise ApiError(400, "the form is not in the charset it claims; send UTF-8") from error
        elif sandbox.dialect.json_only and content:
            raise invalid(f"the body is {kind or 'nothing'} but must be application/json")
        else:
            pairs = [*parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True)]
        for name, item in pairs:
            _check_characters(name, item)
            values.setdefault(name.removesuffix("[]"), []).append(item)
    return Call(sandbox, request, person, values, parsed)


async def _read_body(request: Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= BODY_LIMIT:
            chunks.append(chunk)
        elif size > DRAIN_LIMIT:
            break
    if size > BODY_LIMIT:
        raise invalid(f"File must be at most {UPLOAD_LIMIT >> 20} MB; send a smaller one")
    return b"".join(chunks)


def _read_json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ApiError(400, "the JSON body is nested too deeply; send an object like {}") from error
    except ValueError as error:
        raise ApiError(400, f"the body is no JSON: {error}; send an object like {{}}") from error


def flat(parsed: Any) -> list[tuple[str, str | Upload]]:
    """Turn a JSON object into the pairs a form would have had."""
    if not isinstance(parsed, dict):
        raise ApiError(400, f"the JSON body is a {type(parsed).__name__}; send an object like {{}}")
    pairs: list[tuple[str, str | Upload]] = []
    for name, value in parsed.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, bool):
                pairs.append((name, str(item).lower()))
            elif isinstance(item, str | int | float):
                pairs.append((name, str(item)))
    return pairs


def _check_characters(name: str, item: str | Upload) -> None:
    # JSON may spell half of a surrogate pair, as in "\\ud800", which neither store nor answers can carry.
    try:
        f"{name}{item if isinstance(item, str) else item.name}".encode()
    except UnicodeEncodeError as error:
        raise invalid(f"{name[:40]!r} holds half a character, a lone surrogate; send whole ones") from error


async def _read_multipart(request: Request, content: bytes) -> AsyncIterator[tuple[str, str | Upload]]:
    async def again() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async with Request(request.scope, again).form() as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                upload = Upload(value.filename or "", value.content_type or "", await value.read())
                yield name, upload
            else:
                yield name, value
