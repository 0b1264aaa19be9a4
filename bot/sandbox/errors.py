"""What the sandbox refuses, and how it says so.

Exception
└── ApiError          an answer the client gets: status, {"error": ...}
OSError
├── PortUnavailable   the sandbox could not start listening
└── DataInUse         another sandbox runs on the same data
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

from starlette.responses import JSONResponse


class ApiError(Exception):
    """A refusal, worded for the client that asked."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """Return the refusal as Mastodon shapes it: a status and {"error": message}."""
        return JSONResponse({"error": str(self)}, self.status, self.headers)


class PortUnavailable(OSError):
    """The sandbox cannot listen where it was told to; `errno` says why, as in any OSError."""

    def __init__(self, host: str, port: int, cause: OSError) -> None:
        wrong = (
            "is already in use" if cause.errno == errno.EADDRINUSE else f"cannot be opened: {cause.strerror}"
        )
        super().__init__(
            f"port {port} on {host} {wrong}; if a sandbox runs there already, use it, "
            "else choose another port with --port (0 picks a free one)"
        )
        self.errno = cause.errno


class DataInUse(OSError):
    """Another sandbox runs on the same data; both would give out the same ids."""

    def __init__(self, data: Path, process: str) -> None:
        which = f" (process {process})" if process else ""  # empty while the other one is just starting
        super().__init__(
            f"another sandbox{which} already runs on {data}; stop it, or choose another directory with --data"
        )


def not_found() -> ApiError:
    """Return Mastodon's answer for what is absent and for what this person may not see."""
    return ApiError(404, "Record not found")


def invalid(reason: str) -> ApiError:
    """Return Mastodon's answer to a value that breaks a rule; `reason` names value, limit and way out."""
    return ApiError(422, f"Validation failed: {reason}")


def bad_token() -> ApiError:
    """Return Mastodon's answer to a missing or unknown bearer token."""
    challenge = 'Bearer realm="Doorkeeper", error="invalid_token"'
    return ApiError(401, "The access token is invalid", {"WWW-Authenticate": challenge})
