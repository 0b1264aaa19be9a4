from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis

from bot.etiquette import Rules
from bot.networks import connect
from bot.networks.accounts import Account, MastodonAccount, account_on, accounts
from bot.networks.base import NetworkError
from bot.settings import BotSettings, ListenerSettings, Settings, SettingsError, load

NETWORK = {"MASTODON_URL": "https://example.social", "MASTODON_TOKEN": "s3cret"}


def test_settings_come_from_the_environment() -> None:
    assert load(ListenerSettings, {"BOT_POLL_SECONDS": "5"}).poll_seconds == 5
    assert str(load(MastodonAccount, NETWORK).url) == "https://example.social/"


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret\n")

    account = load(MastodonAccount, {"MASTODON_URL": "https://x", "MASTODON_TOKEN_FILE": str(file)})

    assert account.token.get_secret_value() == "s3cret"


def test_a_line_break_behind_a_secret_is_none_of_it() -> None:
    account = load(MastodonAccount, NETWORK | {"MASTODON_TOKEN": "s3cret\n"})

    assert account.token.get_secret_value() == "s3cret"


def test_a_secret_never_shows_in_a_representation() -> None:
    assert "s3cret" not in repr(load(MastodonAccount, NETWORK))


def test_the_secrets_of_a_process_are_its_tokens_and_the_passwords_in_its_addresses() -> None:
    settings = load(BotSettings, {"REDIS_URL": "rediss://user:p%40ss:wo/rd@host:6379/0"})

    assert settings.secrets == {"p%40ss:wo/rd", "p@ss:wo/rd"}
    assert load(MastodonAccount, NETWORK).secrets == {"s3cret"}
    assert load(Settings, {}).secrets == set()


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(Settings, {"REDIS_URL": ""}).redis_url.get_secret_value() == "redis://localhost:6379/0"


def test_a_missing_token_is_asked_for_by_name_and_place() -> None:
    with pytest.raises(
        SettingsError, match="MASTODON_TOKEN is not set; set it, or MASTODON_TOKEN_FILE"
    ) as error:
        load(MastodonAccount, {"MASTODON_URL": "https://x"})

    assert "Preferences → Development" in str(error.value)


def test_a_wrong_value_is_shown_with_its_limit() -> None:
    with pytest.raises(SettingsError, match=r"BOT_POLL_SECONDS is '-1', which is wrong: .* greater than 0"):
        load(ListenerSettings, NETWORK | {"BOT_POLL_SECONDS": "-1"})


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "missing"

    with pytest.raises(SettingsError, match=f"_FILE names {file}, which cannot be read as text"):
        load(MastodonAccount, {"MASTODON_URL": "https://x", "MASTODON_TOKEN_FILE": str(file)})


def test_every_rule_is_the_operators(tmp_path: Path) -> None:
    numbers = {
        "BOT_USER_PER_MINUTE": "1",
        "BOT_USER_PER_DAY": "2",
        "BOT_NEWCOMER_DAYS": "3",
        "BOT_NEWCOMER_PER_MINUTE": "4",
        "BOT_NEWCOMER_PER_DAY": "6",
        "BOT_PER_HOUR": "7",
        "BOT_PER_THREAD": "8",
        "BOT_CATCH_UP_MINUTES": "9",
    }
    words = {"BOT_PHOTOS_OF": "anyone", "BOT_SENSITIVE": "judge", "BOT_WHEN_LATE": "silence"}

    settings = load(ListenerSettings, NETWORK | numbers | words | {"BOT_BLOCKLIST": str(tmp_path)})

    assert settings.rules == Rules(
        per_minute=1,
        per_day=2,
        newcomer=timedelta(days=3),
        newcomer_per_minute=4,
        newcomer_per_day=6,
        per_hour=7,
        per_thread=8,
        catch_up=timedelta(minutes=9),
        photos_of="anyone",
        sensitive="judge",
        when_late="silence",
    )
    assert settings.blocklist == tmp_path


def test_without_settings_the_rules_are_the_default_ones() -> None:
    assert load(ListenerSettings, NETWORK).rules == Rules()


def test_the_bot_is_where_the_environment_gives_it_an_account() -> None:
    assert [account.network for account in accounts(NETWORK)] == ["mastodon"]
    assert account_on("mastodon", NETWORK) == load(MastodonAccount, NETWORK)


def test_a_network_whose_package_is_missing_says_what_to_install(redis: Redis) -> None:
    class Elsewhere(Account):
        network = "elsewhere"
        adapter = "no_such_package:connect"

    with pytest.raises(
        NetworkError, match=r"needs no_such_package: run pip install 'deepselfie\[elsewhere\]'"
    ):
        connect(Elsewhere(), redis)


def test_without_any_account_the_bot_says_what_to_set() -> None:
    with pytest.raises(SettingsError, match="no account; set MASTODON_URL and MASTODON_TOKEN") as error:
        accounts({})

    assert "or run deepselfie login mastodon" in str(error.value)


def test_an_account_that_is_told_of_in_part_is_an_error_that_names_the_rest() -> None:
    with pytest.raises(SettingsError, match="MASTODON_TOKEN is not set"):
        accounts({"MASTODON_URL": "https://example.social"})


def test_mentions_of_a_network_that_the_bot_has_left_are_an_error_that_names_it() -> None:
    with pytest.raises(SettingsError, match="no account on x"):
        account_on("x", NETWORK)


X = dict.fromkeys(
    ("X_CONSUMER_KEY", "X_CONSUMER_SECRET", "X_ACCESS_TOKEN", "X_ACCESS_TOKEN_SECRET", "X_BEARER_TOKEN"),
    "s3cret",
)


def test_the_bot_may_be_on_x_too() -> None:
    assert [account.network for account in accounts(NETWORK | X)] == ["mastodon", "x"]
    assert account_on("x", X).secrets == {"s3cret"}


def test_a_budget_below_nothing_is_an_error() -> None:
    with pytest.raises(SettingsError, match="X_DAILY_BUDGET is '-1', which is wrong"):
        accounts(X | {"X_DAILY_BUDGET": "-1"})
