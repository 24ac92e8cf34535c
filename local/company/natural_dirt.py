"""Counts the dirt that the company's life brings by itself, for the manifest: nothing is added here."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.landing.contracts import EVENT_TABLES
from local.company.columns import Ints
from local.company.spec import DAY_US, CompanySpec, Manifest

TIMED_TABLES = (*EVENT_TABLES, "payments", "offer_impressions", "offer_clicks", "checkouts")
ZERO_DECIMAL_CURRENCY = "JPY"


def integers(table: pa.Table, column: str) -> Ints:
    """Timestamps as microseconds and dates as days, both since 1970."""
    chunk = table[column].combine_chunks()
    if pa.types.is_date32(chunk.type):
        chunk = chunk.cast(pa.int32())
    values: Ints = chunk.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return values


def count_currency_changes(events: pa.Table, table: str, manifest: Manifest) -> None:
    """``currency_changes``: events in another currency than the event before, of one subscription.

    ``events`` of one landing table are clean and in the order of subscriptions and times.
    """
    said = events.filter(events["currency"].is_valid())
    subscription, currency = (
        said[column].combine_chunks().dictionary_encode().indices.to_numpy()
        for column in ("subscription_id", "currency")
    )
    changed = (subscription[1:] == subscription[:-1]) & (currency[1:] != currency[:-1])
    days = integers(said, "ingested_at")[1:][changed] // DAY_US
    manifest.count_dirt("currency_changes", table, days)


def count_natural_dirt(spec: CompanySpec, tables: dict[str, pa.Table], manifest: Manifest) -> None:
    """Rows as they will be written, dirt of other kinds included.

    ``late_events``: happened within the window and arrive on a later day. ``out_of_order_events``: arrive
    right after an event of their subscription that happened later. ``daylight_saving_events``: happened on a
    day on which Europe or the United States change their clocks. ``zero_decimal_amounts``: payments in yen.
    ``test_accounts``, ``employee_accounts``: account versions that say so.
    """
    switches = np.array([_day_number(day) for day in daylight_saving_days(spec.first_day, spec.end_date)])
    for name in TIMED_TABLES:
        occurred = integers(tables[name], "occurred_at")
        arrived = integers(tables[name], "ingested_at") // DAY_US
        late = (occurred >= spec.start_us) & (occurred // DAY_US < arrived)
        manifest.count_dirt("late_events", name, arrived[late])
        manifest.count_dirt("daylight_saving_events", name, arrived[np.isin(occurred // DAY_US, switches)])
    arrived = integers(tables["engagement_daily"], "ingested_at") // DAY_US
    late = integers(tables["engagement_daily"], "day") < arrived
    manifest.count_dirt("late_events", "engagement_daily", arrived[late])
    for name in EVENT_TABLES:
        _count_out_of_order(tables[name], name, manifest)
    for kind, name, mask in (
        ("zero_decimal_amounts", "payments", pc.equal(tables["payments"]["currency"], ZERO_DECIMAL_CURRENCY)),
        ("test_accounts", "accounts", tables["accounts"]["is_test"]),
        ("employee_accounts", "accounts", tables["accounts"]["is_employee"]),
    ):
        manifest.count_dirt(kind, name, integers(tables[name].filter(mask), "ingested_at") // DAY_US)


def _count_out_of_order(events: pa.Table, table: str, manifest: Manifest) -> None:
    subscription = events["subscription_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    occurred, arrived = integers(events, "occurred_at"), integers(events, "ingested_at")
    order = np.lexsort((occurred, arrived, subscription))
    subscription, occurred, arrived = subscription[order], occurred[order], arrived[order]
    behind = (subscription[1:] == subscription[:-1]) & (occurred[1:] < occurred[:-1])
    manifest.count_dirt("out_of_order_events", table, arrived[1:][behind] // DAY_US)


def _day_number(day: date) -> int:
    return (day - datetime(1970, 1, 1, tzinfo=UTC).date()).days


def daylight_saving_days(first: date, last: date) -> list[date]:
    """Days in [first, last] on which clocks change in the European Union or in the United States."""
    days = []
    for year in range(first.year, last.year + 1):
        march, november = date(year, 3, 1), date(year, 11, 1)
        days += [
            _sunday(march) + timedelta(days=7),
            _sunday(date(year, 3, 25)),
            _sunday(date(year, 10, 25)),
            _sunday(november),
        ]
    return [day for day in days if first <= day <= last]


def _sunday(day: date) -> date:
    """The first Sunday on or after ``day``."""
    return day + timedelta(days=6 - day.weekday())
