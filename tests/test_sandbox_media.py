"""Uploads to the sandbox: what goes in comes out byte for byte."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from mastodon import Mastodon
from PIL import Image

from tests.photos import encoded, portrait
from tests.sandbox import Network, join

pytestmark = pytest.mark.e2e


def upload(person: httpx.Client, content: bytes, kind: str, name: str = "a") -> httpx.Response:
    return person.post(
        "/api/v2/media", files={"file": (name, content, kind)}, data={"description": "what is seen"}
    )


def get(address: Any) -> httpx.Response:
    return httpx.get(str(address), trust_env=False)


@pytest.mark.parametrize(
    ("kind", "format_name", "extension"),
    [("image/jpeg", "JPEG", "jpeg"), ("image/png", "PNG", "png"), ("image/webp", "WEBP", "webp")],
)
def test_a_photo_comes_back_byte_for_byte(
    ann: httpx.Client, kind: str, format_name: str, extension: str
) -> None:
    photo = encoded(portrait(64, 48), format_name)
    answer = upload(ann, photo, kind)
    media = answer.json()
    assert (answer.status_code, media["type"], media["description"]) == (200, "image", "what is seen")
    assert media["meta"]["original"]["size"] == "64x48"
    served = get(media["url"])
    assert served.content == photo
    assert served.headers["Content-Type"] == kind
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert served.headers["Content-Security-Policy"] == "sandbox"
    assert media["url"].endswith(f"/original.{extension}")
    assert len(media["url"].split("/")[-2]) >= 32


def test_mastodon_py_uploads_and_describes(network: Network, ann: httpx.Client) -> None:
    token = ann.headers["Authorization"].removeprefix("Bearer ")
    api = Mastodon(access_token=token, api_base_url=network.url, ratelimit_method="throw")
    media = api.media_post(encoded(portrait(8, 8)), "image/jpeg", description="before")
    assert api.media_update(media, description="after").description == "after"
    status = api.status_post("", media_ids=[media])
    assert status.media_attachments[0].description == "after"


def test_a_hostile_file_that_claims_to_be_a_photo_gets_through(ann: httpx.Client) -> None:
    for content in (b"no photo at all", encoded(portrait(64, 64))[:200], b""):
        media = upload(ann, content, "image/jpeg").json()
        assert (media["type"], media["meta"]) == ("image", {})
        assert get(media["url"]).content == content


def test_an_animation_becomes_a_gifv_with_a_still(ann: httpx.Client) -> None:
    frames = [Image.new("RGB", (20, 10), color) for color in ("red", "blue")]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    media = upload(ann, gif, "image/gif").json()
    assert media["type"] == "gifv"
    assert get(media["url"]).content == gif
    assert get(media["preview_url"]).headers["Content-Type"] == "image/png"
    assert upload(ann, b"GIF89a broken", "image/gif").json()["preview_url"] is None


def test_video_and_sound_have_no_preview(ann: httpx.Client) -> None:
    video, audio = (upload(ann, b"x", kind).json() for kind in ("video/mp4", "audio/mpeg"))
    assert (video["type"], video["preview_url"]) == ("video", None)
    assert (audio["type"], audio["preview_url"]) == ("audio", None)
    body = {"status": "x", "media_ids": [video["id"], audio["id"]]}
    assert "Cannot attach a video" in ann.post("/api/v1/statuses", json=body).json()["error"]


def test_the_name_tells_the_type_when_the_sender_does_not(ann: httpx.Client) -> None:
    assert upload(ann, b"x", "application/octet-stream", "a.png").json()["url"].endswith(".png")


@pytest.mark.parametrize("kind", ["image/svg+xml", "text/html", "application/pdf"])
def test_what_could_carry_a_script_is_refused(ann: httpx.Client, kind: str) -> None:
    answer = upload(ann, b"<script>", kind)
    assert (answer.status_code, kind in answer.json()["error"]) == (422, True)


def test_a_file_over_the_limit_is_refused_with_its_size(ann: httpx.Client) -> None:
    answer = upload(ann, bytes(17 * 2**20), "image/jpeg")
    assert answer.status_code == 422
    assert "at most 16 MB" in answer.json()["error"]
    barely = upload(ann, bytes(16 * 2**20 + 1), "image/jpeg")
    assert (barely.status_code, "16 MB" in barely.json()["error"]) == (422, True)
    assert ann.post("/api/v2/media", data={"description": "x"}).status_code == 422


def test_a_big_file_is_processed_for_a_while(ann: httpx.Client) -> None:
    answer = upload(ann, bytes(5 * 2**20), "image/jpeg")
    assert (answer.status_code, answer.json()["url"]) == (202, None)
    media = answer.json()["id"]
    waiting = ann.get(f"/api/v1/media/{media}")
    assert (waiting.status_code, waiting.json()["url"]) == (206, None)
    early = ann.post("/api/v1/statuses", json={"media_ids": [media]})
    assert (early.status_code, "finished processing" in early.json()["error"]) == (422, True)


def test_a_photo_is_attached_once_and_only_by_its_owner(network: Network, ann: httpx.Client) -> None:
    media = upload(ann, b"x", "image/jpeg").json()["id"]
    with join(network, "bob") as bob:
        assert bob.get(f"/api/v1/media/{media}").status_code == 404
        assert bob.post("/api/v1/statuses", json={"media_ids": [media]}).status_code == 422
    assert ann.post("/api/v1/statuses", json={"media_ids": [media]}).status_code == 200
    assert "already attached" in ann.post("/api/v1/statuses", json={"media_ids": [media]}).json()["error"]


@pytest.mark.parametrize("path", ["/media/x/original.jpeg", "/media/../bot.token", "/media/%2e%2e/bot.token"])
def test_nothing_else_is_served(network: Network, path: str) -> None:
    assert get(f"{network.url}{path}").status_code == 404
