"""A real Chromium for tests of the page."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright._impl._driver import compute_driver_executable
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
QUIET = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
ARGUMENTS = ["--headless=new", "--no-first-run", *QUIET.split()]


def _what_is_missing() -> str:
    if BROWSER is None:
        return "NO BROWSER: the page is UNTESTED; install chromium or google-chrome"
    driver, *_ = compute_driver_executable()
    started = subprocess.run([driver, "--version"], capture_output=True, text=True, check=False)
    if started.returncode:
        return f"NO BROWSER DRIVER: the page is UNTESTED; {started.stderr.strip()}"
    return ""


MISSING = _what_is_missing()
needs_browser = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield started
        started.close()
