"""Chromium (or Chrome) for tests, without a window and without asking anybody on the network."""

import contextlib
import importlib.util
import shutil

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
OPTIONS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]

needs_browser = [
    pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine"),
    pytest.mark.skipif(not importlib.util.find_spec("playwright"), reason="playwright is missing"),
]


@contextlib.contextmanager
def launched():
    """The browser, driven by Playwright, until the end of the context."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        chromium = player.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        yield chromium
        chromium.close()
