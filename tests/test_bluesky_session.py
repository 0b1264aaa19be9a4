"""What lies in Redis of the bot's session at Bluesky, which workers can read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from atproto_client.client.session import Session
from atproto_client.exceptions import RequestErrorBase
from redis import Redis

from bot.networks.accounts import BlueskyAccount
from bot.networks.bluesky_client import Client
from bot.networks.bluesky_seal import Seal
from bot.settings import load
from tests.api import Api, serving

CREATE = "POST /xrpc/com.atproto.server.createSession"
REFRESH = "POST /xrpc/com.atproto.server.refreshSession"
LOOK = "GET /xrpc/com.atproto.server.getSession"

PASSWORD = "abcd-efgh-ijkl-mnop"
SECRETS = ("ACCESS.TOKEN", "REFRESH.TOKEN", "ACCESS.AGAIN", "REFRESH.AGAIN", PASSWORD)
SESSION = Session(
    "bot.test", "did:plc:abcdefghijklmnopqrstuvwx", "ACCESS.TOKEN", "REFRESH.TOKEN", "https://pds.test"
)


@pytest.fixture
def server() -> Iterator[Api]:
    who = {"did": "did:plc:abcdefghijklmnopqrstuvwx", "handle": "bot.test"}
    answers = {
        CREATE: (200, who | {"accessJwt": "ACCESS.TOKEN", "refreshJwt": "REFRESH.TOKEN"}),
        REFRESH: (200, who | {"accessJwt": "ACCESS.AGAIN", "refreshJwt": "REFRESH.AGAIN"}),
        LOOK: (200, who),
    }
    with serving(Api(answers, {"Content-Type": "application/json"})) as server:
        yield server


def account(url: str, password: str = PASSWORD, handle: str = "bot.test") -> BlueskyAccount:
    return load(BlueskyAccount, {"BLUESKY_HANDLE": handle, "BLUESKY_PASSWORD": password, "BLUESKY_URL": url})


def look(client: Client) -> Any:
    return client.ask("com.atproto.server.getSession")


def calls(server: Api) -> list[str]:
    return [asked.call for asked in server.asked]


def kept(redis: Redis) -> tuple[bytes, bytes]:
    """The key and the value of what is kept of the session."""
    [key] = redis.scan_iter("deepselfie:session:*")
    value: Any = redis.get(key)
    return key, value


def test_no_token_of_the_session_can_be_read_in_redis(server: Api, redis: Redis) -> None:
    look(Client(account(server.url), redis))

    _, value = kept(redis)
    for secret in (*SECRETS, "did:plc:abcdefghijklmnopqrstuvwx"):
        assert secret.encode() not in value


def test_another_process_of_the_same_account_goes_on_with_the_session(server: Api, redis: Redis) -> None:
    for _ in range(3):
        look(Client(account(server.url), redis))

    assert calls(server).count(CREATE) == 1
    assert {asked.authorization for asked in server.asked if asked.call == LOOK} == {"Bearer ACCESS.TOKEN"}


def foreign(server: Api) -> list[bytes]:
    """What may lie there that is no session of this account's: an older version's, another's, nonsense."""
    return [
        SESSION.encode().encode(),
        Seal(account(server.url, password="wxyz-wxyz-wxyz-wxyz")).close(SESSION),
        Seal(account(server.url, handle="other.test")).close(SESSION),
        Seal(account("https://other.test")).close(SESSION),
        b"nonsense",
        b"\xff\x00",
        b"",
    ]


@pytest.mark.parametrize("number", range(7))
def test_what_cannot_be_opened_costs_one_log_in_and_is_replaced(
    server: Api, redis: Redis, number: int
) -> None:
    own = account(server.url)
    look(Client(own, redis))
    key, _ = kept(redis)
    redis.set(key, foreign(server)[number])
    server.asked.clear()

    for _ in range(3):
        look(Client(own, redis))

    assert calls(server).count(CREATE) == 1
    opened = Seal(own).open(kept(redis)[1])
    assert opened
    assert opened.access_jwt == "ACCESS.TOKEN"


def test_who_spoils_it_again_and_again_makes_no_running_process_log_in(server: Api, redis: Redis) -> None:
    client = Client(account(server.url), redis)
    look(client)
    key, _ = kept(redis)
    working, server.asked[:] = server.answers[LOOK], []

    for _ in range(5):
        redis.set(key, b"nonsense")
        server.answers[LOOK] = (400, {"error": "ExpiredToken", "message": "Token has expired"})
        with pytest.raises(RequestErrorBase):
            look(client)

    server.answers[LOOK] = working
    look(client)
    assert calls(server).count(CREATE) == 0
    assert calls(server).count(REFRESH) == 10


def test_nobody_is_led_to_a_server_of_their_own_choice_by_who_can_write_to_redis(
    server: Api, redis: Redis
) -> None:
    own = account(server.url)
    look(Client(own, redis))
    key, _ = kept(redis)
    redis.set(
        key,
        Session(
            "bot.test", "did:plc:abcdefghijklmnopqrstuvwx", "STOLEN", "STOLEN", "http://127.0.0.1:9"
        ).encode(),
    )

    look(Client(own, redis))

    assert all("STOLEN" not in asked.authorization for asked in server.asked)


def test_no_secret_gets_into_the_log(server: Api, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = Client(account(server.url), redis)
    look(client)
    key, _ = kept(redis)
    redis.set(key, b"nonsense")
    server.answers[LOOK] = (400, {"error": "ExpiredToken", "message": "Token has expired"})
    with pytest.raises(RequestErrorBase) as error:
        look(client)

    for secret in SECRETS:
        assert secret not in caplog.text
        assert secret not in repr(error.value)
