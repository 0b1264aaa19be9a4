"""A fake X, as a process: `python -m tests.fake_x --port 8020 --data DIR --token TOKEN`.

TOKEN stands for all five secrets of the bot (@deepselfie): consumer key and secret, access token and secret,
and the app's bearer token. Signatures are verified. What was answered survives `kill -9`.

As on the sandbox network, POST /sandbox/people {"username": …} lets somebody join, who then posts with their
access_token; PUT, GET and DELETE /sandbox/faults switch faults. POST /sandbox/posts is POST /2/tweets with
`retweets`, `edits`, `lang` and `sensitive` besides; GET /sandbox/connects tells when the stream was opened.
"""

from __future__ import annotations

import argparse
import json
import sys
from http.server import ThreadingHTTPServer
from pathlib import Path

from tests.fake_x_calls import Calls
from tests.fake_x_http import World


class Server(ThreadingHTTPServer):
    """Threads that never keep the process from ending, and room for many that call at once."""

    daemon_threads = True
    request_queue_size = 256


def serve(port: int, data: Path, token: str, keep_alive: float) -> None:
    """Run until killed. Once it listens, its address is in DATA/url."""
    world = World(data, token, keep_alive)
    server = Server(("127.0.0.1", port), type("Bound", (Calls,), {"world": world}))
    world.url = f"http://127.0.0.1:{server.server_port}"
    draft = data / "url.part"
    draft.write_text(world.url)
    draft.replace(data / "url")
    # As every process of ours says it (bot.processes).
    sys.stdout.write(json.dumps({"event": "listening", "url": world.url}) + "\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.fake_x", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--keep-alive", type=float, default=20, help="seconds between signs of life")
    options = parser.parse_args()
    serve(options.port, options.data, options.token, options.keep_alive)
