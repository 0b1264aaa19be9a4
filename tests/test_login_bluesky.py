"""`deepselfie login bluesky`, as an operator sits before it, at a server that answers as Bluesky's do."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.login.bluesky import described, labelled, scope_of
from bot.login.profile import About
from tests.api import Api, serving
from tests.operating import run

pytestmark = pytest.mark.e2e

SESSION = "POST /xrpc/com.atproto.server.createSession"
GET_RECORD = "GET /xrpc/com.atproto.repo.getRecord"
PUT_RECORD = "POST /xrpc/com.atproto.repo.putRecord"

PASSWORD = "abcd-efgh-ijkl-mnop"
ABOUT = "Ann\n\nhttps://example.org/privacy\n"


def token(scope: str) -> str:
    """A session's token; its middle part is what counts."""
    claims = base64.urlsafe_b64encode(json.dumps({"scope": scope}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2ln"


APP_PASSWORDS = token("com.atproto.appPass")


@pytest.fixture
def bluesky() -> Iterator[Api]:
    session = {"accessJwt": APP_PASSWORDS, "did": "did:plc:bot", "handle": "selfie.test"}
    profile = {
        "$type": "app.bsky.actor.profile",
        "displayName": "Selfie",
        "description": "Hello.\nOperator: Bob",
    }
    answers = {
        SESSION: (200, session),
        GET_RECORD: (200, {"cid": "bafy1", "value": profile}),
        PUT_RECORD: (200, {}),
    }
    with serving(Api(answers)) as api:
        yield api


def log_in(bluesky: Api, directory: Path, about: str = ABOUT) -> subprocess.CompletedProcess[str]:
    answers = f"@selfie.test\n{PASSWORD}\n{about}"
    return run("login", "bluesky", "--url", bluesky.url, answers=answers, cwd=directory)


def test_handle_and_app_password_are_checked_and_kept(bluesky: Api, tmp_path: Path) -> None:
    done = log_in(bluesky, tmp_path)

    file = tmp_path / "secrets" / "bluesky_password"
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "BLUESKY_HANDLE=selfie.test",
        f"BLUESKY_PASSWORD_FILE={file}",
        f"BLUESKY_URL={bluesky.url}",
    ]
    assert bluesky.bodies(SESSION) == [{"identifier": "selfie.test", "password": PASSWORD}]
    assert file.read_text() == f"{PASSWORD}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in done.stderr + done.stdout


def test_the_profile_says_that_it_is_a_bot_and_whose(bluesky: Api, tmp_path: Path) -> None:
    done = log_in(bluesky, tmp_path)

    assert 'The account is labelled "bot".' in done.stderr
    assert bluesky.bodies(PUT_RECORD) == [
        {
            "repo": "did:plc:bot",
            "collection": "app.bsky.actor.profile",
            "rkey": "self",
            "swapRecord": "bafy1",
            "record": {
                "$type": "app.bsky.actor.profile",
                "displayName": "Selfie",
                "description": "Hello.\nOperator: Ann\nPrivacy: https://example.org/privacy",
                "labels": {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "bot"}]},
            },
        }
    ]
    assert [asked.authorization for asked in bluesky.asked][1:] == [f"Bearer {APP_PASSWORDS}"] * 2


def test_an_account_without_a_profile_gets_one(bluesky: Api, tmp_path: Path) -> None:
    bluesky.answers[GET_RECORD] = (400, {"error": "RecordNotFound", "message": "Could not locate record"})

    log_in(bluesky, tmp_path, "")

    (wish,) = bluesky.bodies(PUT_RECORD)
    assert wish["swapRecord"] is None
    assert wish["record"]["$type"] == "app.bsky.actor.profile"


def test_a_description_without_room_stays_as_it_is(bluesky: Api, tmp_path: Path) -> None:
    bluesky.answers[GET_RECORD] = (200, {"cid": "bafy1", "value": {"description": "x" * 250}})

    done = log_in(bluesky, tmp_path)

    (wish,) = bluesky.bodies(PUT_RECORD)
    assert wish["record"]["description"] == "x" * 250
    assert "the limit is 256; it stays as it is" in done.stderr


def test_the_accounts_own_password_is_not_taken(bluesky: Api, tmp_path: Path) -> None:
    bluesky.answers[SESSION] = (200, {"accessJwt": token("com.atproto.access"), "did": "did:plc:bot"})

    done = log_in(bluesky, tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert "that is the account's own password, which may do everything; make an app password" in done.stderr
    assert not (tmp_path / "secrets").exists()


def test_a_wrong_password_is_one_sentence(bluesky: Api, tmp_path: Path) -> None:
    wrong = {"error": "AuthenticationRequired", "message": "Invalid identifier or password"}
    bluesky.answers[SESSION] = (401, wrong)

    done = log_in(bluesky, tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert "does not accept handle and password (401 Invalid identifier or password)" in done.stderr
    assert not (tmp_path / "secrets").exists()


def test_what_the_profile_refuses_costs_no_login(bluesky: Api, tmp_path: Path) -> None:
    bluesky.answers[PUT_RECORD] = (400, {"error": "InvalidSwap", "message": "Record was at bafy2"})

    done = log_in(bluesky, tmp_path)

    assert done.returncode == 0
    assert "The profile could not be changed (400 Record was at bafy2)" in done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_other_labels_stay_and_bot_stands_there_once() -> None:
    record = labelled({"labels": {"values": [{"val": "bot"}, {"val": "!no-unauthenticated"}]}})

    assert record["labels"]["values"] == [{"val": "!no-unauthenticated"}, {"val": "bot"}]


def test_a_line_takes_the_place_of_an_older_one() -> None:
    about = About({"Operator": "Ann"})

    assert described("Operator: Bob\nHello.\nSource: here", about) == "Hello.\nSource: here\nOperator: Ann"


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.!!.c", "a.bnVsbA.c"])
def test_a_token_that_is_not_for_us_to_read_says_nothing(text: str) -> None:
    assert scope_of(text) == ""
