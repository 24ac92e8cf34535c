"""The gate judges what a run built: critical failures stop it, warnings do not, everything is recorded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from expectations.drift import tolerated_rows
from loaders.warehouse.client import bigquery_client, ensure_dataset, run
from segue.settings import Settings

DAY = date(2026, 3, 10)

AUDIT_TABLES = """
create or replace table `{audit}.int_subscription_periods` as
select 's1' as subscription_id, 'a1' as account_id, 'started' as event_type, 'active' as state,
    timestamp '2026-03-10 09:00:00' as valid_from_at, timestamp '9999-12-31' as valid_to_at,
    false as is_conflicting_opening;

create or replace table `{audit}.fct_subscription_daily` as
select date '2026-03-10' as snapshot_date, 's1' as subscription_id, 'a1' as account_id, 'stripe' as provider,
    'DE' as market, 'individual-month' as plan_id, 'individual' as plan_kind, 'month' as billing_interval,
    'active' as state, false as is_trial, true as is_paid, true as was_active_at_day_end,
    false as was_active_at_day_start, 'EUR' as currency, cast(9.99 as numeric(38, 9)) as mrr_amount,
    cast(10.89 as numeric(38, 9)) as mrr_usd_amount, 0 as tenure_days;

create or replace table `{audit}.fct_subscriber_daily` as
select date '2026-03-10' as snapshot_date, 'a1' as account_id, true as is_payer, false as is_member,
    1 as subscription_count, cast(10.89 as numeric(38, 9)) as mrr_usd_amount;

create or replace table `{audit}.agg_subscribers_daily` as
select date '2026-03-10' as snapshot_date, 'DE' as market, 'individual' as plan_kind, 'stripe' as provider,
    'EUR' as currency, 1 as active_subscriptions, cast(9.99 as numeric(38, 9)) as mrr_amount,
    cast(10.89 as numeric(38, 9)) as mrr_usd_amount;

create or replace table `{audit}.fct_offer_journey` as
select date '2026-03-10' as journey_date, 'a1' as account_id, 'o1' as offer_id,
    timestamp '2026-03-10 08:00:00' as opened_at, 2 as impressions, 1 as clicks, 1 as checkouts,
    timestamp '2026-03-10 09:00:00' as converted_at, false as is_mature;

create or replace table `{audit}.agg_conversions_daily` as
select date '2026-03-10' as journey_date, 'o1' as offer_id, 'home' as surface, 'DE' as market,
    'none' as variant, 2 as impressions, 0 as mature_impressions, 1 as reach;

create or replace table `{audit}.offer_segments` as
select date '2026-03-10' as segment_date, 'a1' as account_id, 'DE' as market,
    [struct('o1' as offer_id, 10 as priority)] as offers, cast(null as string) as suppressed_reason,
    timestamp '2026-03-12 00:00:00' as valid_until_at;
