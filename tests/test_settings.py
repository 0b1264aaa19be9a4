from __future__ import annotations

from pathlib import Path

import pytest

from bot.settings import ListenerSettings, NetworkSettings, Settings, SettingsError, load

NETWORK = {"MASTODON_URL": "https://example.social", "MASTODON_TOKEN": "s3cret"}


def test_settings_come_from_the_environment() -> None:
    settings = load(ListenerSettings, NETWORK | {"BOT_POLL_SECONDS": "5"})

    assert settings.poll_seconds == 5
    assert str(settings.mastodon_url) == "https://example.social/"


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret\n")

    settings = load(NetworkSettings, {"MASTODON_URL": "https://x", "MASTODON_TOKEN_FILE": str(file)})

    assert settings.mastodon_token.get_secret_value() == "s3cret"


def test_a_secret_never_shows_in_a_representation() -> None:
    assert "s3cret" not in repr(load(NetworkSettings, NETWORK))


def test_the_secrets_of_a_process_are_its_tokens_and_the_passwords_in_its_addresses() -> None:
    settings = load(NetworkSettings, NETWORK | {"REDIS_URL": "rediss://user:p%40ss:wo/rd@host:6379/0"})

    assert settings.secrets == {"s3cret", "p%40ss:wo/rd", "p@ss:wo/rd"}
    assert load(Settings, {}).secrets == set()


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(Settings, {"REDIS_URL": ""}).redis_url.get_secret_value() == "redis://localhost:6379/0"


def test_a_missing_token_is_asked_for_by_name_and_place() -> None:
    with pytest.raises(
        SettingsError, match="MASTODON_TOKEN is not set; set it, or MASTODON_TOKEN_FILE"
    ) as error:
        load(NetworkSettings, {"MASTODON_URL": "https://x"})

    assert "Preferences → Development" in str(error.value)


def test_a_wrong_value_is_shown_with_its_limit() -> None:
    with pytest.raises(SettingsError, match=r"BOT_POLL_SECONDS is '-1', which is wrong: .* greater than 0"):
        load(ListenerSettings, NETWORK | {"BOT_POLL_SECONDS": "-1"})


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "missing"

    with pytest.raises(SettingsError, match=f"_FILE names {file}, which cannot be read as text"):
        load(NetworkSettings, {"MASTODON_URL": "https://x", "MASTODON_TOKEN_FILE": str(file)})
