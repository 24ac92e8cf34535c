"""Feeds that begin on different days: each speaks for itself, and what a day knew stays what it knew."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.dbt.conftest import Row, Warehouse, WarehouseFactory, account, at, day, event, plan, rate

DATASET = "audit_20260308"


def eur(amount: str) -> dict[str, Any]:
    return {"plan_id": "solo", "price_amount": Decimal(amount), "currency": "EUR", "interval": "month"}


def price(amount: str, since: str, arrived: str) -> Row:
    return {
        "plan_id": "solo", "market": "SE", "currency": "EUR", "valid_from": day(since),
        "price_amount": Decimal(amount), "tax_inclusive": True, "ingested_at": at(f"{arrived} 06:00"),
    }  # fmt: skip


def member(arrived: str, left: str | None = None) -> Row:
    return {
        "subscription_id": "s1", "account_id": "a2", "role": "member", "joined_at": at("2026-03-01 13:00"),
        "left_at": at(left) if left else None, "ingested_at": at(arrived),
    }  # fmt: skip


def score(points: str, arrived: str) -> Row:
    return {
        "model": "winback", "account_id": "a1", "score": float(points), "scored_at": at("2026-03-05 04:00"),
        "ingested_at": at(arrived),
    }  # fmt: skip


@pytest.fixture(scope="module")
def built(new_warehouse: WarehouseFactory) -> Warehouse:
    """Events from the first on, accounts from the fifth, rates from the fourth; one range knows all of it."""
    warehouse = new_warehouse("feeds-begin-later")
    # The catalogue comes every day; on the sixth the plan has become one for two, with more seats.
    warehouse.land(
        "plans",
        [
            *(plan("solo", "individual", "month", f"2026-03-0{n} 06:00") for n in range(1, 6)),
            plan("solo", "duo", "month", "2026-03-06 06:00") | {"seats": 2},
        ],
    )
    warehouse.land(
        "plan_prices",
        [
            price(amount, since, f"2026-03-0{n}")
            for n in range(1, 8)
            for amount, since in (("9", "2026-01-01"), ("10", "2026-03-20"))
        ],
    )
    warehouse.land(
        "subscription_events",
        [
            event("s1", "a1", "started", "2026-03-01 12:00", **eur("10")),
            event("s1", "a1", "price_changed", "2026-03-03 12:00", price_amount=Decimal("12")),
        ],
    )
    warehouse.land(
        "plan_members", [member("2026-03-02 10:00"), member("2026-03-04 10:00", "2026-03-04 09:00")]
    )
    warehouse.land("fx_rates", [rate("EUR", "1.1", on="2026-03-04")])
    arrived = {"ingested_at": at("2026-03-05 12:00")}
    warehouse.land("accounts", [account(name) | arrived for name in ("a1", "a2")])
    warehouse.land("scores", [score("0.4", "2026-03-05 05:00"), score("0.7", "2026-03-07 05:00")])
    warehouse.build("2026-03-01", "2026-03-08", select=["+fct_subscription_daily", "+fct_account_features"])
    warehouse.build("2026-03-02", "2026-03-02", select=["+fct_subscription_daily"])
    return warehouse


def features(built: Warehouse, columns: str, account_id: str = "a1") -> list[tuple[Any, ...]]:
    return built.rows(
        f"{DATASET}.fct_account_features",
        f"extract(day from feature_date), {columns}",
        "1",
        f"account_id = '{account_id}'",
    )


def test_until_an_account_is_known_its_subscription_counts_in_no_market(built: Warehouse) -> None:
    assert built.rows("audit_20260302.fct_subscription_daily", "market, mrr_amount", "1") == [("ZZ", "10.00")]
    assert built.rows(
        f"{DATASET}.fct_subscription_daily", "extract(day from snapshot_date), mrr_amount", "1"
    ) == [(n, "10.00" if n < 3 else "12.00") for n in range(1, 9)]


def test_a_day_without_any_rate_is_without_dollars(built: Warehouse) -> None:
    assert built.rows(
        f"{DATASET}.fct_subscription_daily", "extract(day from snapshot_date), mrr_usd_amount", "1"
    ) == [(1, None), (2, None), (3, None), *((n, "13.20") for n in range(4, 9))]


def test_a_life_and_a_stay_have_one_version_a_day_when_accounts_begin_later(built: Warehouse) -> None:
    assert features(built, "subscription_count, is_payer") == [(n, 1, True) for n in range(1, 9)]
    # The second arrival brings the end; the first feed of members speaks for the day before it.
    assert features(built, "is_member", "a2") == [(n, n < 4) for n in range(1, 9)]


def test_a_plan_is_what_the_day_knew_of_it(built: Warehouse) -> None:
    assert features(built, "plan_kind, seats") == [
        (n, *(("individual", 1) if n < 6 else ("duo", 2))) for n in range(1, 9)
    ]


def test_a_price_raise_is_known_from_the_first_catalogue_that_had_it(built: Warehouse) -> None:
    """However often the catalogue is delivered again."""
    assert features(built, "price_raise_date") == [(n, "2026-03-20") for n in range(1, 9)]


def test_a_score_that_is_delivered_again_is_another_one_from_then_on(built: Warehouse) -> None:
    assert built.rows(
        f"{DATASET}.int_account_scores, unnest(model_scores) as scored",
        "extract(day from feature_date), scored.score_points",
        "1",
        "account_id = 'a1'",
    ) == [(5, 4000), (6, 4000), (7, 7000), (8, 7000)]
