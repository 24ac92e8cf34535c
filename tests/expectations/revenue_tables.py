"""Audited tables of payments and revenue of a clean day: a year at 9.99 a month is charged."""

from __future__ import annotations

_CELL = "'DE' as market, 'individual' as plan_kind, 'stripe' as provider, 'EUR' as currency"
_CASH = {"gross": "119.88", "refunds": "0", "disputes": "0", "vat": "19.14", "fee": "2.92", "net": "97.82"}
_BRIDGE = {
    "bridge_prepaid": "-109.89", "bridge_grace": "0", "bridge_not_charged": "0", "bridge_price": "0",
    "bridge_left": "0",
}  # fmt: skip


def _amounts(amounts: dict[str, str], ending: str) -> str:
    return ", ".join(f"cast({value} as numeric(38, 9)) as {name}{ending}" for name, value in amounts.items())


def _both(amounts: dict[str, str]) -> str:
    """In euro, and at a rate of 1 in dollars."""
    return f"{_amounts(amounts, '_amount')}, {_amounts(amounts, '_usd_amount')}"


def revenue_tables(audit: str) -> str:
    """Statements that make the tables."""
    mrr = "cast(9.99 as numeric(38, 9)) as mrr_amount, cast(10.89 as numeric(38, 9)) as mrr_usd_amount"
    counted = {name: _CASH[name] for name in ("vat", "fee", "net")}
    return f"""
create or replace table `{audit}.fct_payment` as
select date '2026-03-31' as payment_date, 'p1' as payment_id, 's1' as subscription_id, 'a1' as account_id,
    {_CELL}, 'charge' as payment_kind, 'succeeded' as payment_status, 'payments' as source,
    true as is_counted, cast(null as string) as not_counted_reason,
    cast(119.88 as numeric(38, 9)) as amount, cast(119.88 as numeric(38, 9)) as counted_amount,
    cast(119.88 as numeric(38, 9)) as amount_usd_amount, {_both(counted)};

create or replace table `{audit}.agg_revenue_daily` as
select date '2026-03-31' as revenue_date, {_CELL}, 1 as charges, {_both(_CASH)}, {mrr},
    cast(0.32 as numeric(38, 9)) as accrued_amount;

create or replace table `{audit}.agg_revenue_monthly` as
select date '2026-03-31' as closing_date, date '2026-03-01' as revenue_month, true as is_month_end,
    {_CELL}, {_both(_CASH)}, {_both(_BRIDGE)},
    cast(0.9 as numeric(38, 9)) as bridge_fx_usd_amount, {mrr};
"""
