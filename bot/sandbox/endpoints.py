"""Every address of the sandbox in one table, and what happens around each handler."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from bot.sandbox import (
    accounts,
    controls,
    faults,
    instance,
    media,
    notifications,
    oauth,
    policy,
    posting,
    profile,
    statuses,
    stream,
    timelines,
)
from bot.sandbox.call import Call, Sandbox, person_of, read_call, token_of
from bot.sandbox.errors import ApiError
from bot.sandbox.ids import Scheme, dressed
from bot.sandbox.wire import cut

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    """One address: its name as faults spell it, its handler, and whether calls count against the limit."""

    name: str
    handler: Callable[[Call], Awaitable[Response]]
    counted: bool = True


async def healthy(_: Call) -> Response:
    """GET /api/v1/streaming/health."""
    return PlainTextResponse("OK")


ENDPOINTS = (
    Endpoint("GET /api/v1/accounts/verify_credentials", accounts.verify_credentials),
    Endpoint("PATCH /api/v1/accounts/update_credentials", profile.update),
    Endpoint("GET /api/v1/accounts/lookup", accounts.lookup),
    Endpoint("GET /api/v1/accounts/:id", accounts.show),
    Endpoint("GET /api/v1/accounts/:id/statuses", timelines.of_account),
    Endpoint("GET /api/v1/instance", instance.show_v1),
    Endpoint("GET /api/v2/instance", instance.show_v2),
    Endpoint("POST /api/v2/media", media.upload),
    Endpoint("GET /api/v1/media/:id", media.show),
    Endpoint("PUT /api/v1/media/:id", media.describe),
    Endpoint("POST /api/v1/statuses", posting.create),
    Endpoint("GET /api/v1/statuses/:id", statuses.show),
    Endpoint("DELETE /api/v1/statuses/:id", posting.delete),
    Endpoint("GET /api/v1/statuses/:id/context", statuses.context),
    Endpoint("GET /api/v1/timelines/public", timelines.public),
    Endpoint("GET /api/v1/timelines/home", timelines.home),
    Endpoint("GET /api/v1/notifications", notifications.listing),
    Endpoint("GET /api/v1/notifications/requests", policy.requests),
    Endpoint("POST /api/v1/notifications/requests/accept", policy.accept),
    Endpoint("GET /api/v2/notifications/policy", policy.show),
    Endpoint("PATCH /api/v2/notifications/policy", policy.change),
    Endpoint("GET /api/v1/notifications/:id", notifications.show),
    Endpoint("GET /api/v1/streaming/health", healthy, counted=False),
    Endpoint("POST /api/v1/apps", oauth.register),
    Endpoint("GET /oauth/authorize", oauth.ask),
    Endpoint("POST /oauth/authorize", oauth.allow),
    Endpoint("POST /oauth/token", oauth.exchange),
    Endpoint("POST /sandbox/people", accounts.join),
    Endpoint("GET /media/:folder/:file", media.download, counted=False),
)
# These switch the faults, so no fault may lock them out.
CONTROLS = (
    Endpoint("GET /sandbox/faults", controls.show, counted=False),
    Endpoint("PUT /sandbox/faults", controls.put, counted=False),
    Endpoint("DELETE /sandbox/faults", controls.clear, counted=False),
    Endpoint("GET /sandbox/streams", controls.streams, counted=False),
)
FAULTY = frozenset({endpoint.name for endpoint in ENDPOINTS} | {faults.STREAM})


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return every address, wired to the sandbox."""
    wired: list[BaseRoute] = [WebSocketRoute("/api/v1/streaming", stream.handler(sandbox))]
    for endpoint in (*ENDPOINTS, *CONTROLS):
        method, _, path = endpoint.name.partition(" ")
        pattern = re.sub(r":(\w+)", r"{\1}", path)
        wired.append(Route(pattern, surrounded(sandbox, endpoint), methods=[method]))
    return wired


def surrounded(sandbox: Sandbox, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """Put around a handler what all have in common: who asks, how often, what goes wrong."""

    async def answer(request: Request) -> Response:
        headers: dict[str, str] = {}
        try:
            if endpoint.counted:
                headers = sandbox.limiter.count(caller(request))
            response = await _attempt(sandbox, endpoint, request)
        except ApiError as error:
            response = error.response()
        except ClientDisconnect:
            return Response(status_code=499)  # nobody is left to read it
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    return answer


def caller(request: Request) -> str:
    """Return whose calls are counted together: a token's, or those from one address."""
    return token_of(request) or (request.client.host if request.client else "")


async def _attempt(sandbox: Sandbox, endpoint: Endpoint, request: Request) -> Response:
    if sandbox.dialect.wants_agent and not request.headers.get("user-agent"):
        raise ApiError(418, "I'm a teapot, and you are nobody; send a User-Agent")
    token = token_of(request)
    person = person_of(sandbox.store, token)
    oauth.check_scope(sandbox.store, token, endpoint.name)
    call = await read_call(sandbox, request, person)
    if endpoint in CONTROLS:
        return await endpoint.handler(call)
    await sandbox.faults.before(endpoint.name)
    response = _dressed(await endpoint.handler(call), sandbox.dialect.ids)
    if sandbox.faults.active and response.status_code < 400:
        if sandbox.faults.draw(endpoint.name, "error_after_success"):
            raise faults.broken()
        if sandbox.faults.draw(endpoint.name, "dropped_answer"):
            await cut(request.scope)
    return response


def _dressed(response: Response, scheme: Scheme) -> Response:
    """The answer, with ids as the dialect writes them."""
    if scheme == "number" or not isinstance(response, JSONResponse):
        return response
    entity = dressed(json.loads(bytes(response.body)), scheme)
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return JSONResponse(entity, response.status_code, headers)
