"""A person, a browser, and a whole bot behind the page."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from bot.demo import started
from tests.browser import chromium, needs_browser
from tests.photos import portrait_jpeg

pytestmark = [pytest.mark.e2e, needs_browser]


def test_a_person_posts_a_real_photo_in_the_page_and_reads_the_reply(tmp_path: Path) -> None:
    photo = tmp_path / "portrait.jpg"
    photo.write_bytes(portrait_jpeg(1024, 1024))
    with started(tmp_path, 0, lambda _name, _event: None) as bot, chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 1010}, reduced_motion="reduce")
        page.goto(bot.url)
        page.set_input_files("#file", photo)
        page.get_by_label("Describe photo 1").fill("A smiling astronaut in an orange suit")
        page.get_by_label("Your words").fill("First day in the suit. Be honest.")
        page.get_by_role("button", name="Ask deepselfie").click()

        reply = page.locator(".posts > li").first.locator(".verdict")
        expect(reply.locator(".score b")).to_have_text(re.compile(r"^\d{1,3}$"), timeout=15_000)
        expect(reply.locator(".words")).to_contain_text(
            re.compile(r"Better than \d+% of the drawn portraits")
        )
        expect(reply.locator(".words")).to_contain_text("I learned from drawn portraits only")
        expect(page.get_by_role("status")).to_contain_text("deepselfie answered in")

        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=os.environ.get("SCREENSHOT", tmp_path / "page.png"))
