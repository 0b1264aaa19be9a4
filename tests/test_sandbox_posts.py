"""Posting and reading on the sandbox, through Mastodon.py and through bare HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from mastodon import Mastodon, MastodonNotFoundError, MastodonUnauthorizedError

from bot.sandbox import content
from tests.sandbox import Network, join

pytestmark = pytest.mark.e2e


def mastodon(network: Network, person: httpx.Client) -> Mastodon:
    token = person.headers["Authorization"].removeprefix("Bearer ")
    return Mastodon(access_token=token, api_base_url=network.url, ratelimit_method="throw")


def post(person: httpx.Client, **body: Any) -> Any:
    return person.post("/api/v1/statuses", json=body).raise_for_status().json()


def test_mastodon_py_knows_itself_the_network_and_a_new_post(network: Network, ann: httpx.Client) -> None:
    api = mastodon(network, ann)
    assert api.me().acct == "ann"
    about = api.instance_v2()
    assert about.version == "4.4.0+sandbox"
    assert about.configuration.statuses.max_characters == 500
    assert about.configuration.urls.streaming == network.url.replace("http", "ws")
    status = api.status_post("Hello @deepselfie", visibility="unlisted", language="de", spoiler_text="hm")
    assert (status.visibility, status.language, status.spoiler_text, status.sensitive) == (
        "unlisted",
        "de",
        "hm",
        True,
    )
    assert [person.acct for person in status.mentions] == ["deepselfie"]
    reply = api.status_post("and on", in_reply_to_id=status.id)
    assert [item.id for item in api.status_context(status.id).descendants] == [reply.id]
    assert [item.id for item in api.status_context(reply.id).ancestors] == [status.id]
    assert api.status(status.id).replies_count == 1
    assert api.status_delete(reply.id).text == "and on"
    with pytest.raises(MastodonNotFoundError):
        api.status(reply.id)


def test_ids_are_strings_and_times_have_milliseconds_and_z(ann: httpx.Client) -> None:
    status = post(ann, status="look")
    assert isinstance(status["id"], str)
    assert isinstance(status["account"]["id"], str)
    assert status["created_at"][-5] == "."
    assert status["created_at"][-1] == "Z"


def test_an_unknown_token_is_refused_as_mastodon_does(network: Network) -> None:
    answer = httpx.get(f"{network.url}/api/v1/notifications", headers={"Authorization": "Bearer no"})
    assert (answer.status_code, answer.json()) == (401, {"error": "The access token is invalid"})
    assert httpx.get(f"{network.url}/api/v1/notifications").status_code == 401
    with pytest.raises(MastodonUnauthorizedError):
        Mastodon(access_token="no", api_base_url=network.url).me()


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({}, 422, "Validation failed: Text can't be blank"),
        ({"status": " \n "}, 422, "Validation failed: Text can't be blank"),
        ({"status": "x" * 501}, 422, "Text character limit of 500 exceeded"),
        ({"status": "x", "media_ids": ["12"]}, 422, "Media 12 not found"),
        ({"status": "x", "media_ids": ["1", "2", "3", "4", "5"]}, 422, "more than 4 files, you sent 5"),
        ({"status": "x", "visibility": "secret"}, 422, "must be one of public, unlisted, private, direct"),
        ({"status": "x", "in_reply_to_id": "12"}, 404, "does not appear to exist"),
        ({"status": "x", "in_reply_to_id": "a"}, 422, "must be a whole number"),
        ({"status": "x", "in_reply_to_id": str(2**63)}, 422, f"must be a whole number up to {2**63 - 1}"),
    ],
)
def test_a_post_that_breaks_a_rule_is_told_which(
    ann: httpx.Client, body: dict[str, Any], status: int, sentence: str
) -> None:
    answer = ann.post("/api/v1/statuses", json=body)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (r'{"status": "\ud800"}', 422, "'status' holds half a character"),
        (r'{"status": "x", "language": "\ud800"}', 422, "'language' holds half a character"),
        (r'{"status": "x", "\ud800": "x"}', 422, r"'\ud800' holds half a character"),
        ("[" * 100_000, 400, "nested too deeply"),
        ('{"status": ' + "[" * 100_000, 400, "nested too deeply"),
    ],
)
def test_json_that_nobody_could_store_is_refused(
    ann: httpx.Client, body: str, status: int, sentence: str
) -> None:
    answer = ann.post("/api/v1/statuses", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert sentence in answer.json()["error"]


def test_a_form_in_an_odd_charset_is_refused(ann: httpx.Client) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="status"\r\n\r\n\\ud800\r\n--b--\r\n'
    for charset, status in (("punycode", 400), ("unicode_escape", 422)):
        kind = f"multipart/form-data; boundary=b; charset={charset}"
        answer = ann.post("/api/v1/statuses", content=part, headers={"Content-Type": kind})
        assert answer.status_code == status
        assert answer.json()["error"]


def test_forms_and_json_mean_the_same(ann: httpx.Client) -> None:
    form = ann.post("/api/v1/statuses", data={"status": "one", "sensitive": "true"}).json()
    json = ann.post("/api/v1/statuses", json={"status": "one", "sensitive": True}).json()
    assert (
        (form["content"], form["sensitive"]) == (json["content"], json["sensitive"]) == ("<p>one</p>", True)
    )
    broken = ann.post("/api/v1/statuses", content="{", headers={"Content-Type": "application/json"})
    assert broken.status_code == 400


def test_a_key_posts_once_even_when_sent_at_the_same_time(ann: httpx.Client) -> None:
    def send(_: int) -> Any:
        return ann.post("/api/v1/statuses", json={"status": "once"}, headers={"Idempotency-Key": "k"}).json()

    with ThreadPoolExecutor(8) as pool:
        assert len({status["id"] for status in pool.map(send, range(16))}) == 1


def test_only_those_meant_see_a_private_post(network: Network, ann: httpx.Client) -> None:
    with join(network, "bob") as bob, join(network, "eve") as eve:
        for visibility in ("direct", "private"):
            path = f"/api/v1/statuses/{post(ann, status='psst @bob', visibility=visibility)['id']}"
            assert [bob.get(path).status_code, ann.get(path).status_code] == [200, 200]
            assert [eve.get(path).status_code, httpx.get(f"{network.url}{path}").status_code] == [404, 404]
            assert (
                eve.post("/api/v1/statuses", json={"status": "x", "in_reply_to_id": path[17:]}).status_code
                == 404
            )
            assert eve.delete(path).status_code == bob.delete(path).status_code == 404


def test_the_public_timeline_has_no_replies_and_home_has_all(ann: httpx.Client) -> None:
    root, unlisted = post(ann, status="root"), post(ann, status="quiet", visibility="unlisted")
    reply = post(ann, status="reply", in_reply_to_id=unlisted["id"], visibility="unlisted")
    after = {"min_id": int(root["id"]) - 1, "limit": 10}
    public = ann.get("/api/v1/timelines/public", params=after).json()
    home = ann.get("/api/v1/timelines/home", params=after).json()
    assert [status["id"] for status in public] == [root["id"]]
    assert [status["id"] for status in home] == [reply["id"], unlisted["id"], root["id"]]


def test_people_are_found_by_id_and_by_name(network: Network, ann: httpx.Client) -> None:
    found = ann.get("/api/v1/accounts/lookup", params={"acct": "DEEPSELFIE"}).json()
    assert (found["username"], found["bot"], found["display_name"]) == ("deepselfie", True, "deepselfie")
    assert ann.get(f"/api/v1/accounts/{found['id']}").json()["url"] == f"{network.url}/@deepselfie"
    me = ann.get("/api/v1/accounts/verify_credentials").json()
    newest = ann.get(f"/api/v1/accounts/{me['id']}/statuses", params={"limit": 1}).json()
    assert newest[0]["account"]["username"] == "ann"
    assert ann.get("/api/v1/accounts/lookup", params={"acct": "nobody"}).status_code == 404


def test_a_taken_name_is_refused_unless_its_token_comes_along(network: Network, ann: httpx.Client) -> None:
    stranger = httpx.post(f"{network.url}/sandbox/people", json={"username": "Ann"})
    assert (stranger.status_code, "taken" in stranger.json()["error"]) == (409, True)
    back = ann.post("/sandbox/people", json={"username": "ann"}).json()
    assert ann.headers["Authorization"] == f"Bearer {back['access_token']}"
    assert httpx.post(f"{network.url}/sandbox/people", json={"username": "a b"}).status_code == 422


def test_a_person_may_come_with_a_note_and_a_past(network: Network) -> None:
    def join(**fields: str) -> httpx.Response:
        return httpx.post(f"{network.url}/sandbox/people", json=fields)

    old = join(username="old", note="no <b> #nobot", created_at="2020-01-31T10:00:00Z").json()["id"]
    wrong = join(username="wrong", created_at="yesterday")

    found = httpx.get(f"{network.url}/api/v1/accounts/{old}").json()
    assert found["created_at"] == "2020-01-31T00:00:00.000Z"
    assert found["note"].startswith("<p>no &lt;b&gt; <a ")
    assert (wrong.status_code, join(username="wrong").status_code) == (422, 200)


def test_the_page_binds_the_browser_to_this_origin_and_to_no_inline_script(network: Network) -> None:
    page = httpx.get(f"{network.url}/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in page.text.replace("http-equiv", "")
    assert httpx.get(f"{network.url}/page/../server.py").status_code == 404


def test_content_is_escaped_and_marked_up_as_mastodon_does() -> None:
    people = {"ann": "http://here/@ann"}
    assert content.html("<b>&\n'x'\n\nend", "http://here", people) == (
        "<p>&lt;b&gt;&amp;<br />&#x27;x&#x27;</p><p>end</p>"
    )
    assert content.html("hi @Ann, @nobody", "http://here", people) == (
        '<p>hi <span class="h-card" translate="no"><a href="http://here/@ann" class="u-url mention">'
        "@<span>Ann</span></a></span>, @nobody</p>"
    )
    link = content.html("see https://www.example.com/?q=1&b=<a>.", "http://here", {})
    assert '<a href="https://www.example.com/?q=1&amp;b=" target="_blank" rel="nofollow noopener"' in link
    assert "<a>" not in link
    hostile = content.html('https://x/"onclick=alert(1) javascript:alert(1)', "http://here", {})
    assert 'href="https://x/"' in hostile
    assert "javascript:alert(1)</p>" in hostile


def test_a_mention_needs_a_name_of_its_own() -> None:
    assert content.mentioned("@ann @ANN a@bob https://x/@eve @zoe@here, @joe@there", "here") == ["ann", "zoe"]
    assert content.length("https://example.com/" + "x" * 900 + " @ann@example.com") == 23 + 1 + 4


def test_the_data_folder_keeps_no_token_in_clear(network: Network, ann: httpx.Client) -> None:
    token = ann.headers["Authorization"].removeprefix("Bearer ").encode()
    files = [file for file in Path(network.data).glob("sandbox.sqlite3*") if file.is_file()]
    assert files
    assert all(token not in file.read_bytes() for file in files)
