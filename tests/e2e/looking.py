"""A browser: Debian's Chromium without a window, for whoever looks at the UI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from segue.settings import PROJECT_ROOT

SCREENSHOTS: Final = PROJECT_ROOT / "docs" / "images"
"""Where the README's pictures are; they are renewed when SEGUE_KEEP_SCREENSHOTS is set."""

# Without these Chromium calls home, many times a second, into a network that is not there.
QUIET: Final = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
_VIEW: Final = {"width": 1400, "height": 800}


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser."""
    found = shutil.which("chromium") or pytest.fail("no chromium: run `make browser`", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=[*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        )
        yield browser
        browser.close()


def new_page(browser: Browser) -> Page:
    """A page of somebody who was never here before."""
    return browser.new_context(viewport=_VIEW).new_page()


def keep(page: Page, name: str, tmp_path: Path) -> Path:
    """A screenshot, for the documentation when it is asked for."""
    folder = SCREENSHOTS if os.environ.get("SEGUE_KEEP_SCREENSHOTS") else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / name)
    return folder / name
