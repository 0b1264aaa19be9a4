"""`deepselfie doctor`: finds what is wrong, and says what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from bot.doctor.headers import calls_left, clock
from bot.doctor.mastodon import examine as examine_mastodon
from bot.doctor.store import access, memory, version
from bot.login.mastodon import OUT_OF_BAND
from tests.api import Api, serving
from tests.judges import versioned
from tests.network import Network as Faulty
from tests.operating import run
from tests.sandbox import Network

ME = "GET /api/v1/accounts/verify_credentials"
STREAM = "GET /api/v1/streaming"

Findings = dict[str, tuple[str, str]]


def findings(environment: Mapping[str, str], *arguments: str) -> tuple[int, Findings]:
    """The exit status, and by name each finding's state and words."""
    done = run("doctor", "--json", *arguments, environment=environment)
    assert done.stderr == ""
    found = json.loads(done.stdout)["findings"]
    return done.returncode, {finding["name"]: (finding["state"], finding["words"]) for finding in found}


def not_ok(found: Findings) -> Findings:
    return {name: finding for name, finding in found.items() if finding[0] != "ok"}


@pytest.fixture
def environment(network: Network, redis_url: str) -> dict[str, str]:
    return {"MASTODON_URL": network.url, "MASTODON_TOKEN": network.token, "REDIS_URL": redis_url}


def token_for(network: Network, scopes: str) -> str:
    """A token of the bot's that may do only so much."""
    wish = {"client_name": "little", "redirect_uris": OUT_OF_BAND, "scopes": scopes}
    with httpx.Client(base_url=network.url, trust_env=False) as client:
        app = client.post("/api/v1/apps", data=wish).json()
        form = {"client_id": app["client_id"], "scope": scopes, "access_token": network.token}
        code = re.search("<code>(.+)</code>", client.post("/oauth/authorize", data=form).text)
        assert code
        proof = {"grant_type": "authorization_code", "code": code[1], "client_secret": app["client_secret"]}
        answer = client.post("/oauth/token", data=proof | {"client_id": app["client_id"]})
    return str(answer.json()["access_token"])


# ── a whole bot ──


@pytest.mark.e2e
def test_nothing_is_wrong_with_a_bot_that_logged_in_with_this_program(
    network: Network, environment: dict[str, str], tmp_path: Path
) -> None:
    log_in = ["login", "mastodon", "--url", network.url, "--token", "-"]
    assert run(*log_in, answers=f"{network.token}\n", cwd=tmp_path).returncode == 0

    code, found = findings(environment)

    assert (code, not_ok(found)) == (0, {})
    assert found["mastodon streaming"] == ("ok", "it opens")
    assert {"settings", "accounts", "redis", "redis append-only file", "judge", "decoders"} <= set(found)
    assert {"mastodon token", "mastodon clock", "mastodon rate limit", "mastodon bot flag"} <= set(found)


@pytest.mark.e2e
def test_people_get_a_line_a_check_and_the_sum(environment: dict[str, str]) -> None:
    done = run("doctor", "listen", environment=environment | {"BOT_DRY_RUN": "yes"})

    assert done.returncode == 0
    assert "ok       redis append-only file: on\n" in done.stdout
    assert "warning  settings: BOT_DRY_RUN is yes: replies are only logged" in done.stdout
    assert re.search(r"\n0 failed, \d warnings?\n$", done.stdout)


@pytest.mark.e2e
def test_a_machine_for_workers_needs_no_account(redis_url: str) -> None:
    code, found = findings({"REDIS_URL": redis_url}, "work")

    assert (code, not_ok(found)) == (0, {})
    assert "judge" in found
    assert "accounts" not in found


@pytest.mark.e2e
def test_a_judges_folder_is_looked_into(redis_url: str, tmp_path: Path) -> None:
    def judge(folder: Path) -> tuple[str, str]:
        return findings({"REDIS_URL": redis_url, "WORKER_MODELS": str(folder)}, "work")[1]["judge"]

    versioned(tmp_path / "v1.onnx", "1")
    assert judge(tmp_path) == ("ok", "brightness 1: dark, bright")
    (tmp_path / "v2.onnx").write_bytes(b"nonsense")
    state, words = judge(tmp_path)
    assert (state, words.startswith("brightness 1: dark, bright; refused: ")) == ("warning", True)
    assert "v2.onnx: no ONNX file" in words
    assert judge(tmp_path / "missing")[0] == "failed"


@pytest.mark.e2e
def test_a_judge_that_is_named_and_not_there_is_pointed_out_while_the_folder_has_another(
    redis_url: str, tmp_path: Path
) -> None:
    versioned(tmp_path / "v1.onnx", "1")
    environment = {"REDIS_URL": redis_url, "WORKER_MODELS": str(tmp_path), "WORKER_MODEL": "missing.onnx"}

    state, words = findings(environment, "work")[1]["judge"]

    assert state == "warning"
    assert words.endswith("refused: WORKER_MODEL is missing.onnx: no such file")


