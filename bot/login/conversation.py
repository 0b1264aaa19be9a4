"""The talk with the operator: questions and advice for a person, settings for an .env file."""

from __future__ import annotations

import getpass
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TextIO
from urllib.parse import urlsplit

from bot.login import LoginFailed

YES = {"y", "yes"}
NO = {"n", "no"}


@dataclass(frozen=True)
class Conversation:
    """Who answers, and where words and settings go: apart, so that `>> .env` catches the settings only."""

    answers: TextIO
    words: TextIO
    settings: TextIO
    keep: Callable[[str, str], None] | None = None
    """Keeps a setting, name and value, in place of telling it."""

    def say(self, text: str) -> None:
        """Tell the operator something."""
        print(text, file=self.words, flush=True)

    def give(self, **settings: str) -> None:
        """Hand over settings, a line each, as a shell and an .env file read them; or have them kept."""
        for name, value in settings.items():
            if self.keep:
                self.keep(name, value)
                continue
            print(f"{name}={shlex.quote(value)}", file=self.settings, flush=True)

    def ask(self, question: str) -> str:
        """Ask for something that is needed.

        Raises:
            LoginFailed: The input has ended.
        """
        while True:
            answer = self._read(f"{question}: ")
            if answer is None:
                raise _ended(question)
            if answer:
                return answer

    def ask_secret(self, question: str) -> str:
        """Ask for something that nobody may see; a terminal does not show it.

        Raises:
            LoginFailed: The input has ended.
        """
        if not self.answers.isatty():
            return self.ask(question)
        try:
            while not (answer := getpass.getpass(f"{question} (not shown): ", self.words).strip()):
                pass
        except EOFError:
            raise _ended(question) from None
        return answer

    def ask_if_wanted(self, question: str) -> str:
        """Ask for something that may be left out; empty if it is."""
        return self._read(f"{question}: ") or ""

    def agrees(self, question: str, *, otherwise: bool) -> bool:
        """Ask for a yes or no; `otherwise` is what no answer means."""
        answer = (self._read(f"{question} [{'Y/n' if otherwise else 'y/N'}]: ") or "").lower()
        return answer in YES or (otherwise and answer not in NO)

    def ask_server(self, question: str, given: str | None) -> str:
        """The address of a server, as calls need it: `example.social` will do.

        Raises:
            LoginFailed: It is none, or one to which secrets would travel readable by all in between.
        """
        text = given or self.ask(question)
        place = urlsplit(text if "://" in text else f"https://{text}")
        if place.scheme not in {"http", "https"} or not place.hostname or "@" in place.netloc:
            raise LoginFailed(f"{text!r} is no address of a server; give one such as https://example.social")
        if place.scheme == "http" and not _is_here(place.hostname):
            raise LoginFailed(f"{text!r} is not encrypted, so anybody could read the token; use https://")
        return f"{place.scheme}://{place.netloc}"

    def _read(self, prompt: str) -> str | None:
        """A line without what surrounds it; None at the end of the input."""
        print(prompt, end="", file=self.words, flush=True)
        line = self.answers.readline()
        if not self.answers.isatty():
            print(file=self.words)
        return line.strip() if line else None


def _ended(question: str) -> LoginFailed:
    return LoginFailed(f"the input ended before an answer to: {question}; start again")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