"""


@pytest.fixture(scope="module")
def settings(world: Callable[..., Settings]) -> Settings:
    return world("gate")


@pytest.fixture(autouse=True)
def audit(settings: Settings) -> str:
    """A clean audited day, made anew for each test."""
    client = bigquery_client(settings)
    for dataset in (settings.audit_dataset(DAY), settings.marts_dataset):
        ensure_dataset(client, settings, dataset)
    name = f"{settings.project_id}.{settings.audit_dataset(DAY)}"
    run(client, AUDIT_TABLES.format(audit=name))
    return name


def change(settings: Settings, audit: str, sql: str) -> None:
    run(bigquery_client(settings), sql.format(audit=audit))


def test_a_clean_day_passes_and_every_result_is_recorded(settings: Settings) -> None:
    from expectations.gate import validate

    result = validate(settings, DAY, DAY, DAY)

    assert (result.failures, result.warnings) == ([], [])
    assert {outcome.model for outcome in result.outcomes} == {
        "int_subscription_periods", "fct_subscription_daily", "fct_subscriber_daily", "agg_subscribers_daily",
        "fct_offer_journey", "agg_conversions_daily", "offer_segments",
    }  # fmt: skip
    recorded = bigquery_client(settings).query_and_wait(
        f"select count(*) as rows_ from `{settings.project_id}.ops.validation_results` "
        f"where run_date = date '{DAY}'"
    )
    assert [row.rows_ for row in recorded] == [len(result.outcomes)]
    assert "fct_subscription_daily" in result.data_docs.read_text()


def test_the_last_day_of_a_month_is_no_time_zone(settings: Settings) -> None:
    """Great Expectations reads a run's name as its time when it gets no other, and "-31" as a UTC offset."""
    from expectations.gate import validate

    first, last = date(2026, 3, 1), date(2026, 3, 31)
    ensure_dataset(bigquery_client(settings), settings, settings.audit_dataset(last))
    tables = AUDIT_TABLES.replace("2026-03-12", "2026-04-03").replace("2026-03-10", "2026-03-31")
    change(settings, f"{settings.project_id}.{settings.audit_dataset(last)}", tables)

    assert validate(settings, first, last, last).failures == []


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (
            "update `{audit}.fct_subscription_daily` set plan_id = null where true",
            "fct_subscription_daily.plan_id",
        ),
        (
            "insert `{audit}.fct_subscription_daily` select * from `{audit}.fct_subscription_daily`",
            "expect_compound_columns_to_be_unique",
        ),
        (
            "update `{audit}.int_subscription_periods` set is_conflicting_opening = true where true",
            "duplicated subscription period",
        ),
        (
            "update `{audit}.agg_subscribers_daily` set mrr_usd_amount = 10.88 where true",
            "MRR identity",
        ),
        ("update `{audit}.fct_subscription_daily` set state = 'dreaming' where true", "dreaming"),
        (
            "update `{audit}.offer_segments` set valid_until_at = timestamp '2026-03-10 12:00:00' where true",
            "still valid when they go online",
        ),
    ],
)
def test_a_critical_failure_names_the_model_and_the_rows(
    settings: Settings, audit: str, damage: str, named: str
) -> None:
    from expectations.gate import ValidationFailedError, validate

    change(settings, audit, damage)

    with pytest.raises(ValidationFailedError, match=named):
        validate(settings, DAY, DAY, DAY)


def test_a_warning_is_recorded_and_does_not_stop_the_run(settings: Settings, audit: str) -> None:
    from expectations.gate import validate

    change(settings, audit, "update `{audit}.fct_offer_journey` set clicks = 0 where true")

    warnings = validate(settings, DAY, DAY, DAY).warnings

    assert [(w.model, w.expectation, w.unexpected_count) for w in warnings] == [
        ("fct_offer_journey", "a checkout follows a click", 1)
    ]


def test_a_day_with_far_fewer_rows_than_its_trailing_week_is_a_warning(
    settings: Settings, audit: str
) -> None:
    from expectations.gate import validate

    change(
        settings,
        audit,
        f"create or replace table `{settings.project_id}.marts.fct_subscriber_daily` as "
        "select day as snapshot_date, format('a%d', n) as account_id "
        "from unnest(generate_date_array(date '2026-03-03', date '2026-03-09')) as day, "
        "unnest(generate_array(1, 10)) as n",
    )

    warnings = validate(settings, DAY, DAY, DAY).warnings

    assert [(w.model, w.observed_value) for w in warnings] == [("fct_subscriber_daily", "1")]
    change(settings, audit, f"drop table `{settings.project_id}.marts.fct_subscriber_daily`")


@pytest.mark.parametrize(
    ("counts", "drift", "tolerated"),
    [([], 0.5, None), ([100], 0.5, (50, 150)), ([80, 100, 120], 0.25, (75, 125)), ([1, 2], 0.5, (0, 3))],
)
def test_the_tolerated_rows_are_a_share_around_the_mean_of_the_week(
    counts: list[int], drift: float, tolerated: tuple[int, int] | None
) -> None:
    assert tolerated_rows(counts, drift) == tolerated
