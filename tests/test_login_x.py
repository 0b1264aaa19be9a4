"""`deepselfie login x`, as an operator sits before it, at a server that answers as X does."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.login.signature import Keys, signature, signed
from bot.login.x import SECRETS
from tests.api import Api, serving
from tests.operating import run

ME = "GET /2/users/me"
RULES = "GET /2/tweets/search/stream/rules"
VALUES = {name: f"s3cret-{number}" for number, name in enumerate(SECRETS)}


@pytest.fixture
def x() -> Iterator[Api]:
    with serving(Api({ME: (200, {"data": {"id": "7", "username": "selfie"}}), RULES: (200, {})})) as api:
        yield api


def log_in(x: Api, directory: Path) -> subprocess.CompletedProcess[str]:
    return run("login", "x", "--url", x.url, answers="\n".join(VALUES.values()) + "\n", cwd=directory)


@pytest.mark.e2e
def test_five_values_are_checked_and_kept(x: Api, tmp_path: Path) -> None:
    done = log_in(x, tmp_path)

    assert done.returncode == 0, done.stderr
    files = {name: tmp_path / "secrets" / name.lower() for name in SECRETS}
    assert done.stdout.splitlines() == [f"{name}_FILE={file}" for name, file in files.items()]
    assert {name: file.read_text().strip() for name, file in files.items()} == VALUES
    assert {file.stat().st_mode & 0o777 for file in files.values()} == {0o600}
    assert "s3cret" not in done.stderr + done.stdout
    me, rules = x.asked
    assert me.authorization.startswith('OAuth oauth_consumer_key="s3cret-0"')
    assert rules.authorization == "Bearer s3cret-4"


@pytest.mark.e2e
def test_the_operator_is_told_what_it_costs_and_what_is_left_to_do(x: Api, tmp_path: Path) -> None:
    done = log_in(x, tmp_path)

    assert "A summoned reply costs $0.010, one with a link in it $0.200" in done.stderr
    assert "Account information → Automation" in done.stderr


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        (ME, 401, "X does not accept keys and access token (401 Unauthorized); make keys and tokens anew"),
        (ME, 403, 'the app is in no project, or may only read: set "Read and write"'),
        (ME, 402, "the credit is used up: buy some in the developer console"),
        (RULES, 401, "X does not accept the bearer token (401 Unauthorized)"),
    ],
)
def test_a_refusal_says_what_to_do_and_nothing_is_kept(
    x: Api, tmp_path: Path, call: str, status: int, words: str
) -> None:
    x.answers[call] = (status, {})

    done = log_in(x, tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "s3cret" not in done.stderr
    assert not (tmp_path / "secrets").exists()


def test_a_signature_is_the_one_in_the_networks_own_example() -> None:
    keys = Keys(
        "xvz1evFS4wEEPTGEFPHBog",
        "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
        "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
        "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
    )
    parameters = {
        "status": "Hello Ladies + Gentlemen, a signed OAuth request!",
        "include_entities": "true",
        "oauth_consumer_key": keys.consumer,
        "oauth_nonce": "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "1318622958",
        "oauth_token": keys.token,
        "oauth_version": "1.0",
    }

    found = signature("POST", "https://api.twitter.com/1.1/statuses/update.json", parameters, keys)

    assert found == "hCtSmYh+iHYCEqBWrE7C7hYmtUk="


def test_no_two_calls_are_signed_alike() -> None:
    keys: Any = Keys("a", "b", "c", "d")

    assert signed("GET", "https://api.x.com/2/users/me", keys) != signed(
        "GET", "https://api.x.com/2/users/me", keys
    )
