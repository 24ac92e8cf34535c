"""What an engineer sees in the browser: both DAGs, a green backfill, the data docs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from local.platform import Platform
from segue.settings import PROJECT_ROOT
from tests.e2e.orders import Story

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]

SCREENSHOTS = PROJECT_ROOT / "docs" / "images"
"""Where the README's pictures are; they are renewed when SEGUE_KEEP_SCREENSHOTS is set."""

# Without these Chromium calls home, many times a second, into a network that is not there.
QUIET = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page of Debian's Chromium, without a window."""
    chromium = shutil.which("chromium") or pytest.fail("no chromium: run `make browser`", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=[*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        )
        yield browser.new_page(viewport={"width": 1400, "height": 800})
        browser.close()


def keep(page: Page, name: str, tmp_path: Path) -> Path:
    """A screenshot, for the README when it is asked for."""
    folder = SCREENSHOTS if os.environ.get("SEGUE_KEEP_SCREENSHOTS") else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / name)
    return folder / name


@pytest.mark.usefixtures("airflow")
def test_the_ui_lists_both_dags(platform: Platform, page: Page, tmp_path: Path) -> None:
    page.goto(f"{platform.airflow_url}/dags")
    for dag_id in ("daily_marts", "offer_segments"):
        page.get_by_role("link", name=dag_id, exact=True).first.wait_for(timeout=30_000)

    assert keep(page, "airflow-dags.png", tmp_path).stat().st_size > 10_000


def test_a_backfill_run_is_green_in_the_ui(
    platform: Platform, story: Story, page: Page, tmp_path: Path
) -> None:
    page.goto(f"{platform.airflow_url}/dags/daily_marts/runs/{story.second_backfill[0].run_id}")
    page.get_by_text("Success").first.wait_for(timeout=30_000)
    page.get_by_text("publish").first.wait_for(timeout=30_000)

    assert keep(page, "airflow-backfill.png", tmp_path).stat().st_size > 10_000


@pytest.mark.usefixtures("story")
def test_the_data_docs_show_what_was_expected_of_a_mart(platform: Platform, page: Page) -> None:
    pages = (platform.state_dir / "results").glob(
        "data_docs/audit_*/validations/fct_subscription_daily/**/*.html"
    )
    page.goto(max(pages).as_uri())

    # The page takes its styles from the internet, so that nothing of it may count as visible here.
    page.get_by_text("values must never be null").first.wait_for(state="attached", timeout=30_000)
