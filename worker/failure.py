"""Why there is nothing to look at behind a link.

DownloadFailed      the one error of a download
"""

from __future__ import annotations

from typing import Literal

Fault = Literal[
    "bad_link",
    "not_found",
    "server_error",
    "unreachable",
    "forbidden_address",
    "too_slow",
    "too_many_bytes",
    "no_picture",
]


class DownloadFailed(Exception):
    """There is nothing to look at behind a link.

    Args:
        fault: The reason.
        value: What was measured, where that is the reason: the HTTP status.
        limit: What was exceeded: megabytes or seconds.
    """

    def __init__(self, fault: Fault, *, value: float | None = None, limit: float | None = None) -> None:
        super().__init__(fault, value, limit)
        self.fault: Fault = fault
        self.value = value
        self.limit = limit
