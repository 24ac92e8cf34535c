"""Every rate has one numerator and one denominator: as its metric says, and once more from other tables."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from loaders.warehouse.client import warehouse_of
from segue.settings import PROJECT_ROOT
from tests.company_in_order import LAST_DAY, SPEC, CompanyInOrder
from tests.dbt.metrics import Metrics

FIRST_DAY = SPEC.first_day + timedelta(days=1)
MONTH = LAST_DAY.replace(day=1)

SURVIVORS = "marts.dim_account as account on {held} = account.account_id " \
    "and {day} >= account.valid_from_date and {day} < account.valid_to_date"  # fmt: skip
JOURNEYS = f"journey_date between '{FIRST_DAY}' and '{LAST_DAY}'"
MATURE = f"select countif(is_mature) from marts.fct_offer_journey where {JOURNEYS}"
RENEWALS = (
    f"select count(*) from marts.fct_subscription_daily as renewal where snapshot_date = '{LAST_DAY}' "
    "and was_active_at_day_end and is_paid and is_auto_renew is not false and (state = 'grace' or "
    "date(current_period_end_at) <= date_add(snapshot_date, interval 14 day))"
)


def paid(kind: str) -> str:
    """What counts of a kind of payments, payment by payment; dollars of refunds are negative."""
    return (
        "select sum(abs(amount_usd_amount)) from marts.fct_payment "
        f"where payment_date between '{FIRST_DAY}' and '{LAST_DAY}' and payment_kind = '{kind}'"
    )


TWO_WAYS = {
    "refund_rate": (paid("refund"), paid("charge")),
    "dispute_rate": (paid("dispute"), paid("charge")),
    "churn_rate": (
        f"select sum(accounts) from marts.agg_upsell_daily where horizon_days = 0 and move = 'end' "
        f"and measured_date between '{FIRST_DAY}' and '{LAST_DAY}'",
        "select count(distinct coalesce(account.resolved_account_id, close.account_id)) "
        "from marts.fct_subscription_daily as close left join "
        f"{SURVIVORS.format(held='close.account_id', day=repr(str(FIRST_DAY)))} "
        f"where close.snapshot_date = '{SPEC.first_day}' and close.was_active_at_day_end and close.is_paid",
    ),
    "retention": (
        f"select countif(was_paying_at_day_end) from marts.fct_subscriber_daily "
        f"where snapshot_date = '{LAST_DAY}'",
        "select count(distinct coalesce(account.resolved_account_id, life.account_id)) "
        "from history.int_subscription_versions as life left join "
        f"{SURVIVORS.format(held='life.account_id', day=repr(str(LAST_DAY)))} "
        f"where life.known_date between '{MONTH}' and '{LAST_DAY}' and life.is_paid "
        f"and life.valid_from_at < timestamp(date '{LAST_DAY + timedelta(days=1)}') "
        "and life.account_id not in (select account_id from raw.accounts where is_test or is_employee)",
    ),
    "renewal_risk_14d": (
        f"{RENEWALS} and (state = 'grace' or date(current_period_end_at) < snapshot_date or exists ("
        "select 1 from marts.dim_plan as later where later.plan_id = renewal.plan_id "
        "and later.market = renewal.market and later.currency = renewal.currency "
        "and later.valid_from_date > renewal.snapshot_date "
        "and later.valid_from_date <= date(renewal.current_period_end_at) "
        "and later.list_price_amount > renewal.price_amount))",
        RENEWALS,
    ),
    "offer_click_rate": (f"{MATURE} and clicks > 0", MATURE),
    "offer_checkout_rate": (f"{MATURE} and checkouts > 0", f"{MATURE} and clicks > 0"),
    "offer_conversion_rate": (
        f"select sum(settled_journeys) from marts.agg_conversion_funnel where {JOURNEYS} and stage = 'start'",
        MATURE,
    ),
}
"""Rate → queries of its numerator and its denominator that do not read what the metric reads."""

BY_THE_REFERENCE = {
    "churn_recovery_14d", "day_retention", "trial_conversion", "upgrades_touched_by_an_offer",
    "upgrade_retention_30d", "upgrade_retention_90d",
    "offer_click_to_paid", "offer_trial_to_paid", "offer_refund_rate", "offer_chargeback_rate",
    "offer_revenue_per_journey_usd", "variant_mismatch_rate",
    "orphan_touch_share", "experiment_outcome_mean",
}  # fmt: skip
"""Rates that need more weeks, or lives, than the small company has: ``tests/dbt/reference`` counts them."""


@pytest.fixture(scope="module")
def metrics(parsed_project: Path) -> Metrics:
    return Metrics(parsed_project.parent / "semantic_manifest.json")


def value(company: CompanyInOrder, query: str) -> Decimal:
    [row] = warehouse_of(company.settings).run(query)
    return Decimal(row[0] or 0)


def test_every_rate_is_computed_in_two_ways(metrics: Metrics) -> None:
    assert metrics.ratios.keys() == TWO_WAYS.keys() | BY_THE_REFERENCE


@pytest.mark.parametrize("rate", TWO_WAYS)
def test_a_rate_has_the_numerator_and_the_denominator_that_its_name_says(
    company_in_order: CompanyInOrder, metrics: Metrics, rate: str
) -> None:
    first = MONTH if rate == "retention" else FIRST_DAY
    told = [
        value(company_in_order, metrics.sql(part, first, LAST_DAY, "marts")) for part in metrics.ratios[rate]
    ]
    counted = [value(company_in_order, query) for query in TWO_WAYS[rate]]

    assert told == counted
    assert told[0] <= told[1]
    assert told[1] > 0


def test_the_page_and_the_metric_give_one_churn_rate(
    company_in_order: CompanyInOrder, metrics: Metrics
) -> None:
    page = (PROJECT_ROOT / "docs" / "queries-by-mart.md").read_text()
    [query] = [each for each in page.split("```sql\n") if "opening_payers" in each]
    query = query.partition("```")[0]
    query = query.replace("2026-03-02", str(FIRST_DAY)).replace("2026-03-05", str(LAST_DAY))

    [row] = warehouse_of(company_in_order.settings).run(query)

    assert [row.churned_payers, row.opening_payers] == [
        value(company_in_order, metrics.sql(part, FIRST_DAY, LAST_DAY, "marts"))
        for part in metrics.ratios["churn_rate"]
    ]
