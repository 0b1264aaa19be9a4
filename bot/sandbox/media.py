"""Uploads: stored byte for byte as they were sent, and handed out again.

The type is the one the sender claims, and an image that no decoder could read is accepted all the same.
Mastodon would refuse it, but hostile files reach the bot from other networks, by way of servers that check
nothing: here they must get through, or the defence could never be tried from end to end.
"""

from __future__ import annotations

import asyncio
import json
import mimetypes
import secrets
import sqlite3
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.responses import FileResponse, JSONResponse, Response

from bot.sandbox.call import UPLOAD_LIMIT, Call, Sandbox, Upload
from bot.sandbox.errors import invalid, not_found

EXTENSIONS = {  # content type → extension; SVG and HTML stay out, for they could carry scripts to our origin
    "image/jpeg": "jpeg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/heif": "heif",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
}
CONTENT_TYPES = {extension: kind for kind, extension in EXTENSIONS.items()}
BIG = 4 * 2**20  # bytes; larger files take a while to process, as on a real server
BIG_TAKES = 1.0  # seconds


@dataclass(frozen=True)
class Described:
    """What was read from a file's header."""

    meta: dict[str, Any]
    preview: bytes | None  # a PNG, for an animation


async def upload(call: Call) -> Response:
    """POST /api/v2/media: 200 with the attachment, or 202 and no url while a big one is processed."""
    asker = call.asker
    file = next((value for value in call.parameters.get("file", []) if isinstance(value, Upload)), None)
    kind = check(file)
    assert file is not None
    folder = secrets.token_urlsafe(24)
    extension = EXTENSIONS[kind]
    described = await asyncio.to_thread(keep, call.sandbox.folder / "media" / folder, file, extension)
    slow = call.sandbox.faults.draw("POST /api/v2/media", "slow_processing")
    takes = slow.seconds if slow else BIG_TAKES if len(file.content) > BIG else 0.0
    number = call.sandbox.store.next_id()
    call.sandbox.store.db.execute(
        "INSERT INTO media (id, owner, folder, kind, extension, preview, description, meta, ready_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            asker["id"],
            folder,
            entity_kind(kind),
            extension,
            described.preview is not None,
            call.text("description"),
            json.dumps(described.meta),
            time.time() + takes,
        ),
    )
    return _answer(call, number, still_processing=202)


async def show(call: Call) -> Response:
    """GET /api/v1/media/:id: 206 while it is processed, then 200."""
    return _answer(call, call.path("id"), still_processing=206)


async def describe(call: Call) -> Response:
    """PUT /api/v1/media/:id: change the description."""
    _own(call, call.path("id"))
    call.sandbox.store.db.execute(
        "UPDATE media SET description = ? WHERE id = ?", (call.text("description"), call.path("id"))
    )
    return _answer(call, call.path("id"), still_processing=206)


async def download(call: Call) -> Response:
    """GET /media/:folder/:file: open to everyone who knows the unguessable folder."""
    folder, name = call.request.path_params["folder"], call.request.path_params["file"]
    row = call.sandbox.store.db.execute("SELECT * FROM media WHERE folder = ?", (folder,)).fetchone()
    if row is None or name not in {_file_name(row), "small.png"}:
        raise not_found()
    path = call.sandbox.folder / "media" / folder / name
    if not path.is_file():
        raise not_found()
    kind = CONTENT_TYPES[path.suffix[1:]]
    # The policy keeps a hostile file from acting as a page of ours when somebody opens it directly.
    headers = {"Cache-Control": "public, max-age=86400, immutable", "Content-Security-Policy": "sandbox"}
    return FileResponse(path, media_type=kind, headers=headers)


def check(file: Upload | None) -> str:
    """Return the file's content type, or refuse it."""
    if file is None:
        raise invalid("File can't be blank")
    if len(file.content) > UPLOAD_LIMIT:
        size = f"{len(file.content) / 2**20:.1f} MB"
        raise invalid(f"File is {size} and must be at most {UPLOAD_LIMIT >> 20} MB; send a smaller one")
    kind = file.kind.partition(";")[0].strip().lower()
    if kind not in EXTENSIONS:
        kind = mimetypes.guess_type(file.name)[0] or kind
    if kind not in EXTENSIONS:
        raise invalid(f"File content type is invalid: {kind[:80]!r}; send one of {', '.join(EXTENSIONS)}")
    return kind


def entity_kind(kind: str) -> str:
    """Return the type Mastodon gives an attachment; it turns every GIF into a silent video."""
    return "gifv" if kind == "image/gif" else kind.partition("/")[0]


def keep(folder: Path, file: Upload, extension: str) -> Described:
    """Write the file down and look at its header; runs in a thread."""
    folder.mkdir(parents=True)
    (folder / f"original.{extension}").write_bytes(file.content)
    described = _look(file.content, animation=extension == "gif")
    if described.preview is not None:
        (folder / "small.png").write_bytes(described.preview)
    return described


def _look(content: bytes, *, animation: bool) -> Described:
    # Damaged files make Pillow raise SyntaxError, ValueError, struct.error and more besides OSError,
    # and a file nobody can read is still welcome here: no size and no preview, then.
    try:
        with Image.open(BytesIO(content), formats=("JPEG", "PNG", "GIF", "WEBP")) as photo:
            width, height = photo.size
            preview = _first_frame(photo) if animation and width * height <= 4_000_000 else None
    except Exception:
        return Described({}, None)
    size = {"width": width, "height": height, "size": f"{width}x{height}", "aspect": width / height}
    return Described({"original": size, "small": size}, preview)


def _first_frame(photo: Image.Image) -> bytes:
    out = BytesIO()
    photo.convert("RGB").save(out, "PNG")
    return out.getvalue()


def _file_name(row: sqlite3.Row) -> str:
    return f"original.{row['extension']}"


def _own(call: Call, number: int) -> sqlite3.Row:
    row = call.sandbox.store.db.execute(
        "SELECT * FROM media WHERE id = ? AND owner = ?", (number, call.asker["id"])
    ).fetchone()
    if row is None:
        raise not_found()
    return row  # type: ignore[no-any-return]


def _answer(call: Call, number: int, *, still_processing: int) -> Response:
    row = _own(call, number)
    ready = row["ready_at"] <= time.time()
    return JSONResponse(media_json(row, call.base), 200 if ready else still_processing)


def media_json(row: sqlite3.Row, base: str) -> dict[str, Any]:
    """Return Mastodon's MediaAttachment entity; an animation stays the GIF it was, nothing is transcoded."""
    url = f"{base}/media/{row['folder']}/{_file_name(row)}" if row["ready_at"] <= time.time() else None
    preview = url if row["kind"] == "image" else None
    if url and row["preview"]:
        preview = f"{base}/media/{row['folder']}/small.png"
    return {
        "id": str(row["id"]),
        "type": row["kind"],
        "url": url,
        "preview_url": preview,
        "remote_url": None,
        "preview_remote_url": None,
        "text_url": None,
        "meta": json.loads(row["meta"]),
        "description": row["description"],
        "blurhash": None,
    }


def of_status(sandbox: Sandbox, status: int) -> list[sqlite3.Row]:
    """Return a status's attachments in the order its author gave them."""
    return sandbox.store.db.execute(
        "SELECT * FROM media WHERE status = ? ORDER BY place", (status,)
    ).fetchall()
