"""Settings that lie in files, passwords in addresses, and the account of a bot that has no other."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from redis import Redis

from bot import queues
from bot.etiquette import Rules
from bot.monitor import impatient, redis_check
from bot.networks import connect
from bot.networks.accounts import MastodonAccount, SandboxAccount, account_on, accounts
from bot.networks.base import NetworkError
from bot.processes import Processes
from bot.settings import ListenerSettings, Settings, SettingsError, load, read
from bot.valkey import start_valkey
from tests.operating import run
from tests.sandbox import Network
from tests.waiting import eventually
from worker.settings import WorkerSettings


@pytest.mark.parametrize("name", ["MASTODON_TOKEN", "mastodon_token"])
def test_a_file_called_like_a_setting_has_its_value(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("s3cret\n")

    assert read("MASTODON_TOKEN", {"SECRETS_DIR": str(tmp_path)}) == "s3cret"
    assert read("MASTODON_URL", {"SECRETS_DIR": str(tmp_path)}) is None


def test_a_variable_comes_before_its_file_and_that_before_the_folder(tmp_path: Path) -> None:
    (tmp_path / "mastodon_token").write_text("of the folder")
    (tmp_path / "other").write_text("of the file")
    folder = {"SECRETS_DIR": str(tmp_path)}
    file = folder | {"MASTODON_TOKEN_FILE": str(tmp_path / "other")}

    assert read("MASTODON_TOKEN", folder) == "of the folder"
    assert read("MASTODON_TOKEN", file) == "of the file"
    assert read("MASTODON_TOKEN", file | {"MASTODON_TOKEN": "of the variable"}) == "of the variable"


def test_a_folder_of_secrets_that_is_not_there_holds_none(tmp_path: Path) -> None:
    assert read("MASTODON_TOKEN", {"SECRETS_DIR": str(tmp_path / "missing")}) is None


def test_an_account_may_lie_in_files_altogether(tmp_path: Path) -> None:
    (tmp_path / "mastodon_url").write_text("https://example.social\n")
    (tmp_path / "mastodon_token").write_text("s3cret\n")

    (account,) = accounts({"SECRETS_DIR": str(tmp_path)})

    assert isinstance(account, MastodonAccount)
    assert account.token.get_secret_value() == "s3cret"


READ = """
import os, sys
from bot.settings import SettingsError, read
os.setgroups([]); os.setgid(10001); os.setuid(10001)
try:
    read("MASTODON_TOKEN", {"SECRETS_DIR": sys.argv[1]})
except SettingsError as error:
    print(error)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("closed", ["secrets", "secrets/mastodon_token"])
def test_a_secret_that_cannot_be_read_is_an_error_that_says_what_to_type(closed: str) -> None:
    # Pytest's own directories are closed to others.
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "secrets"
        folder.mkdir()
        (folder / "mastodon_token").write_text("s3cret")
        Path(place).chmod(0o755)
        (Path(place) / closed).chmod(0o700)

        done = subprocess.run(
            [sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, check=False
        )

    what = "-R 10001 secrets" if closed == "secrets" else "10001 secrets/mastodon_token"
    assert "may not be read by user 10001" in done.stdout, done.stderr
    assert done.stdout.endswith(f"type: sudo chown {what}\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (" \n", "is in secrets/mastodon_token, which is empty; write the value there"),
        ("s3cret\nmore\n", "is in secrets/mastodon_token, which holds several lines"),
        (None, "which is a folder; type: sudo rmdir secrets/mastodon_token"),
    ],
)
def test_a_secret_that_is_none_is_an_error_that_says_why(
    tmp_path: Path, content: str | None, words: str
) -> None:
    file = tmp_path / "secrets" / "mastodon_token"
    file.parent.mkdir()
    if content is None:
        file.mkdir()
    else:
        file.write_text(content)

    with pytest.raises(SettingsError) as error:
        read("MASTODON_TOKEN", {"SECRETS_DIR": str(file.parent)})

    assert words in str(error.value)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "full"),
    [
        ("redis://redis:6379/0", "redis://:p%40ss%2Fw@redis:6379/0"),
        ("redis://ann@redis:6379/0", "redis://ann:p%40ss%2Fw@redis:6379/0"),
        ("rediss://:other@redis/1", "rediss://:other@redis/1"),
        ("unix:///run/redis", "unix://:p%40ss%2Fw@/run/redis"),
        ("redis://[", "redis://["),
    ],
)
def test_redis_password_goes_into_an_address_that_has_none(url: str, full: str) -> None:
    settings = load(Settings, {"REDIS_URL": url, "REDIS_PASSWORD": "p@ss/w"})

    assert settings.redis_address == full


def test_without_a_password_redis_address_is_as_it_was_given() -> None:
    assert load(Settings, {}).redis_address == "redis://localhost:6379/0"


def test_redis_password_is_a_secret_however_it_is_written() -> None:
    settings = load(Settings, {"REDIS_PASSWORD": "p@ss/w"})

    assert settings.secrets == {"p@ss/w", "p%40ss%2Fw"}
    assert "p@ss" not in repr(settings)


