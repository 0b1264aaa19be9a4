"""Who is answered, how often, and about which photos. Pure; what has to be counted, the ledger counts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Literal, Self

from bot.locale import locales
from bot.messages import Command, Mention, Notice, Photo, Verdict
from bot.record import Admission, Limit

MINUTE_SECONDS = 60
HOUR_SECONDS = 3600
DAY_SECONDS = 24 * HOUR_SECONDS
# A thread that has rested for so long may go on.
THREAD_SECONDS = 30 * DAY_SECONDS

UNLIMITED = 1_000_000

TOO_OLD = "too old"

# What a profile says whose owner wants no bot to answer.
NO_BOT = re.compile(r"#nobots?\b", re.IGNORECASE)
# ASCII, as names are on all networks: a word in Chinese or Japanese may follow without a space.
HANDLE = re.compile(r"@[A-Za-z0-9_.-]+(@[\w.-]+)?")
NO_WORD = re.compile(r"[\W_]+")
CARRIED_OUT: Mapping[Command, Notice] = {
    "stop": "stopped",
    "start": "started",
    "delete": "deleted",
    "help": "help",
}


@dataclass(frozen=True)
class Rules:
    """What the operator decides about manners."""

    per_minute: int = 5
    """Mentions of one author that are answered; so too below."""
    per_day: int = 30
    newcomer: timedelta = timedelta(days=7)
    """Accounts younger than this are newcomers, where the network tells."""
    newcomer_per_minute: int = 2
    newcomer_per_day: int = 10
    per_thread: int = 2
    per_hour: int = 90
    """For all authors together."""
    catch_up: timedelta = timedelta(hours=1)
    """Mentions older than this when they are heard are not answered."""
    photos_of: Literal["author", "anyone"] = "author"
    sensitive: Literal["decline", "judge"] = "decline"
    when_late: Literal["apologise", "silence"] = "apologise"

    def without_limits(self) -> Self:
        """For the sandbox network, where everybody is new, and who tries the bot posts a lot."""
        return replace(
            self,
            per_minute=UNLIMITED,
            per_day=UNLIMITED,
            newcomer_per_minute=UNLIMITED,
            newcomer_per_day=UNLIMITED,
            per_thread=UNLIMITED,
            per_hour=UNLIMITED,
        )


@dataclass(frozen=True)
class Moment:
    """What is so just now."""

    now: datetime
    is_late: bool = False
    """Photos wait for longer than the promise allows."""
    blocked: frozenset[str] = frozenset()
    """Handles and domains that are not answered, in lower case, without a leading @."""


def admit(mention: Mention, rules: Rules, moment: Moment) -> Admission:
    """Decide what a mention gets, as far as that can be told without counting."""
    if reason := _whom_to_ignore(mention, moment.blocked):
        return Admission(mention, skip=reason)
    if mention.command == "delete":
        # Never too often and never too late to ask for.
        return Admission(mention, verdict=Verdict(notice="deleted"))
    if reason := _what_to_ignore(mention, rules, moment.now):
        return Admission(mention, skip=reason)
    photos = tuple(photo for photo in mention.photos if photo.is_own or rules.photos_of == "anyone")
    notice = _notice(mention, photos, rules, moment)
    if notice == "busy" and rules.when_late == "silence":
        return Admission(mention, skip="too many photos wait")
    verdict = Verdict(notice=notice) if notice else None
    admitted = mention.model_copy(update={"photos": photos})
    return Admission(admitted, verdict=verdict, limits=_limits(mention, rules, moment.now))


def command_in(text: str) -> Command | None:
    """The command that a mention's text is; None if it says anything besides, as in "how do I start?"."""
    words = _plain(HANDLE.sub(" ", text))
    for locale in locales().values():
        for please in map(_plain, locale.please):
            words = words.removeprefix(f"{please} ").removesuffix(f" {please}")
    return _commands().get(words)


@cache
def _commands() -> Mapping[str, Command]:
    """Every way of saying a command, in any language."""
    return {
        _plain(words): command
        for locale in locales().values()
        for command, ways in locale.commands.items()
        for words in ways
    }


def _plain(text: str) -> str:
    """A text's words in lower case, without what stands between them and what is not to be seen in them."""
    seen = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return NO_WORD.sub(" ", unicodedata.normalize("NFKC", seen).casefold()).strip()


def _whom_to_ignore(mention: Mention, blocked: frozenset[str]) -> str:
    """Why an author is not heard at all; empty if they are."""
    if mention.author_is_bot:
        return "author is a bot"
    # The handle, its domain, and each domain above that.
    author = mention.author.lower()
    labels = author.partition("@")[2].split(".")
    names = {author, *(".".join(labels[place:]) for place in range(len(labels)))}
    return "author is on the blocklist" if names & blocked else ""


def _what_to_ignore(mention: Mention, rules: Rules, now: datetime) -> str:
    """Why a mention is not answered; empty if it is."""
    if mention.author_opts_out:
        return "author's profile says #nobot"
    if now - mention.created_at > rules.catch_up:
        return TOO_OLD
    return "small talk" if mention.answers_bot and not mention.photos and not mention.command else ""


def _notice(mention: Mention, photos: Collection[Photo], rules: Rules, moment: Moment) -> Notice | None:
    """What a mention is told at once; None if there are photos to judge."""
    if mention.command:
        return CARRIED_OUT[mention.command]
    if not photos:
        return "not_yours" if mention.photos else "help"
    if mention.sensitive and rules.sensitive == "decline":
        return "sensitive"
    return "busy" if moment.is_late else None


def _limits(mention: Mention, rules: Rules, now: datetime) -> tuple[Limit, ...]:
    is_newcomer = mention.author_since is not None and now - mention.author_since < rules.newcomer
    per_minute = rules.newcomer_per_minute if is_newcomer else rules.per_minute
    per_day = rules.newcomer_per_day if is_newcomer else rules.per_day
    # Whoever says stop is not told to ask again in a while.
    enough = None if mention.command else Verdict(notice="slow_down")
    return (
        Limit("thread", rules.per_thread, THREAD_SECONDS),
        Limit("all", rules.per_hour, HOUR_SECONDS),
        Limit("author", per_day, DAY_SECONDS, enough),
        Limit("author", per_minute, MINUTE_SECONDS, enough),
    )
