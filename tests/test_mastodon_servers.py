"""What servers that speak Mastodon's API answer, and what becomes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from bot.messages import Mention, Picture, Reply
from bot.networks.base import NetworkError
from bot.networks.mastodon import Mastodon
from bot.networks.mastodon_errors import LIMITED_SECONDS, limited_for, refusal
from bot.networks.mastodon_instance import Instance, described
from bot.networks.mastodon_paging import FEW, MARGIN, Place
from bot.networks.mastodon_rest import Rest
from bot.networks.mastodon_wire import Notification
from bot.networks.wire import parse
from tests.contract import photo
from tests.contract_sandbox import SandboxStage
from tests.sandbox import sandbox
from tests.web import Handler, file, web

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DATE = {"Date": format_datetime(NOW, usegmt=True)}


# ── limits ──


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": format_datetime(NOW + timedelta(seconds=9), usegmt=True)}, 9),
        # Mastodon, GoToSocial, and those who count from now.
        ({"X-RateLimit-Reset": "2026-11-24T12:00:30.123456Z"}, 30.123456),
        ({"X-RateLimit-Reset": str(int(NOW.timestamp()) + 40)}, 40),
        ({"X-RateLimit-Reset": "50"}, 50),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "60"}, 60),
        ({"X-RateLimit-Reset": "whenever"}, LIMITED_SECONDS),
        ({"X-RateLimit-Reset": "2026-11-24T11:00:00Z"}, 1),
        ({"Retry-After": "nan"}, LIMITED_SECONDS),
        ({"Retry-After": "1e300"}, 3600),
        ({}, LIMITED_SECONDS),
    ],
)
def test_a_limits_end_is_understood_however_it_is_told(headers: dict[str, str], seconds: float) -> None:
    assert limited_for(DATE | headers) == pytest.approx(seconds)


def test_the_servers_clock_counts_not_ours() -> None:
    ours = datetime.now(UTC)
    theirs = ours + timedelta(hours=5)
    headers = {"Date": format_datetime(theirs, usegmt=True)}
    headers["X-RateLimit-Reset"] = (theirs + timedelta(seconds=20)).isoformat()

    assert limited_for(headers) == pytest.approx(20, abs=1.1)


# ── refusals ──


@pytest.mark.parametrize(
    ("status", "body", "trouble", "permanent"),
    [
        (401, b"", "unauthorized", True),
        (403, b'{"error": "outside the authorized scopes"}', "unauthorized", True),
        (403, b"<h1>Checking your browser</h1>", "unauthorized", False),
        (404, b'{"error": "Record not found"}', "gone", True),
        (404, b"<h1>nginx</h1>", "gone", False),
        (410, b'{"detail": "gone"}', "gone", True),
        (422, b'{"errors": {"status": ["too long"]}}', "refused", True),
        (409, b'{"error": "race"}', "unreachable", False),
        (500, b'{"error": "sorry"}', "unreachable", False),
        (302, b"", "unreachable", False),
    ],
)
def test_a_refusal_is_final_only_if_the_server_itself_gives_a_reason(
    status: int, body: bytes, trouble: str, permanent: bool
) -> None:
    error = refusal("posting", status, {}, body)

    assert (error.trouble, error.permanent) == (trouble, permanent)
    assert str(error).startswith("posting: ")


def test_a_redirect_says_where_to() -> None:
    headers = {"Location": "https://example.social/"}

    assert "set MASTODON_URL to where that leads: https://example.social/" in str(
        refusal("x", 301, headers, b"")
    )


# ── what servers say about themselves ──


def instance(pages: dict[str, Handler]) -> Instance:
    with web(pages) as url:
        return described(Rest(url, "token"))


def told(**answer: Any) -> Handler:
    return file(json.dumps(answer).encode(), "application/json")


def test_limits_come_from_the_second_version() -> None:
    urls, statuses = {"streaming": "ws://a.example/x"}, {"max_characters": 5000}

    found = instance({"/api/v2/instance": told(configuration={"urls": urls, "statuses": statuses})})

    assert found == Instance(5000, "ws://a.example")


def test_or_from_the_first_as_pleroma_has_them() -> None:
    urls = {"streaming_api": "ws://a.example"}

    assert instance({"/api/v1/instance": told(max_toot_chars=4000, urls=urls)}) == Instance(
        4000, "ws://a.example"
    )


@pytest.mark.parametrize(
    "answer",
    [
        told(),
        told(configuration=None, urls=[], max_toot_chars="many"),
        told(configuration={"statuses": {"max_characters": -1}, "urls": {"streaming": None}}),
    ],
)
def test_what_makes_no_sense_is_as_on_mastodon(answer: Handler) -> None:
    assert instance({"/api/v2/instance": answer}) == Instance(500, "")


def test_a_server_that_tells_nothing_is_asked_for_its_stream_all_the_same() -> None:
    found = instance(
        {"/api/v2/instance": file(b"[", "application/json"), "/api/v1/instance": file(b"", "text/html")}
    )

    assert found.max_characters == 500
    assert found.streaming.startswith("ws://127.0.0.1:")


# ── places ──


def notification(number: str, at: datetime) -> Notification:
    found = parse(Notification, {"id": number, "type": "mention", "created_at": at.isoformat()})
    assert found
    return found


def test_a_place_survives_as_a_cursor_whatever_an_id_looks_like() -> None:
    for number in ("7", "01JDF0Z9", "2026-11-24T12:00:00.000Z/mention/0193 x", ""):
        place = Place(number, NOW)
        assert Place.read(str(place)) == place


def test_a_cursor_of_an_older_version_is_an_id_alone() -> None:
    place = Place.read("109")

    assert place.is_behind(notification("109", NOW))
    assert not place.is_behind(notification("108", NOW))


def test_what_is_a_minute_older_than_a_place_was_read() -> None:
    place = Place("9", NOW)

    assert place.is_behind(notification("1", NOW - MARGIN - timedelta(seconds=1)))
    assert not place.is_behind(notification("1", NOW - timedelta(seconds=1)))


# ── on whole servers ──


@pytest.fixture
def mastodon(tmp_path: Path) -> Iterator[SandboxStage]:
    with sandbox(tmp_path) as network:
        stage = SandboxStage("mastodon", network)
        yield stage
        for person in stage.people.values():
            person.close()


@pytest.mark.e2e
def test_strangers_private_mentions_are_let_in(mastodon: SandboxStage) -> None:
    with mastodon.network.bot() as operator:
        body = {"for_private_mentions": "filter"}
        operator.patch("/api/v2/notifications/policy", json=body).raise_for_status()
        held = mastodon.mention(private=True)
        open_to_all = mastodon.mention()
        assert [n["status"]["id"] for n in operator.get("/api/v1/notifications").json()] == [open_to_all]

        bot = mastodon.bot()
        page = bot.mentions_after(None)

        assert [mention.id for mention in page.mentions] == [held, open_to_all]
        assert operator.get("/api/v2/notifications/policy").json()["for_private_mentions"] == "accept"
        assert operator.get("/api/v1/notifications/requests").json() == []
    later = mastodon.mention(private=True)
    assert later in [mention.id for mention in bot.mentions_after(page.cursor).mentions]


@pytest.mark.e2e
def test_a_server_whose_policy_cannot_be_read_is_read_all_the_same(mastodon: SandboxStage) -> None:
    with mastodon.network.bot() as operator:
        faults = {"faults": [{"endpoint": "GET /api/v2/notifications/policy", "kind": "server_error"}]}
        operator.put("/sandbox/faults", json=faults).raise_for_status()
        post = mastodon.mention()

        assert [mention.id for mention in mastodon.bot().mentions_after(None).mentions] == [post]


@pytest.fixture
def mention(mastodon: SandboxStage) -> Mention:
    return Mention(network="mastodon", id=mastodon.mention(), author="ann", created_at=datetime.now(UTC))


def with_picture(kind: str = "image/png") -> Reply:
    picture = Picture(content=photo(), kind=kind, description="teal")
    return Reply(text="83/100.", visibility="public", pictures=(picture,))


@pytest.mark.e2e
def test_a_picture_that_is_processed_for_a_while_is_waited_for(
    mastodon: SandboxStage, mention: Mention
) -> None:
    with mastodon.network.bot() as operator:
        faults = {"faults": [{"endpoint": "POST /api/v2/media", "kind": "slow_processing", "seconds": 0.7}]}
        operator.put("/sandbox/faults", json=faults).raise_for_status()
        began = time.monotonic()

        mastodon.bot().reply(mention, with_picture())

    assert time.monotonic() - began > 0.7
    assert mastodon.replies(mention.id)[0].descriptions == ("teal",)


@pytest.mark.e2e
def test_a_picture_that_is_refused_does_not_cost_the_reply(mastodon: SandboxStage, mention: Mention) -> None:
    mastodon.bot().reply(mention, with_picture("image/x-unheard-of"))

    assert mastodon.replies(mention.id)[0].descriptions == ()


@pytest.mark.e2e
def test_a_failed_upload_leaves_nothing_unknown(mastodon: SandboxStage, mention: Mention) -> None:
    with mastodon.network.bot() as operator:
        faults = {"faults": [{"endpoint": "POST /api/v2/media", "kind": "dropped_answer"}]}
        operator.put("/sandbox/faults", json=faults).raise_for_status()

        with pytest.raises(NetworkError) as failed:
            mastodon.bot().reply(mention, with_picture())

    assert not failed.value.unknown
    assert mastodon.replies(mention.id) == []


@pytest.mark.e2e
def test_what_the_bot_reads_the_first_time_need_not_be_older_than_a_page(mastodon: SandboxStage) -> None:
    bot = mastodon.bot()
    page = bot.mentions_after(None)
    assert (page.mentions, page.next) == ((), None)
    posts = [mastodon.mention(f"look {number}") for number in range(FEW + 1)]

    assert [found.id for found in bot.mentions_after(page.cursor).mentions] == posts


def test_nobody_answers_where_nobody_listens() -> None:
    with web({}) as url:
        pass

    with pytest.raises(NetworkError) as refused:
        Mastodon.login(url, "token")

    assert (refused.value.trouble, refused.value.permanent, refused.value.unknown) == (
        "unreachable",
        False,
        False,
    )