def test_a_redis_with_a_password_lets_the_bot_in_by_it(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss/w\n")
    redis.config_set("requirepass", "p@ss/w")
    try:
        with pytest.raises(queues.RedisUnavailable) as refused:
            queues.connect(load(Settings, {"REDIS_URL": redis_url, "REDIS_PASSWORD": "wr0ng"}).redis_address)
        environment = {"REDIS_URL": redis_url, "REDIS_PASSWORD_FILE": str(tmp_path / "password")}
        with queues.connect(load(Settings, environment).redis_address) as let_in:
            assert let_in.ping()
    finally:
        with Redis.from_url(redis_url, password="p@ss/w") as owner:
            owner.config_set("requirepass", "")

    assert "wr0ng" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["redis:6379", "redis", "redis://", "redis:///0", "rediss:6379/0", "//redis:6379"]
)
@pytest.mark.parametrize("password", [{}, {"REDIS_PASSWORD": "s3cret"}])
def test_an_address_of_redis_without_a_host_is_refused_with_the_right_form(
    url: str, password: dict[str, str]
) -> None:
    with pytest.raises(queues.RedisUnavailable, match=r"it looks like redis://:PASSWORD@HOST:6379/0"):
        queues.connect(load(Settings, {"REDIS_URL": url} | password).redis_address)


@pytest.mark.e2e
def test_a_redis_whose_disk_takes_nothing_is_told_apart_from_one_that_is_away(tmp_path: Path) -> None:
    processes = Processes(lambda _name, _event: None)
    try:
        url = start_valkey(processes, tmp_path)
        # It can't put its file where a folder is.
        (tmp_path / "dump.rdb").mkdir()
        with Redis.from_url(url) as redis:
            redis.config_set("save", "3600 1")
            redis.bgsave()
            assert eventually(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == "err")

        with pytest.raises(queues.RedisUnavailable, match=r"cannot write \(MISCONF .*make room on its disk"):
            queues.connect(url)
        with impatient(url) as look:
            assert str(redis_check(look).value).startswith("refuses (MISCONF ")
    finally:
        processes.stop()


SANDBOX = {"SANDBOX_URL": "http://sandbox:8015", "SANDBOX_TOKEN": "t0ken"}
MASTODON = {"MASTODON_URL": "https://example.social", "MASTODON_TOKEN": "s3cret"}


def test_a_bot_without_an_account_is_on_the_sandbox_and_one_with_another_is_not() -> None:
    assert [account.network for account in accounts(SANDBOX)] == ["sandbox"]
    assert account_on("sandbox", SANDBOX).secrets == {"t0ken"}
    assert [account.network for account in accounts(SANDBOX | MASTODON)] == ["mastodon"]


def test_without_an_account_and_a_sandbox_the_bot_says_what_there_may_be(tmp_path: Path) -> None:
    missing = {"SANDBOX_URL": "http://sandbox:8015", "SANDBOX_TOKEN_FILE": str(tmp_path / "bot.token")}

    with pytest.raises(SettingsError, match=r"no account; make one ready: deepselfie login") as error:
        accounts(missing)

    assert "bot.token" not in str(error.value)
    assert "docker compose --profile sandbox up" in str(error.value)


@pytest.mark.e2e
def test_in_a_container_advice_is_what_the_operator_can_type(tmp_path: Path) -> None:
    environment = {"SANDBOX_URL": "http://sandbox:8015", "SANDBOX_TOKEN_FILE": str(tmp_path / "bot.token")}

    done = run("listen", environment=environment | {"DEEPSELFIE": "docker compose run --rm cli"})

    assert "make one ready: docker compose run --rm cli login mastodon (or" in done.stderr


def test_a_sandbox_that_does_not_run_is_an_error_that_says_what_to_do(redis: Redis) -> None:
    away = load(SandboxAccount, SANDBOX | {"SANDBOX_URL": "http://127.0.0.1:9"})

    with pytest.raises(NetworkError, match=r"which SANDBOX_URL names: .*--profile sandbox up"):
        connect(away, redis)


def test_what_comes_from_the_sandbox_bears_its_name(network: Network, redis: Redis) -> None:
    account = load(SandboxAccount, {"SANDBOX_URL": network.url, "SANDBOX_TOKEN": network.token})
    adapter = connect(account, redis)
    with network.bot() as bot:
        bot.post("/api/v1/statuses", json={"status": "@deepselfie hello"})

    assert adapter.name == "sandbox"
    assert [mention.network for mention in adapter.mentions_after(None).mentions] in ([], ["sandbox"])


def test_on_the_sandbox_nothing_but_the_limits_is_lifted() -> None:
    rules = load(ListenerSettings, {"BOT_SENSITIVE": "judge", "BOT_PER_HOUR": "1"}).rules

    assert rules.without_limits().per_hour > 1000
    assert rules.without_limits().sensitive == "judge"
    assert Rules().without_limits().newcomer == Rules().newcomer


def test_hosts_of_the_operators_own_network_are_named_with_their_ports() -> None:
    def hosts(value: str) -> frozenset[tuple[str, int]]:
        return load(WorkerSettings, {"WORKER_PRIVATE_ADDRESSES": value}).private_hosts

    assert hosts("refuse") == hosts("allow") == frozenset()
    assert hosts("sandbox:8015") == {("sandbox", 8015)}
    assert hosts("sandbox:8015, Photos.local:80") == {("sandbox", 8015), ("photos.local", 80)}


@pytest.mark.parametrize(
    "value", ["sandbox", "sandbox:", "sandbox:x", "http://sandbox:8015", ":80", "a:80/b", "yes"]
)
def test_what_is_no_host_with_a_port_is_an_error_that_shows_it(value: str) -> None:
    with pytest.raises(
        SettingsError, match=r"WORKER_PRIVATE_ADDRESSES is .* refuse, allow, or hosts such as"
    ):
        load(WorkerSettings, {"WORKER_PRIVATE_ADDRESSES": value})