@pytest.mark.e2e
def test_a_blocklist_that_cannot_be_read_has_failed(redis_url: str, tmp_path: Path) -> None:
    code, found = findings({"REDIS_URL": redis_url, "BOT_BLOCKLIST": str(tmp_path / "missing")}, "listen")

    assert code == 1
    assert found["settings"][0] == "failed"
    assert "make the file, with a handle or domain a line" in found["settings"][1]


@pytest.mark.e2e
def test_where_nothing_is_set_up_each_thing_says_what_to_do() -> None:
    code, found = findings({"REDIS_URL": "redis://:s3cret@127.0.0.1:1/0", "WORKER_MODEL": "missing.onnx"})

    assert code == 1
    assert "or run deepselfie login" in found["accounts"][1]
    assert "start it, or correct REDIS_URL" in found["redis"][1]
    assert "missing.onnx: no such file" in found["judge"][1]
    assert "put a judge there, or unset WORKER_MODEL" in found["judge"][1]
    assert [name for name, (state, _) in found.items() if state == "failed"] == ["accounts", "redis", "judge"]


@pytest.mark.e2e
def test_no_secret_is_ever_shown_whatever_a_server_repeats(redis_url: str) -> None:
    environment = {"MASTODON_TOKEN": "s3cret", "REDIS_URL": redis_url}
    refusal = {ME: (401, {"error": "what is s3cret, or Bearer s3cret?"})}
    with serving(Api(refusal)) as api:
        done = run("doctor", "listen", environment=environment | {"MASTODON_URL": api.url})

    assert "does not accept it (401 what is [secret], or Bearer [secret]?)" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


@pytest.mark.e2e
def test_a_secrets_file_that_others_can_read_is_pointed_out(
    environment: dict[str, str], network: Network, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(network.token)
    file.chmod(0o644)
    del environment["MASTODON_TOKEN"]

    _, found = findings(environment | {"MASTODON_TOKEN_FILE": str(file)}, "listen")

    assert found["secrets"] == (
        "warning",
        f"others on this machine can read {file} (MASTODON_TOKEN_FILE); chmod 600 it",
    )


# ── Redis ──


@pytest.fixture
def settable(redis: Redis) -> Iterator[Redis]:
    yield redis
    redis.config_set("appendonly", "yes")
    redis.config_set("maxmemory-policy", "noeviction")


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("setting", "name", "words"),
    [
        (("appendonly", "no"), "redis append-only file", "off: when Redis ends, mentions are lost"),
        (("maxmemory-policy", "allkeys-lru"), "redis eviction", "allkeys-lru, which throws mentions away"),
    ],
)
def test_a_redis_that_may_lose_something_has_failed(
    settable: Redis, redis_url: str, setting: tuple[str, str], name: str, words: str
) -> None:
    settable.config_set(*setting)

    code, found = findings({"REDIS_URL": redis_url}, "work")

    assert code == 1
    assert found[name][0] == "failed"
    assert words in found[name][1]


@pytest.mark.parametrize(
    ("url", "state", "words"),
    [
        ("unix:///run/redis", "ok", "a socket file"),
        ("redis://:s3cret@10.1.2.3/0", "ok", "a private address, and a password"),
        ("redis://127.0.0.1:6379/0", "warning", "set requirepass"),
        ("redis://10.1.2.3:6379/0", "failed", "can run code in the workers; set requirepass"),
        ("redis://:s3cret@9.9.9.9:6379/0", "failed", "9.9.9.9 is a public address"),
        ("rediss://[2606:4700::1111]:6379/0", "failed", "is a public address"),
    ],
)
def test_who_else_may_get_in_depends_on_the_address(url: str, state: str, words: str) -> None:
    finding = access(url)

    assert finding.state == state
    assert words in finding.words


@pytest.mark.parametrize(("shown", "state"), [("6.0.16", "failed"), ("6.2.0", "ok"), ("10.0", "ok")])
def test_an_old_redis_has_failed(shown: str, state: str) -> None:
    assert version({"redis_version": shown}).state == state


@pytest.mark.parametrize(("used", "state"), [(89, "ok"), (95, "warning"), (101, "failed")])
def test_a_redis_that_runs_full_says_so_before_it_refuses(used: int, state: str) -> None:
    assert memory({"used_memory": used << 20, "maxmemory": 100 << 20}).state == state
    assert memory({"used_memory": used << 20, "maxmemory": 0}).state == "ok"


# ── Mastodon ──


