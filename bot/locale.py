"""The bot's words in each language it speaks: one file a language, in locales/."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bot.messages import Command, Reason

FOLDER = Path(__file__).with_name("locales")
DEFAULT = "en"

# How a photo fares, in fifths from the best.
Band = Literal["excellent", "good", "fair", "weak", "poor"]
# Who is told that replies were deleted is told how many.
Spoken = Literal["help", "our_fault", "busy", "slow_down", "sensitive", "not_yours", "stopped", "started"]

# Ways of saying the same thing: a bot that repeats itself is dull, and X refuses the same text twice.
Variants = Annotated[tuple[str, ...], Field(min_length=8)]
# What a mention may say; the first is the one that is made known.
Words = Annotated[tuple[str, ...], Field(min_length=1)]


def _all_of(names: Collection[str]) -> AfterValidator:
    def check(texts: Mapping[str, object]) -> Mapping[str, object]:
        if missing := [name for name in names if name not in texts]:
            raise ValueError(f"has no words for {', '.join(missing)}; add them")
        return texts

    return AfterValidator(check)


class _Texts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Deleted(_Texts):
    """How many replies were deleted, in the plural forms that our languages have."""

    none: str
    one: str
    many: str


class Locale(_Texts):
    """All that the bot can say in one language; locales/en.toml tells what is what."""

    hello: Variants
    sorry: Variants
    done: Variants
    comparison: str
    accuracy: str
    preview: str
    declined_alone: str
    ranking: Variants
    no_ranking: str
    ranked: str
    ranked_preview: str
    declined_among: str
    verdicts: Annotated[dict[Band, Variants], _all_of(get_args(Band))]
    notices: Annotated[dict[Spoken, str], _all_of(get_args(Spoken))]
    deleted: Deleted
    declined: Annotated[dict[Reason, str], _all_of(get_args(Reason))]
    commands: Annotated[dict[Command, Words], _all_of(get_args(Command))]
    please: tuple[str, ...]


@cache
def locales() -> Mapping[str, Locale]:
    """Every language, by its BCP 47 tag."""
    return {file.stem: read(file) for file in sorted(FOLDER.glob("*.toml"))}


def read(file: Path) -> Locale:
    """One language.

    Raises:
        ValueError: The file is no TOML, or has a text too many or too few.
    """
    try:
        return Locale.model_validate(tomllib.loads(file.read_text("utf-8")))
    except ValueError as error:
        raise ValueError(f"{file} has to have what en.toml has: {error}") from error


def language_for(tag: str | None) -> str:
    """The language that somebody is answered in who wrote in this one: their own, if the bot speaks it."""
    language = (tag or DEFAULT).partition("-")[0].lower()
    return language if language in locales() else DEFAULT
