"""The sandbox's page in a real browser; the test itself plays the bot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import chromium, needs_browser
from tests.photos import portrait_jpeg
from tests.sandbox import Network, join, sandbox

pytestmark = [pytest.mark.e2e, needs_browser]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(network: Network, browser: Browser) -> Iterator[Page]:
    """A fresh visitor; nothing may be asked of another origin, and nothing may go wrong unseen."""
    asked: list[str] = []
    wrong: list[str] = []
    with browser.new_context(viewport={"width": 360, "height": 740}) as context:
        visitor = context.new_page()
        visitor.set_default_timeout(5000)
        visitor.on("request", lambda request: asked.append(request.url))
        visitor.on("pageerror", lambda error: wrong.append(str(error)))
        visitor.goto(network.url)
        expect(visitor.locator("#link-state")).to_have_text("live")
        yield visitor
    assert wrong == []
    assert all(url.startswith((network.url, f"blob:{network.url}")) for url in asked)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "me.jpg"
    file.write_bytes(portrait_jpeg(64, 64))
    return file


def answer(network: Network, text: str) -> None:
    """Reply to the newest mention, as the bot does: unlisted, in the thread."""
    with network.bot() as bot:
        told: Any = bot.get("/api/v1/notifications", params={"limit": 1}).json()[0]
        body = {
            "status": f"@{told['account']['acct']} {text}",
            "in_reply_to_id": told["status"]["id"],
            "visibility": "unlisted",
        }
        bot.post("/api/v1/statuses", json=body).raise_for_status()


def ask(page: Page, photo: Path, text: str = "") -> None:
    posts = page.locator(".posts > li").count()
    page.set_input_files("#file", photo)
    page.get_by_label("Your words").fill(text)
    page.get_by_role("button", name="Ask deepselfie").click()
    expect(page.locator(".posts > li")).to_have_count(posts + 1)
    # The stream may show the post before its request is answered; what that announces is over then.
    expect(page.locator(".print")).to_have_count(0)


def test_a_photo_is_posted_and_its_score_appears_without_reloading(
    network: Network, page: Page, photo: Path
) -> None:
    page.set_input_files("#file", photo)
    page.get_by_label("Describe photo 1").fill("An astronaut")
    page.get_by_label("Your words").fill("Be <b>honest</b> https://example.com/")
    page.get_by_role("button", name="Ask deepselfie").click()
    post = page.locator(".posts > li").first
    expect(post.locator(".looking")).to_contain_text("deepselfie is looking")
    expect(post.get_by_role("img", name="An astronaut")).to_have_js_property("naturalWidth", 64)
    expect(post.locator(".words").first).to_contain_text("@deepselfie Be <b>honest</b>")
    expect(post.get_by_role("link", name="example.com")).to_have_attribute("href", "https://example.com/")
    answer(network, "73/100, better than 83 % of selfies.")
    reply = post.locator(".replies .verdict")
    expect(reply.locator(".score b")).to_have_text("73")
    expect(reply.locator(".words")).to_have_text("73/100, better than 83 % of selfies.")
    expect(reply.locator(".took")).to_have_text(re.compile(r"^answered in \d\.\d s$"))
    expect(post.locator(".looking")).to_have_count(0)
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^deepselfie answered in .*: 73/100, better"))


def test_a_reply_that_overtakes_the_post_is_what_is_announced(
    network: Network, page: Page, photo: Path
) -> None:
    def hold_back(route: Route) -> None:
        sent = route.fetch()
        answer(network, "73/100")
        expect(page.locator(".posts > li").first.locator(".verdict")).to_contain_text("73")
        route.fulfill(response=sent)

    page.route("**/api/v1/statuses", hold_back)
    ask(page, photo)

    expect(page.get_by_role("status")).to_have_text(re.compile(r"^deepselfie answered in .*: 73/100"))


def test_it_all_works_by_keyboard_alone(network: Network, page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the posts")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator("#file")).to_be_focused()
    expect(page.locator("#finder")).to_have_css("outline-style", "solid")
    page.keyboard.press("Tab")
    page.keyboard.type("hello")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".posts > li").first).to_contain_text("@deepselfie hello")
    answer(network, "Hi!")
    expect(page.locator(".posts > li").first.locator(".verdict")).to_contain_text("Hi!")


def test_an_empty_post_is_explained_and_so_is_what_is_no_photo(page: Page, tmp_path: Path) -> None:
    page.get_by_role("button", name="Ask deepselfie").click()
    expect(page.get_by_role("alert")).to_have_text("Choose a photo first, or paste a link to one.")
    notes = tmp_path / "notes.txt"
    notes.write_text("no photo")
    page.set_input_files("#file", notes)
    expect(page.get_by_role("alert")).to_contain_text("notes.txt is no photo")


@pytest.mark.parametrize("name", ["me.HEIC", "me.avif"])
def test_a_photo_that_the_browser_may_not_know_can_be_chosen(page: Page, photo: Path, name: str) -> None:
    page.set_input_files("#file", photo.rename(photo.with_name(name)))
    expect(page.locator(".print")).to_have_count(1)
    expect(page.get_by_role("alert")).to_be_empty()


def test_up_to_four_photos_are_chosen_and_removed(page: Page, photo: Path) -> None:
    page.set_input_files("#file", [photo] * 5)
    expect(page.get_by_role("alert")).to_contain_text("Up to four photos")
    expect(page.locator(".print")).to_have_count(4)
    page.get_by_role("button", name="Remove photo 4, me.jpg").click()
    expect(page.locator(".print")).to_have_count(3)
    expect(page.get_by_role("button", name="Remove photo 3")).to_be_focused()


def test_the_servers_refusal_is_shown_and_a_retry_posts_once(
    network: Network, page: Page, photo: Path
) -> None:
    fault = {"endpoint": "POST /api/v1/statuses", "kind": "error_after_success", "times": 1}
    with network.bot() as bot:
        bot.put("/sandbox/faults", json={"faults": [fault]}).raise_for_status()
        page.set_input_files("#file", photo)
        page.get_by_role("button", name="Ask deepselfie").click()
        expect(page.get_by_role("alert")).to_have_text("Something went wrong on the server")
        expect(page.locator(".print")).to_have_count(1)
        before = len(bot.get("/api/v1/notifications").json())
        page.get_by_role("button", name="Ask deepselfie").click()
        expect(page.locator(".print")).to_have_count(0)
        assert len(bot.get("/api/v1/notifications").json()) == before


def test_a_reply_arrives_though_the_stream_broke(network: Network, page: Page, photo: Path) -> None:
    ask(page, photo)
    fault = {"endpoint": "GET /api/v1/streaming", "kind": "stream_closes", "when": "now", "times": 2}
    with network.bot() as bot:
        bot.put("/sandbox/faults", json={"faults": [fault]}).raise_for_status()
    answer(network, "Photo 1: 81/100\nPhoto 2: 12/100")
    expect(page.locator(".posts > li").first.locator(".score b")).to_have_text(["81", "12"], timeout=9000)
    expect(page.locator("#link-state")).to_have_text("live")


def test_the_scores_of_several_photos_are_shown_whatever_language_they_come_in(
    network: Network, page: Page, photo: Path
) -> None:
    ask(page, photo)
    answer(
        network, "1位は写真2\uff1a\n写真2\uff1a81/100\uff08プレビュー画像\uff09\nPhoto\u00a01\u00a0: 12/100"
    )
    score = page.locator(".posts > li").first.locator(".score")
    expect(score.locator("b")).to_have_text(["81", "12"])
    expect(score.locator("em")).to_have_text(["Photo 2", "Photo 1"])


HEAR = """() => {
    window.heard = [];
    const status = document.getElementById("announcer");
    new MutationObserver(() => heard.push(status.textContent)).observe(status, { childList: true });
}"""


def test_who_cannot_see_hears_once_that_no_answer_came(network: Network, page: Page, photo: Path) -> None:
    with join(network, "somebody_else") as other:
        other.post("/api/v1/statuses", json={"status": "@deepselfie not mine"}).raise_for_status()
    expect(page.get_by_text("not mine")).to_be_visible()
    ask(page, photo)
    expect(page.locator(".looking").first).to_contain_text("deepselfie is looking")
    page.evaluate(HEAR)
    a_minute_later = "(now => { Date.now = () => now() + 61000; })(Date.now)"
    page.evaluate(a_minute_later)
    late = page.get_by_text("No answer yet. Is the bot running?").and_(page.locator(".state"))
    expect(late.nth(1)).to_be_visible()
    page.wait_for_timeout(300)
    assert page.evaluate("heard") == ["No answer yet. Is the bot running?"]
    page.add_init_script(a_minute_later)
    page.reload()
    expect(page.locator("#link-state")).to_have_text("live")
    expect(late.nth(1)).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("")


def test_who_cannot_see_hears_once_that_the_link_broke_and_once_that_it_is_back(
    network: Network, page: Page
) -> None:
    stream = "GET /api/v1/streaming"
    faults = [
        {"endpoint": stream, "kind": "stream_closes", "when": "now"},
        {"endpoint": stream, "kind": "rate_limited"},
    ]
    expect(page.get_by_role("status")).to_have_text("")
    page.evaluate(HEAR)
    with network.bot() as bot:
        bot.put("/sandbox/faults", json={"faults": faults}).raise_for_status()
        expect(page.locator("#link-state")).to_have_text("reconnecting")
        while bot.get("/sandbox/faults").json()["faults"][1]["struck"] < 2:
            page.wait_for_timeout(100)
        bot.delete("/sandbox/faults").raise_for_status()
    expect(page.locator("#link-state")).to_have_text("live", timeout=9000)
    assert page.evaluate("heard") == ["The connection is lost. Reconnecting.", "Connected again."]


def test_a_guest_is_remembered_and_their_posts_are_still_there(page: Page, photo: Path) -> None:
    ask(page, photo, "remember me")
    name = page.locator("#guest-name").inner_text()
    page.reload()
    expect(page.locator("#guest-name")).to_have_text(name)
    expect(page.locator(".posts > li").first).to_contain_text("remember me")


def test_an_open_page_joins_anew_when_the_network_was_started_afresh(
    browser: Browser, tmp_path: Path, photo: Path
) -> None:
    with browser.new_context() as context:
        visitor = context.new_page()
        with sandbox(tmp_path / "before") as network:
            visitor.goto(network.url)
            expect(visitor.locator("#link-state")).to_have_text("live")
        expect(visitor.locator("#link-state")).to_have_text("reconnecting")
        with sandbox(tmp_path / "after", port=int(network.url.rpartition(":")[2])):
            expect(visitor.locator("#link-state")).to_have_text("live", timeout=20_000)
            ask(visitor, photo)


def test_hostile_posts_cannot_act_on_the_page(network: Network, page: Page, photo: Path) -> None:
    ask(page, photo, "<img src=x onerror=alert(1)> javascript:alert(1)")
    answer(network, "<script>alert(1)</script>")
    post = page.locator(".posts > li").first
    expect(post.locator(".verdict .words")).to_have_text("<script>alert(1)</script>")
    expect(post.locator(".words img, .words script, a[href^=javascript]")).to_have_count(0)


def test_nothing_is_wider_than_a_phone(page: Page, photo: Path) -> None:
    ask(page, photo, "w" * 300)
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_an_empty_network_says_what_to_do(browser: Browser, tmp_path: Path) -> None:
    with sandbox(tmp_path) as fresh, browser.new_context(reduced_motion="reduce") as context:
        visitor = context.new_page()
        visitor.goto(fresh.url)
        expect(visitor.get_by_text("No posts yet. Choose a photo")).to_be_visible()


def test_the_scripts_stay_short_and_never_parse_markup_into_the_page(repository: Path) -> None:
    scripts = [file.read_text() for file in (repository / "bot/sandbox/page").glob("*.js")]
    assert sum(script.count("\n") for script in scripts) <= 400
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", "".join(scripts))