@pytest.mark.e2e
def test_a_wrong_token_is_named_and_the_way_to_a_new_one(environment: dict[str, str]) -> None:
    code, found = findings(environment | {"MASTODON_TOKEN": "wrong"}, "respond")

    assert code == 1
    state, words = found["mastodon token"]
    assert state == "failed"
    assert words.endswith("make a new token: deepselfie login mastodon")


@pytest.mark.e2e
def test_each_missing_scope_is_named_with_what_it_is_for(
    network: Network, environment: dict[str, str]
) -> None:
    token = token_for(network, "read")

    code, found = findings(environment | {"MASTODON_TOKEN": token}, "listen")

    assert code == 1
    assert found["mastodon scope read:notifications"][0] == "ok"
    assert found["mastodon scope write:media"][0] == "warning"
    state, words = found["mastodon scope write:statuses"]
    assert state == "failed"
    assert "outside the authorized scopes" in words
    assert "the bot needs it to post replies and delete them" in words


@pytest.mark.e2e
def test_a_stream_that_does_not_open_is_a_warning(tmp_path: Path, redis_url: str) -> None:
    network = Faulty(tmp_path, redis_url)
    try:
        network.switch_on(endpoint=STREAM, kind="server_error")
        found = {finding.name: finding for finding in examine_mastodon(network.environment)}
    finally:
        network.processes.stop()

    assert found["mastodon streaming"].state == "warning"
    assert "does a proxy block WebSockets?" in found["mastodon streaming"].words
    assert "every BOT_POLL_SECONDS" in found["mastodon streaming"].words


def mastodon(answers: dict[str, tuple[int, Any]], **headers: str) -> Findings:
    """What is found at a server that answers like this, to anything else with a 404."""
    with serving(Api(answers, {name.replace("_", "-"): value for name, value in headers.items()})) as api:
        found = list(examine_mastodon({"MASTODON_URL": api.url, "MASTODON_TOKEN": "t"}))
    return {finding.name: (finding.state, finding.words) for finding in found}


def test_a_server_without_streaming_is_polled() -> None:
    found = mastodon({ME: (200, {"acct": "selfie", "bot": True})})

    assert not_ok(found) == {
        "mastodon streaming": (
            "warning",
            "the server offers none; mentions are heard when they are polled, every BOT_POLL_SECONDS",
        )
    }


def test_an_account_that_does_not_say_it_is_a_bot_is_a_warning() -> None:
    state, words = mastodon({ME: (200, {"acct": "selfie", "bot": False})})["mastodon bot flag"]

    assert state == "warning"
    assert "or with deepselfie login mastodon" in words


def test_notifications_that_are_kept_back_are_a_warning() -> None:
    # Those whom a moderator has limited may stay out.
    policy = dict.fromkeys(["for_private_mentions", "for_limited_accounts"], "filter")

    found = mastodon({ME: (200, {}), "GET /api/v2/notifications/policy": (200, policy)})

    assert found["mastodon notifications"][0] == "warning"
    assert "keeps some back (private mentions)" in found["mastodon notifications"][1]


def test_a_moved_server_says_where_it_is() -> None:
    state, words = mastodon({ME: (301, {})}, Location="https://new.example/api")["mastodon server"]

    assert state == "failed"
    assert "answers 301, it lives at https://new.example/api; is MASTODON_URL right?" in words


@pytest.mark.parametrize(("minutes", "which"), [(5, "behind"), (-5, "ahead of")])
def test_a_clock_that_is_off_has_failed(minutes: int, which: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)

    state, words = mastodon({ME: (200, {})}, Date=date)["mastodon clock"]

    assert state == "failed"
    assert re.match(rf"the clock here is (299|300|301) s {which} the server's, the limit is 30 s", words)


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_a_server_that_does_not_tell_its_time_is_a_warning(date: str) -> None:
    assert clock("clock", {"Date": date}).state == "warning"


@pytest.mark.parametrize("prefix", ["X-RateLimit-", "X-Rate-Limit-", "RateLimit-"])
@pytest.mark.parametrize(("left", "state"), [("29", "warning"), ("30", "ok")])
def test_few_calls_left_are_a_warning(prefix: str, left: str, state: str) -> None:
    assert calls_left("limit", {f"{prefix}Limit": "300", f"{prefix}Remaining": left}).state == state


def test_a_bot_on_the_sandbox_only_needs_it_to_run(network: Network, redis_url: str) -> None:
    environment = {"REDIS_URL": redis_url, "SANDBOX_TOKEN": network.token}

    _, here = findings(environment | {"SANDBOX_URL": network.url}, "respond")
    code, away = findings(environment | {"SANDBOX_URL": "http://127.0.0.1:1"}, "respond")

    assert here["sandbox"] == ("ok", f"{network.url} takes its token for @deepselfie")
    assert code == 1
    assert away["sandbox"][0] == "failed"
    assert "docker compose --profile sandbox up" in away["sandbox"][1]
