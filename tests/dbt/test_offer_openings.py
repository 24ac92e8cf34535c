"""The first impression ever opens the only journey of an account and an offer, however long ago it was.

No run reads all impressions for it: days are kept by arrival, and summed up on the first of each month.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from loaders.warehouse.client import warehouse_of
from runs.dbt import build
from runs.history import ensure_history_tables
from runs.history_models import history_models
from runs.publish import publish
from runs.published import published_marts
from segue.window import HistoryWindow, RunWindow
from tests.dbt.conftest import Row, Warehouse, WarehouseFactory, account, at, day
from tests.dbt.march import impression
from tests.judged import let_through

DAYS, FIRSTS = "int_offer_impression_days", "int_offer_first_impressions"


def shown(number: int, account_id: str, occurred: str, arrived: str | None = None) -> Row:
    row = impression(number, account_id, occurred)
    return row | {"ingested_at": at(arrived)} if arrived else row


@pytest.fixture(scope="module")
def warehouse(new_warehouse: WarehouseFactory) -> Warehouse:
    """Five accounts that saw one offer in winter, and what became of them until April."""
    warehouse = new_warehouse("openings")
    ensure_history_tables(warehouse_of(warehouse.settings), history_models(warehouse.settings.dbt_manifest))
    warehouse.land("accounts", [
        account("plain"), account("kept"), account("old"), account("ahead"),
        account("staff", is_employee=True),
        account("staff", ingested_at=at("2026-02-05 05:00")),
        account("old", merged_into="kept", ingested_at=at("2026-02-10 05:00")),
        account("ahead", merged_into="kept", ingested_at=at("2026-03-02 05:00")),
        # Known by its impressions only, until the middle of March; merged away already.
        account("late", merged_into="kept", ingested_at=at("2026-03-11 05:00")),
    ])  # fmt: skip
    warehouse.land("offer_impressions", [
        # What a control arm would have been shown opens nothing.
        shown(13, "plain", "2026-01-05 08:00") | {"is_shown": False},
        shown(1, "plain", "2026-01-10 08:00"),
        shown(2, "plain", "2026-03-04 08:00"),
        # Delivered once more, long after.
        shown(1, "plain", "2026-01-10 08:00", "2026-03-12 08:00"),
        # The first counts for the account itself, the second for whom it had become.
        shown(3, "old", "2026-01-12 08:00"),
        shown(4, "old", "2026-02-12 08:00"),
        shown(5, "kept", "2026-03-12 08:00"),
        # Set apart until 5 February.
        shown(6, "staff", "2026-01-15 08:00"),
        shown(7, "staff", "2026-02-08 08:00"),
        shown(8, "staff", "2026-03-12 08:00"),
        # By a clock that is ahead: on the first of March it tells of the second, when the account was merged.
        shown(9, "ahead", "2026-02-20 08:00"),
        shown(10, "ahead", "2026-03-02 00:30", "2026-03-01 23:00"),
        shown(11, "late", "2026-02-01 08:00"),
        shown(12, "late", "2026-03-03 08:00"),
    ])  # fmt: skip
    return warehouse


def run(warehouse: Warehouse, on: str, days_from: str, firsts_from: str) -> RunWindow:
    """A run of one day that builds the history from these days on."""
    history = HistoryWindow(
        first_days={DAYS: day(days_from), FIRSTS: day(firsts_from)},
        raw_read_at=datetime.now(UTC),
        code_version="code",
    )
    window = RunWindow.whole(warehouse.settings, day(on), day(on)).model_copy(update={"history": history})
    build(warehouse.settings, window, ["+int_offer_openings"])
    return window


def publish_history(warehouse: Warehouse, window: RunWindow) -> None:
    marts = [mart for mart in published_marts(warehouse.settings.dbt_manifest) if mart.name in (DAYS, FIRSTS)]
    let_through(warehouse.settings, window, marts)
    publish(warehouse.settings, window, marts)


def openings(warehouse: Warehouse, window: RunWindow) -> list[tuple[Any, ...]]:
    return warehouse.rows(f"{window.audit_dataset}.int_offer_openings", "account_id, opened_at", "1, 2")


def test_what_was_shown_long_ago_is_known_without_reading_it_again(warehouse: Warehouse) -> None:
    # On 5 March everything is built from raw …
    first = run(warehouse, "2026-03-05", "2026-01-01", "2026-01-01")
    publish_history(warehouse, first)
    # … of which nothing is left to read on the twelfth.
    warehouse.query("delete from raw.offer_impressions where arrival_date < date '2026-03-06'")
    second = run(warehouse, "2026-03-12", "2026-03-06", "2026-03-13")

    assert openings(warehouse, first) == [
        ("ahead", "2026-02-20 08:00"),
        ("kept", "2026-02-12 08:00"),
        ("old", "2026-01-12 08:00"),
        ("plain", "2026-01-10 08:00"),
        ("staff", "2026-02-08 08:00"),
    ]
    # The account that has become known now speaks for the days before: its first impression was of another's.
    assert openings(warehouse, second) == [
        ("ahead", "2026-02-20 08:00"),
        ("kept", "2026-02-01 08:00"),
        ("old", "2026-01-12 08:00"),
        ("plain", "2026-01-10 08:00"),
        ("staff", "2026-02-08 08:00"),
    ]

    publish_history(warehouse, second)
    # The next checkpoint is summed up from the days as they were kept.
    third = run(warehouse, "2026-04-01", "2026-03-13", "2026-04-01")
    assert openings(warehouse, third) == openings(warehouse, second)
    assert warehouse.rows(
        f"{third.audit_dataset}.{FIRSTS}",
        "known_date, account_id, occurred_at",
        "2, 3",
        "account_id != 'late'",
    ) == [
        ("2026-04-01", "ahead", "2026-02-20 08:00"),
        ("2026-04-01", "ahead", "2026-03-02 00:30"),
        ("2026-04-01", "kept", "2026-03-12 08:00"),
        ("2026-04-01", "old", "2026-01-12 08:00"),
        ("2026-04-01", "old", "2026-02-12 08:00"),
        ("2026-04-01", "plain", "2026-01-10 08:00"),
        ("2026-04-01", "staff", "2026-01-15 08:00"),
        ("2026-04-01", "staff", "2026-02-08 08:00"),
        ("2026-04-01", "staff", "2026-03-12 08:00"),
    ]
