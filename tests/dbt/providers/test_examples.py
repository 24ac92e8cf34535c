"""docs/providers.md: each complete row lands as it stands, and becomes the event that is shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from loaders.landing.notifications.stripe import READ
from segue.settings import PROJECT_ROOT
from tests.dbt.conftest import Row
from tests.dbt.providers.conftest import TABLES, Staging
from tests.loaders.landing.delivered import read_lines
from tests.loaders.landing.signed import AppStore

PAGE = (PROJECT_ROOT / "docs/providers.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


ROWS = [
    json.loads(each)
    for each in re.findall(r"```json\n(.*?)```", section("A complete row, and what it becomes"), re.S)
]
EXAMPLES = dict(
    zip(("stripe", "google_play", "app_store"), zip(ROWS[::2], ROWS[1::2], strict=True), strict=True)
)


def becomes(staging: Staging, folder: Path, provider: str, came: Row) -> dict[str, Any]:
    """The event of a row that lands as it came."""
    table, id_column = TABLES[provider]
    read = read_lines(folder, table, [came])
    assert read.refused == []
    [row] = read.accepted
    columns = {name: row[name] for name in ("payload", "purchase", "account_id") if row.get(name) is not None}
    [event] = staging.events(provider, {"example": columns}).values()
    return {
        "provider_event_id": row[id_column],
        "occurred_at": row["occurred_at"].strftime("%Y-%m-%d %H:%M:%S"),
    } | event


@pytest.mark.parametrize("provider", EXAMPLES)
def test_a_complete_row_becomes_the_event_that_is_shown(
    staging: Staging, tmp_path: Path, provider: str
) -> None:
    came, shown = EXAMPLES[provider]
    assert becomes(staging, tmp_path, provider, came) == shown


def test_what_the_app_store_posts_becomes_the_same(staging: Staging, tmp_path: Path) -> None:
    opened, shown = EXAMPLES["app_store"]
    assert becomes(staging, tmp_path, "app_store", AppStore().post(opened)) == shown


def test_the_page_lists_what_of_stripe_is_read() -> None:
    stripe = section("What to subscribe to").split("- **Stripe**")[1].split("- **")[0]
    assert set(re.findall(r"`([a-z_.]+)`", stripe)) == set(READ)
