"""`deepselfie login mastodon`, as an operator sits before it, at a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.login.mastodon import SCOPES
from bot.networks.accounts import MastodonAccount, accounts
from tests.operating import SECONDS, Operator, run
from tests.sandbox import Network, client

pytestmark = pytest.mark.e2e

ABOUT = ("Ann, ann@example.social", "https://example.org/deepselfie", "")


def allow(page: str, token: str) -> str:
    """What a person does in a browser: read the page, allow it, copy the code."""
    shown = httpx.get(page, trust_env=False)
    assert "May deepselfie act for you?" in shown.text
    form = dict(re.findall(r'name=(\w+) value="([^"]*)"', shown.text))
    answer = httpx.post(page.partition("?")[0], data=form | {"access_token": token}, trust_env=False)
    found = re.search("<code>(.+)</code>", answer.text)
    assert found, answer.text
    return found[1]


def join(network: Network, name: str) -> str:
    """Let somebody join, and return their token."""
    answer = httpx.post(f"{network.url}/sandbox/people", json={"username": name}, trust_env=False)
    return str(answer.json()["access_token"])


def account(network: Network, token: str) -> dict[str, Any]:
    return dict(ask(network, token, "/api/v1/accounts/verify_credentials"))


def ask(network: Network, token: str, path: str) -> Any:
    with client(network.url, token) as person:
        answer = person.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def log_in(network: Network, token: str, directory: Path, about: tuple[str, ...] = ABOUT) -> Operator:
    """Answer all questions, in a browser and in the terminal."""
    operator = Operator("login", "mastodon", "--url", network.url, cwd=directory)
    page = re.search(r"http\S+/oauth/authorize\S+", operator.is_asked("The code it shows"))
    assert page
    operator.answers(allow(page[0], token))
    operator.is_asked("The bot's account\\?")
    operator.answers("", *about)
    return operator


def kept(directory: Path) -> str:
    return (directory / "secrets" / "mastodon_token").read_text().strip()


def test_an_operator_is_led_from_a_server_to_a_token_that_works(network: Network, tmp_path: Path) -> None:
    operator = log_in(network, network.token, tmp_path)

    code, settings = operator.finish()
    file = tmp_path / "secrets" / "mastodon_token"
    assert code == 0, operator.said
    assert settings.splitlines() == [f"MASTODON_URL={network.url}", f"MASTODON_TOKEN_FILE={file}"]
    assert account(network, kept(tmp_path))["username"] == "deepselfie"
    assert "run deepselfie doctor" in operator.said


def test_only_the_owner_can_read_a_secret_or_see_that_it_is_there(network: Network, tmp_path: Path) -> None:
    log_in(network, network.token, tmp_path).finish()

    directory = tmp_path / "secrets"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert [(file.name, file.stat().st_mode & 0o777) for file in directory.iterdir()] == [
        ("mastodon_token", 0o600)
    ]


def test_the_account_is_marked_as_a_bot_and_says_whose_it_is(network: Network, tmp_path: Path) -> None:
    token = join(network, "selfie")
    form = {"fields_attributes[0][name]": "Pronouns", "fields_attributes[0][value]": "it"}
    with client(network.url, token) as person:
        assert person.patch("/api/v1/accounts/update_credentials", data=form).json()["bot"] is False
        person.patch("/api/v2/notifications/policy", data={"for_private_mentions": "filter"})

    operator = log_in(network, token, tmp_path)
    operator.finish()

    after = account(network, token)
    assert after["bot"] is True
    assert [(field["name"], field["value"]) for field in after["fields"]] == [
        ("Pronouns", "it"),
        ("Operator", ABOUT[0]),
        ("Source", ABOUT[1]),
    ]
    assert "marked as automated" in operator.said
    policy = ask(network, token, "/api/v2/notifications/policy")
    assert {wish for subject, wish in policy.items() if subject != "summary"} == {"accept"}


def test_the_token_may_do_what_the_bot_does_and_no_more(network: Network, tmp_path: Path) -> None:
    log_in(network, network.token, tmp_path).finish()

    with client(network.url, kept(tmp_path)) as bot:
        assert bot.get("/api/v1/notifications").status_code == 200
        assert bot.post("/api/v1/statuses", data={"status": "hello"}).status_code == 200
    assert SCOPES == "read write:statuses write:media write:accounts write:notifications"


def test_somebody_elses_account_is_left_alone(network: Network, tmp_path: Path) -> None:
    token = join(network, "operator")
    operator = Operator("login", "mastodon", "--url", network.url, cwd=tmp_path)
    page = re.search(r"http\S+/oauth/authorize\S+", operator.is_asked("The code it shows"))
    assert page
    operator.answers(allow(page[0], token))
    assert "This is @operator at" in operator.is_asked("The bot's account\\?")
    operator.answers("n")

    code, settings = operator.finish()

    assert (code, settings) == (1, "")
    assert "nothing was stored" in operator.said
    assert not (tmp_path / "secrets").exists()
    assert account(network, token)["bot"] is False


def test_a_token_that_was_made_by_hand_comes_from_standard_input(network: Network, tmp_path: Path) -> None:
    arguments = ["login", "mastodon", "--url", network.url, "--token", "-", "--secrets", "kept here"]

    done = run(*arguments, answers=f"{network.token}\n", cwd=tmp_path)

    file = tmp_path / "kept here" / "mastodon_token"
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"MASTODON_URL={network.url}", f"MASTODON_TOKEN_FILE='{file}'"]
    assert file.read_text() == f"{network.token}\n"


def test_where_the_bot_looks_for_secrets_login_leaves_all_that_it_needs(
    network: Network, tmp_path: Path
) -> None:
    folder = {"SECRETS_DIR": str(tmp_path / "kept")}
    arguments = ["login", "mastodon", "--url", network.url, "--token", "-"]

    for answers in (f"{network.token}\n", f"y\n{network.token}\n"):
        done = run(*arguments, answers=answers, environment=folder)
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        assert "it is all in kept/; restart" in done.stderr
        (account,) = accounts(folder)
        assert isinstance(account, MastodonAccount)
        assert str(account.url) == f"{network.url}/"
        assert account.token.get_secret_value() == network.token


def test_a_secret_that_is_there_is_not_replaced_unasked(network: Network, tmp_path: Path) -> None:
    arguments = ["login", "mastodon", "--url", network.url, "--token", "-"]
    run(*arguments, answers=f"{network.token}\n", cwd=tmp_path)
    file = tmp_path / "secrets" / "mastodon_token"
    file.write_text("the old one\n")

    refused = run(*arguments, answers="\n", cwd=tmp_path)
    assert refused.returncode == 1
    assert "is left as it is" in refused.stderr
    assert file.read_text() == "the old one\n"

    replaced = run(*arguments, answers=f"y\n{network.token}\n", cwd=tmp_path)
    assert replaced.returncode == 0
    assert kept(tmp_path) == network.token


def test_no_secret_is_ever_shown(network: Network, tmp_path: Path) -> None:
    operator = log_in(network, network.token, tmp_path)
    _, settings = operator.finish()

    for secret in (kept(tmp_path), network.token):
        assert secret not in operator.said + settings


@pytest.mark.parametrize(
    ("typed", "words"),
    [(b"s3cret\n", "does not answer"), (b"\x04", "the input ended before an answer to: Access token")],
)
def test_a_terminal_does_not_show_a_secret(typed: bytes, words: str) -> None:
    screen, terminal = os.openpty()
    command = [sys.executable, "-m", "bot", "login", "mastodon", "--url", "http://127.0.0.1:1"]
    with subprocess.Popen(
        [*command, "--token", "-"], stdin=terminal, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stderr
        said = process.stderr.read(len("Access token (not shown): "))
        os.write(screen, typed)
        said += process.stderr.read()
        assert process.wait(SECONDS) == 1
    # So that there is something to read in any case.
    os.write(terminal, b".")
    echoed = os.read(screen, 1000)
    os.close(screen)
    os.close(terminal)

    assert words in said.decode()
    assert b"s3cret" not in said + echoed


def test_a_token_on_the_command_line_is_refused_and_not_repeated(tmp_path: Path) -> None:
    done = run("login", "mastodon", "--token", "s3cret", cwd=tmp_path)

    assert done.returncode == 2
    assert "give the token on standard input" in done.stderr
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ("http://example.social\n", "'http://example.social' is not encrypted"),
        ("gopher://example.social\n", "is no address of a server; give one such as https://example.social"),
        ("http://127.0.0.1:1\n", "http://127.0.0.1:1 does not answer (Connection refused"),
        ("", "the input ended before an answer to: The bot's server"),
    ],
)
def test_what_cannot_work_is_one_sentence(tmp_path: Path, answers: str, words: str) -> None:
    done = run("login", "mastodon", answers=answers, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "secrets").exists()


def test_a_token_that_the_server_does_not_know_is_not_kept(network: Network, tmp_path: Path) -> None:
    arguments = ["login", "mastodon", "--url", network.url, "--token", "-"]

    done = run(*arguments, answers="s3cret\n", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert "does not accept the token (401 The access token is invalid)" in done.stderr
    assert "s3cret" not in done.stderr
    assert not (tmp_path / "secrets").exists()


def test_a_wrong_code_is_one_sentence(network: Network, tmp_path: Path) -> None:
    done = run("login", "mastodon", "--url", network.url, answers="nonsense\n", cwd=tmp_path)

    assert done.returncode == 1
    assert "does not take that code (400 invalid_grant); start again for a new one" in done.stderr
