"""What the network says about itself: limits, formats, where its stream is."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from bot.sandbox.accounts import BOT, account_json, named
from bot.sandbox.call import UPLOAD_LIMIT, Call
from bot.sandbox.content import LINK_LENGTH
from bot.sandbox.errors import not_found
from bot.sandbox.media import EXTENSIONS

VERSION = "4.4.0+sandbox"
MAX_CHARACTERS = 500
MAX_MEDIA = 4
MAX_DESCRIPTION = 1500
ABOUT = "A small network on your own machine, for trying deepselfie."


def configuration(call: Call) -> dict[str, Any]:
    """Return the limits both versions of the instance entity carry."""
    return {
        "accounts": {"max_featured_tags": 10, "max_pinned_statuses": 5},
        "statuses": {
            "max_characters": MAX_CHARACTERS,
            "max_media_attachments": MAX_MEDIA,
            "characters_reserved_per_url": LINK_LENGTH,
        },
        "media_attachments": {
            "description_limit": MAX_DESCRIPTION,
            "supported_mime_types": list(EXTENSIONS),
            "image_size_limit": UPLOAD_LIMIT,
            "image_matrix_limit": 33_177_600,
            "video_size_limit": UPLOAD_LIMIT,
            "video_frame_rate_limit": 120,
            "video_matrix_limit": 8_294_400,
        },
        "polls": {
            "max_options": 4,
            "max_characters_per_option": 50,
            "min_expiration": 300,
            "max_expiration": 2_629_746,
        },
        "translation": {"enabled": False},
        "limited_federation": True,
        "urls": {"about": f"{call.base}/"} | ({"streaming": _streaming(call)} if _streaming(call) else {}),
        "vapid": {"public_key": ""},
    }


def _streaming(call: Call) -> str:
    """Where the stream is said to be; empty if there is none."""
    dialect = call.sandbox.dialect
    if not dialect.streams:
        return ""
    return (
        f"wss://{call.base.partition('://')[2]}"
        if dialect.claims_https
        else "ws" + call.base.removeprefix("http")
    )


async def show_v2(call: Call) -> Response:
    """GET /api/v2/instance."""
    store = call.sandbox.store
    if call.sandbox.dialect.instance != "v2":
        raise not_found()
    contact = account_json(store, named(store, BOT), call.base)
    return JSONResponse(
        {
            "domain": call.base.partition("://")[2],
            "title": "deepselfie sandbox",
            "version": VERSION,
            "source_url": "",
            "description": ABOUT,
            "usage": {"users": {"active_month": 0}},
            "thumbnail": {"url": f"{call.base}/page/icon.svg"},
            "icon": [],
            "languages": ["en"],
            "configuration": configuration(call),
            "registrations": {"enabled": False, "approval_required": False, "message": None, "url": None},
            "api_versions": {"mastodon": 5},
            "contact": {"email": "", "account": contact},
            "rules": [],
        }
    )


async def show_v1(call: Call) -> Response:
    """GET /api/v1/instance, which older clients ask first."""
    store = call.sandbox.store
    people, posts = store.db.execute(
        "SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM statuses)"
    ).fetchone()
    return JSONResponse(
        {
            "uri": call.base.partition("://")[2],
            "title": "deepselfie sandbox",
            "short_description": ABOUT,
            "description": ABOUT,
            "email": "",
            "version": VERSION,
            "urls": {"streaming_api": _streaming(call)},
            "stats": {"user_count": people, "status_count": posts, "domain_count": 1},
            "thumbnail": f"{call.base}/page/icon.svg",
            "languages": ["en"],
            "registrations": False,
            "approval_required": False,
            "invites_enabled": False,
            "configuration": configuration(call),
            "contact_account": account_json(store, named(store, BOT), call.base),
            "rules": [],
        }
    )
