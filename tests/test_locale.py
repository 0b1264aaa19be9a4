"""What a language has to have."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from bot.etiquette import command_in
from bot.locale import FOLDER, Locale, locales, read
from bot.messages import Command

LANGUAGES = sorted(locales())


@pytest.fixture
def english() -> dict[str, Any]:
    return tomllib.loads((FOLDER / "en.toml").read_text("utf-8"))


@pytest.mark.parametrize("name", ["hello", "ranking", "accuracy", "verdicts", "please"])
def test_a_language_without_a_text_is_refused(english: dict[str, Any], name: str) -> None:
    del english[name]

    with pytest.raises(ValidationError, match=f"{name}\n  Field required"):
        Locale.model_validate(english)


@pytest.mark.parametrize(
    ("table", "name"),
    [("verdicts", "fair"), ("notices", "busy"), ("declined", "audio"), ("commands", "stop")],
)
def test_a_table_without_a_text_is_refused(english: dict[str, Any], table: str, name: str) -> None:
    del english[table][name]

    with pytest.raises(ValidationError, match=f"{table}\n.*has no words for {name}; add them"):
        Locale.model_validate(english)


@pytest.mark.parametrize("table", ["verdicts", "notices", "deleted", "declined", "commands"])
def test_a_text_that_nothing_says_is_refused(english: dict[str, Any], table: str) -> None:
    with pytest.raises(ValidationError, match="surplus"):
        Locale.model_validate(english | {"surplus": "never said"})
    with pytest.raises(ValidationError, match="surplus"):
        Locale.model_validate(english | {table: english[table] | {"surplus": "never said"}})


def test_seven_ways_of_saying_something_are_too_few(english: dict[str, Any]) -> None:
    english["verdicts"]["good"].pop()

    with pytest.raises(ValidationError, match=r"verdicts\.good\n.*at least 8 items"):
        Locale.model_validate(english)


@pytest.mark.parametrize("content", ["hello = [", 'hello = ["Hoi!"]'])
def test_a_file_that_is_no_language_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "nl.toml"
    file.write_text(content)

    with pytest.raises(ValueError, match=r"nl\.toml has to have what en\.toml has: "):
        read(file)


@pytest.mark.parametrize("command", get_args(Command))
@pytest.mark.parametrize("language", LANGUAGES)
def test_whatever_a_language_calls_a_command_is_understood(language: str, command: Command) -> None:
    for words in locales()[language].commands[command]:
        assert command_in(f"@deepselfie {words}!") == command, words
        for please in locales()[language].please:
            assert command_in(f"@deepselfie {words}, {please}") == command, words
            assert command_in(f"@deepselfie {please} {words}") == command, words


def test_no_word_is_two_commands() -> None:
    meant: dict[str, Command] = {}
    for locale in locales().values():
        for command, words in locale.commands.items():
            for word in words:
                assert meant.setdefault(word.casefold(), command) == command, word
