"""What people should find in a bot's profile: who runs it, what it is, what it does with their photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from bot.login.conversation import Conversation

QUESTIONS = {
    "Operator": "Who runs the bot (a name, handle or address)",
    "Source": "Where its source code is (a link)",
    "Privacy": "Where its privacy policy is (a link; PRIVACY.md is one to publish)",
}


@dataclass(frozen=True)
class About:
    """Some lines for a profile, each with its name."""

    lines: dict[str, str]

    @classmethod
    def asked(cls, conversation: Conversation) -> Self:
        """Ask the operator, who may leave out any of it."""
        conversation.say("For the bot's profile; press Enter to leave something out or as it is.")
        answers = {name: conversation.ask_if_wanted(question) for name, question in QUESTIONS.items()}
        return cls({name: answer for name, answer in answers.items() if answer})

    def __str__(self) -> str:
        return "; ".join(f"{name}: {value}" for name, value in self.lines.items())
