from __future__ import annotations

from pathlib import Path

import pytest

from bot.blocklist import Blocklist
from bot.settings import SettingsError

LIST = """
# people
@Ann@example.social
bob          # of this server

Spam.example
"""
NAMES = {"ann@example.social", "bob", "spam.example"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "blocklist"
    file.write_text(LIST)
    return file


def test_a_list_holds_a_name_a_line_with_comments_and_blank_lines(file: Path) -> None:
    assert Blocklist(file).names() == NAMES


def test_without_a_file_nobody_is_listed() -> None:
    assert Blocklist(None).names() == frozenset()


def test_a_list_that_changes_is_read_again(file: Path) -> None:
    blocklist = Blocklist(file)
    file.write_text(f"{LIST}eve\n")

    assert blocklist.names() == NAMES | {"eve"}


def test_a_list_that_goes_away_is_remembered(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocklist = Blocklist(file)
    file.unlink()

    assert blocklist.names() == NAMES
    assert "blocklist not read again" in caplog.text


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff"])
def test_a_list_that_cannot_be_read_at_the_start_is_complained_of(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "blocklist"
    if content:
        file.write_bytes(content)

    with pytest.raises(SettingsError, match=f"BOT_BLOCKLIST names {file}, which cannot be read as text"):
        Blocklist(file)
