"""The report of an evaluation, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from model.card import Label
from model.evaluation.command import evaluate
from model.evaluation.judged import Judged, judged
from model.evaluation.measurement import measure
from model.evaluation.report import page
from model.judge import Judge
from tests.browser import chromium, needs_browser
from tests.judges import CARD, brightness_judge
from tests.judging import grey_dataset

CARD_OF = CARD.model_copy(update={"labels": (Label(name="bad", value=0), Label(name="good", value=1))})
HOSTILE = ["<script src='http://example.org/x.js'></script>", '"><img src=http://example.org/y>']


@pytest.fixture
def posts(tmp_path: Path) -> Judged:
    judge = Judge(brightness_judge(tmp_path / "judge.onnx", card=CARD_OF.model_dump_json()))
    examples = grey_dataset(tmp_path / "grey")
    (examples.folder / "photos/002.png").write_bytes(b"nonsense")
    hostile = np.resize(HOSTILE, 240)
    return judged(judge, replace(examples, columns=examples.columns | {"source": hostile}))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_photos_are_in_the_report_only_where_they_are_wanted(posts: Judged) -> None:
    measurement = measure(posts)

    assert page(posts, measurement, CARD_OF).count('src="data:image/jpeg;base64,') >= 24
    assert "<img" not in page(posts, measurement, CARD_OF, photos=False)


def test_the_same_evaluation_gives_the_same_report(posts: Judged) -> None:
    first, again = (page(posts, measure(posts, ["author"]), CARD_OF) for _ in range(2))
    assert first == again


def test_a_report_tells_nothing_of_the_machine_it_was_made_on(posts: Judged, tmp_path: Path) -> None:
    assert str(tmp_path) not in page(posts, measure(posts), CARD_OF)


def test_names_from_strangers_are_only_words(posts: Judged) -> None:
    html = page(posts, measure(posts, ["source"]), CARD_OF)

    assert "&lt;script src=" in html
    assert "<script" not in html
    assert "<img src=http" not in html


@pytest.mark.e2e
@needs_browser
@pytest.mark.parametrize("width", [360, 1280])
def test_a_report_opens_from_a_disk_without_asking_any_network(
    posts: Judged, tmp_path: Path, browser: Browser, width: int
) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(posts, measure(posts, ["source", "author"]), CARD_OF))
    context = browser.new_context(viewport={"width": width, "height": 800}, offline=True)
    opened = context.new_page()
    asked: list[str] = []
    told: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: told.append(message.text))
    opened.on("pageerror", lambda error: told.append(str(error)))
    opened.goto(file.as_uri())

    assert opened.get_by_role("heading", level=1).text_content() == "brightness 1"
    assert opened.get_by_text("1 photo left out").count() == 1
    assert opened.get_by_role("img", name="ROC curve").is_visible()
    photos = opened.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(photos) >= 24
    assert set(photos) == {144}
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert told == []
    context.close()


@needs_browser
@pytest.mark.e2e
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_can_be_read_by_day_and_by_night(
    posts: Judged, tmp_path: Path, browser: Browser, scheme: str
) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(posts, measure(posts), CARD_OF))
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    opened = context.new_page()
    opened.goto(file.as_uri())
    look = "getComputedStyle(document.body)"
    colours = [opened.evaluate(f"{look}.{name}") for name in ("color", "backgroundColor")]
    ink, paper = (sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 for colour in colours)

    assert (ink > paper) == (scheme == "dark")
    assert abs(ink - paper) > 150
    context.close()


def test_evaluate_writes_a_report_whole_or_not_at_all(tmp_path: Path) -> None:
    judge = brightness_judge(tmp_path / "judge.onnx", card=CARD_OF.model_dump_json())
    folder = grey_dataset(tmp_path / "grey").folder
    report = tmp_path / "out" / "report.html"
    report.parent.mkdir()

    assert evaluate([str(judge), str(folder), "--report", str(report), "--no-photos"]) == 0
    assert [file.name for file in report.parent.iterdir()] == ["report.html"]
    assert report.read_text().startswith("<!doctype html>")
    assert "<img" not in report.read_text()
