"""What the processes of a bot under test say."""

from __future__ import annotations

from bot.processes import Event


class Log:
    """What the bot's processes have logged."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Event]] = []

    def __call__(self, process: str, event: Event) -> None:
        self.events.append((process, event))

    def named(self, name: str) -> list[Event]:
        return [event for _, event in self.events if event["event"] == name]
