"""The manifest's amounts, counted again in the files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.local.company.conftest import Company

IN_FILES = {
    "currency_changes": """
        select count(*) from (
            select event_type, currency, lag(currency) over (
                partition by subscription_id order by occurred_at, ingested_at
            ) as currency_before
            from canonical_events where provider_event_id not like '%-%' and currency is not null
        ) where currency <> currency_before""",
    "same_day_repeats": """
        select count(*) from offer_impressions as again
        inner join offer_impressions as first on again.impression_id = first.impression_id || '-repeat'
        where (again.account_id, again.offer_id, again.occurred_at)
            = (first.account_id, first.offer_id, first.occurred_at)""",
    "clock_skew": """
        select count(*) from offer_impressions where occurred_at > ingested_at
        and occurred_at <= ingested_at + interval 2 hour""",
    "orphan_clicks": """
        select count(*) from offer_clicks
        where impression_id not in (select impression_id from offer_impressions)""",
    "unknown_accounts": """
        select count(*) from offer_impressions where account_id not in (select account_id from accounts)""",
    "double_refunds": """
        select count(*) - count(distinct refunded_payment_id) from (
            select distinct payment_id, refunded_payment_id from payments where kind = 'refund'
            and occurred_at > timestamptz '2000-01-01' and occurred_at < ingested_at + interval 1 day
        )""",
    "period_end_before_start": """
        select count(*) from canonical_events where period_end_at < period_start_at""",
    "new_enum_values": "select count(*) from canonical_events where event_type = 'boosted'",
    "future_events": """
        select count(*) from (
            select occurred_at, ingested_at from offer_impressions
            union all select occurred_at, ingested_at from payments
        ) where occurred_at > ingested_at + interval 24 hour""",
    "events_of_1970": "select count(*) from payments where year(occurred_at) = 1970",
    "absurd_playing_times": "select count(*) from engagement_daily where ms_played = 9000000000000000",
    "account_merges": "select count(*) from accounts where merged_into is not null",
    "test_accounts": "select count(*) from accounts where is_test",
    "employee_accounts": "select count(*) from accounts where is_employee",
    "zero_decimal_amounts": "select count(*) from payments where currency = 'JPY'",
    "files_without_a_column": """
        select count(distinct filename) from engagement_daily where skips_blocked is null""",
}
EVENT_TABLES = ("canonical_events", "payments", "offer_impressions", "offer_clicks", "checkouts")
TIMES = " union all ".join(f"select occurred_at, ingested_at from {table}" for table in EVENT_TABLES)


@pytest.mark.parametrize("kind", list(IN_FILES))
def test_the_files_hold_the_manifests_amount(company: Company, kind: str) -> None:
    assert company.value(IN_FILES[kind]) == company.manifest.dirty[kind] > 0


def test_repeated_rows_are_duplicates_in_a_file_or_arrived_again(company: Company) -> None:
    same, later = 0, 0
    for table, key in (
        ("canonical_events", "provider, provider_event_id"),
        ("offer_impressions", "impression_id"),
        ("payments", "payment_id"),
    ):
        [(exact, again)] = company.rows(f"""
            select sum(copies - arrivals), sum(arrivals - 1) from (
                select count(distinct ingested_at) as arrivals, count(*) as copies from {table}
                group by {key}
            )""")
        same, later = same + exact, later + again

    assert (same, later) == (
        company.manifest.dirty["exact_duplicates"],
        company.manifest.dirty["redeliveries"],
    )


def test_late_and_out_of_order_events_are_counted(company: Company) -> None:
    late = company.value(f"""
        select count(*) from ({TIMES} union all select day, ingested_at from engagement_daily)
        where occurred_at >= timestamptz '2026-03-07' and occurred_at::date < ingested_at::date""")
    out_of_order = company.value("""
        select count(*) from (
            select occurred_at, lag(occurred_at) over (
                partition by subscription_id order by ingested_at, occurred_at
            ) as before
            from canonical_events
        ) where occurred_at < before""")
    clock_changes = company.value(f"""
        select count(*) from ({TIMES}) where occurred_at::date in (date '2026-03-08', date '2026-03-29')""")

    assert late == company.manifest.dirty["late_events"] > 0
    assert out_of_order == company.manifest.dirty["out_of_order_events"] > 0
    assert clock_changes == company.manifest.dirty["daylight_saving_events"] > 0


def test_totals_are_the_sums_of_their_days(company: Company) -> None:
    for kind, total in company.manifest.dirty.items():
        assert sum(days.total() for days in company.manifest.dirty_by_day[kind].values()) == total, kind


def test_events_are_late_by_minutes_some_by_days_none_by_more_than_fourteen(company: Company) -> None:
    waits = np.array(
        company.rows(f"""
            select epoch_us(ingested_at) - epoch_us(occurred_at) from ({TIMES})
            where occurred_at >= timestamptz '2026-03-07' and occurred_at <= ingested_at""")
    )
    minutes = waits / 60_000_000
    longest = company.value(f"""
        select max(date_diff('day', occurred_at::date, ingested_at::date)) from ({TIMES})
        where occurred_at >= timestamptz '2026-03-07'""")

    assert 1 < np.median(minutes) < 15
    assert 1 < np.quantile(minutes, 0.99) / 60 / 24 < 3
    assert 7 <= longest <= 14


def test_only_skewed_and_future_clocks_are_ahead_of_the_arrival(company: Company) -> None:
    ahead = company.value(f"select count(*) from ({TIMES}) where occurred_at > ingested_at")

    assert ahead == company.manifest.dirty["clock_skew"] + company.manifest.dirty["future_events"]


def test_a_merged_account_subscribes_and_survivors_are_not_merged_themselves(company: Company) -> None:
    assert (
        company.value("""
        select count(*) from accounts where merged_into is not null and (
            account_id not in (select account_id from canonical_events)
            or merged_into in (select account_id from accounts where merged_into is not null)
        )""")
        == 0
    )


def test_accounts_set_apart_subscribe_too(company: Company) -> None:
    assert company.value("select count(*) from truth_subscription_intervals where is_test") > 0


@pytest.mark.parametrize("seed", range(6))
def test_the_smallest_company_has_every_kind_and_refuses_little_of_any_day(
    small_company: Callable[[int], Company], seed: int
) -> None:
    manifest = small_company(seed).manifest
    missing = {kind for kind, amount in manifest.dirty.items() if not amount}
    shares = [
        refused / manifest.rows_by_day[table][day]
        for table, days in manifest.quarantined.items()
        for day, refused in days.items()
    ]

    assert missing == set()
    assert len(shares) >= 3
    assert max(shares) < 0.05


def test_a_large_company_refuses_less_than_a_hundredth_of_any_day(company: Company) -> None:
    shares = [
        refused / company.manifest.rows_by_day[table][day]
        for table, days in company.manifest.quarantined.items()
        for day, refused in days.items()
    ]

    assert max(shares) < 0.012
