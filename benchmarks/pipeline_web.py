"""A web server for some photos that costs as little as one can: it shares the machine with what is measured.

    python -m benchmarks.pipeline_web DIRECTORY

It logs `{"event": "ready", "port": PORT}` and serves each file of the directory under its name.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path


class Answers(asyncio.Protocol):
    """One connection, kept for as many requests as the other side likes."""

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self._answers = answers
        self._asked = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._asked += data
        while b"\r\n\r\n" in self._asked:
            request, _, self._asked = self._asked.partition(b"\r\n\r\n")
            path = request.split(b" ", 2)[1]
            self._transport.write(
                self._answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            )


async def serve(directory: Path) -> None:
    answers = {f"/{file.name}".encode(): answer(file.read_bytes()) for file in directory.iterdir()}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answers(answers), "127.0.0.1", 0)
    print(json.dumps({"event": "ready", "port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


def answer(photo: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(photo) + photo


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
