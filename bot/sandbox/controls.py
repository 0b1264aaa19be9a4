"""The admin calls: faults on and off, and who listens."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from bot.sandbox.accounts import BOT
from bot.sandbox.call import Call
from bot.sandbox.errors import ApiError, invalid
from bot.sandbox.faults import Faults, parse


def _check_bot(call: Call) -> None:
    if call.asker["username"] != BOT:
        raise ApiError(403, "only the bot's own token may switch faults; use the one in DATA/bot.token")


async def put(call: Call) -> Response:
    """PUT /sandbox/faults {"faults": [...]}: these, and no others, from now on."""
    _check_bot(call)
    wanted = call.body.get("faults") if isinstance(call.body, dict) else None
    if not isinstance(wanted, list):
        raise invalid('the body has no list "faults"; send JSON like {"faults": []}')
    faults = call.sandbox.faults
    faults.active = [parse(one, faults.endpoints) for one in wanted]
    call.sandbox.hub.interrupt(faults)
    return _listing(faults)


async def show(call: Call) -> Response:
    """GET /sandbox/faults: what is on, and how often each struck."""
    _check_bot(call)
    return _listing(call.sandbox.faults)


async def clear(call: Call) -> Response:
    """DELETE /sandbox/faults: a healthy network again."""
    _check_bot(call)
    call.sandbox.faults.active = []
    return _listing(call.sandbox.faults)


async def streams(call: Call) -> Response:
    """GET /sandbox/streams: how many of the bot's own are open."""
    _check_bot(call)
    listeners = call.sandbox.hub.listeners
    return JSONResponse({"open": sum(listener.person == call.asker["id"] for listener in listeners)})


def _listing(faults: Faults) -> Response:
    return JSONResponse({"faults": [fault.as_json() for fault in faults.active]})
