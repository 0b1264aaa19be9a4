"""`deepselfie probe`: asks the process of this container or machine how it is. Imports next to nothing."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
from collections.abc import Sequence

SECONDS = 4
# What a process listens on, and where that is reached from here.
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def probe(arguments: Sequence[str]) -> int:
    """Say in one sentence how the process is; exit status 0 if it is well."""
    parser = argparse.ArgumentParser(
        prog="deepselfie probe",
        description="Ask the listener, worker or responder that runs here whether it is healthy: whether its "
        "main loop turns. It needs the METRICS_PORT, and METRICS_HOST, of that process.",
    )
    parser.add_argument("--ready", action="store_true", help="ask whether it can do its work")
    path, well = ("/readyz", "ready") if parser.parse_args(arguments).ready else ("/healthz", "healthy")
    port = _setting("METRICS_PORT") or "0"
    if port == "0" or not (port.isascii() and port.isdigit() and int(port) <= 65535):
        return _say(f"METRICS_PORT is {port!r}; set it to the port of the process that is to be asked")
    host = _setting("METRICS_HOST") or "127.0.0.1"
    host = EVERYWHERE.get(host, host)
    try:
        status, body = _ask(host, int(port), path)
    except (OSError, http.client.HTTPException) as error:
        return _say(
            f"nothing answers at {host}:{port} ({error}); the process starts, stands still or is gone"
        )
    if status == http.HTTPStatus.OK:
        print(well)
        return 0
    return _say(f"not {well}: {_why(body)}")


def _ask(host: str, port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def _why(body: bytes) -> str:
    try:
        checks = json.loads(body)["checks"]
        failed = {name: check["value"] for name, check in checks.items() if not check["ok"]}
        return ", ".join(f"{name} {json.dumps(value)}" for name, value in failed.items())
    except (ValueError, LookupError, TypeError, AttributeError):
        return "what answers there is no process of deepselfie"


def _setting(name: str) -> str | None:
    if value := os.environ.get(name, "").strip():
        return value
    if f"{name}_FILE" not in os.environ:
        return None
    from bot.settings import SettingsError, read

    try:
        return read(name, os.environ)
    except SettingsError as error:
        raise SystemExit(f"deepselfie: {error}") from None


def _say(words: str) -> int:
    print(f"deepselfie: {words}", file=sys.stderr)
    return 1
