"""`deepselfie doctor` on Bluesky and X, at servers that answer as theirs do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from bot.calls import CallFailed, call
from bot.doctor import bluesky, x
from bot.doctor.finding import Finding
from tests.api import Api, serving
from tests.test_login_bluesky import APP_PASSWORDS, GET_RECORD, SESSION, token
from tests.test_login_x import ME, RULES, VALUES

Examine = Callable[[Mapping[str, str]], Iterator[Finding]]

BOT = {"value": {"labels": {"values": [{"val": "bot"}]}}}
SESSION_OF_BOT = {"accessJwt": APP_PASSWORDS, "did": "did:plc:bot", "handle": "selfie.test"}


def found(examine: Examine, api: Api, name: str) -> dict[str, tuple[str, str]]:
    """What is found, by its name."""
    account = VALUES | {"BLUESKY_HANDLE": "selfie.test", "BLUESKY_PASSWORD": "s3cret"}
    findings = list(examine(account | {name: api.url}))
    assert all("s3cret" not in finding.words for finding in findings)
    return {finding.name: (finding.state, finding.words) for finding in findings}


@pytest.fixture
def sky() -> Iterator[Api]:
    answers = {SESSION: (200, SESSION_OF_BOT), GET_RECORD: (200, BOT)}
    limits = {"RateLimit-Limit": "30", "RateLimit-Remaining": "29"}
    with serving(Api(answers, limits)) as api:
        yield api


def test_nothing_is_wrong_with_a_labelled_bot_on_bluesky(sky: Api) -> None:
    everything = found(bluesky.examine, sky, "BLUESKY_URL")

    assert {state for state, _ in everything.values()} == {"ok"}
    assert everything["bluesky rate limit"][1] == "29 of 30 calls are left"
    assert everything["bluesky password"][1].endswith("takes it for @selfie.test")


def test_a_refused_app_password_says_how_to_get_another(sky: Api) -> None:
    sky.answers[SESSION] = (401, {"error": "AuthenticationRequired", "message": "Invalid password"})

    state, words = found(bluesky.examine, sky, "BLUESKY_URL")["bluesky password"]

    assert state == "failed"
    assert words.endswith("(401 Invalid password); make a new app password: deepselfie login bluesky")


def test_the_accounts_own_password_has_failed(sky: Api) -> None:
    sky.answers[SESSION] = (200, SESSION_OF_BOT | {"accessJwt": token("com.atproto.access")})

    assert found(bluesky.examine, sky, "BLUESKY_URL")["bluesky password"][0] == "failed"


@pytest.mark.parametrize("answer", [(400, {"error": "RecordNotFound"}), (200, {"value": {}})])
def test_a_bot_without_its_label_is_a_warning(sky: Api, answer: tuple[int, dict[str, object]]) -> None:
    sky.answers[GET_RECORD] = answer

    assert found(bluesky.examine, sky, "BLUESKY_URL")["bluesky bot label"][0] == "warning"


@pytest.fixture
def tweets() -> Iterator[Api]:
    answers = {ME: (200, {"data": {"username": "selfie"}}), RULES: (200, {})}
    with serving(Api(answers, {"x-rate-limit-limit": "75", "x-rate-limit-remaining": "1"})) as api:
        yield api


def test_tokens_that_x_takes_are_fine_and_few_calls_left_are_a_warning(tweets: Api) -> None:
    everything = found(x.examine, tweets, "X_URL")

    assert everything["x access token"][0] == everything["x streaming"][0] == "ok"
    assert everything["x rate limit"][0] == "warning"


@pytest.mark.parametrize(
    ("call", "status", "name", "words"),
    [
        (ME, 401, "x access token", "make keys and tokens anew"),
        (ME, 402, "x access token", "buy some in the developer console"),
        (RULES, 403, "x streaming", "the app is in no project"),
        (RULES, 429, "x streaming", "wait so long"),
    ],
)
def test_what_x_refuses_has_failed(tweets: Api, call: str, status: int, name: str, words: str) -> None:
    tweets.answers[call] = (status, {})

    state, said = found(x.examine, tweets, "X_URL")[name]

    assert state == "failed"
    assert words in said


@pytest.mark.parametrize(("examine", "name"), [(bluesky.examine, "BLUESKY_URL"), (x.examine, "X_URL")])
def test_a_server_that_is_not_there_is_named(examine: Examine, name: str) -> None:
    everything = found(examine, Api({}, url="http://127.0.0.1:1"), name)

    ((state, words),) = everything.values()
    assert state == "failed"
    assert words.startswith("http://127.0.0.1:1 does not answer (Connection refused)")
    assert name in words


def test_a_host_that_nobody_knows_is_named_with_as_many_parentheses_closed_as_open() -> None:
    with pytest.raises(CallFailed) as error:
        call("GET", "http://nowhere.invalid/")

    words = str(error.value)
    assert words.startswith("http://nowhere.invalid does not answer (")
    assert words.count("(") == words.count(")")
