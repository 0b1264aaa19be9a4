"""Everybody who listens to a stream, and what waits to be sent to each."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

from bot.sandbox.faults import Fault, Faults
from bot.sandbox.ids import Scheme, dress, dressed

BACKLOG = 10_000  # events that may wait for a listener that reads too slowly, before it is dropped


@dataclass(eq=False)
class Listener:
    """One open WebSocket; `end` is set when it has to go at once, to the fault that wants it if one does."""

    person: int
    base: str
    end: asyncio.Future[Fault | None]
    streams: set[str] = field(default_factory=set)
    queue: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(BACKLOG))

    def finish(self, fault: Fault | None) -> None:
        """End the connection now."""
        if not self.end.done():
            self.end.set_result(fault)


class Hub:
    """Everybody who listens."""

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        self.listeners: set[Listener] = set()

    def tell(self, listener: Listener, stream: str, event: str, payload: str) -> None:
        """Send an event to one listener, if it wants that stream; never waits."""
        if stream not in listener.streams:
            return
        if self.scheme != "number":
            payload = self._dressed(payload)
        message = json.dumps({"stream": [stream], "event": event, "payload": payload})
        try:
            listener.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.listeners.discard(listener)
            listener.finish(None)

    def _dressed(self, payload: str) -> str:
        if payload.isdigit():
            return dress(payload, self.scheme)
        return json.dumps(dressed(json.loads(payload), self.scheme))

    def interrupt(self, faults: Faults) -> None:
        """Let faults that strike at once end the connections that are open."""
        for listener in list(self.listeners):
            fault = faults.draw_now()
            if fault:
                listener.finish(fault)
