"""Audited tables of a clean day of offers: one journey, which a trial converted."""

from __future__ import annotations

_LED_TO = {
    "impressions": 2, "journeys": 1, "clicks": 1, "clicked_journeys": 1, "checkouts": 1,
    "checkout_journeys": 1, "conversions": 1, "trials": 1, "trials_paid": 0, "purchases": 0, "paid": 0,
    "clicked_paid": 0, "refunded": 0, "charged_back": 0,
}  # fmt: skip
_TOTALS = ", ".join(
    f"{count if prefix == '' else 0} as {prefix}{name}"
    for prefix in ("", "mature_", "closed_")
    for name, count in _LED_TO.items()
)
_TABLES = """
create or replace table `{audit}.fct_offer_journey` as
select date '2026-03-31' as journey_date, 'a1' as account_id, 'o1' as offer_id, 1 as journey_number,
    'home' as surface, 'DE' as market, 'none' as variant, 'trial' as conversion_type,
    2 as impressions, 1 as clicks, 1 as checkouts, true as is_last_touch_conversion,
    true as is_first_touch_conversion, timestamp '2026-03-31 08:00:00' as opened_at,
    timestamp '2026-03-31 08:10:00' as first_click_at, timestamp '2026-03-31 08:20:00' as first_checkout_at,
    timestamp '2026-03-31 08:30:00' as last_touch_at, timestamp '2026-03-31 09:00:00' as converted_at,
    timestamp '2026-03-31 09:00:00' as ended_at, 'converted' as end_reason,
    cast(null as timestamp) as paid_at, false as is_mature, false as is_closed;

create or replace table `{audit}.agg_conversions_daily` as
select date '2026-03-31' as journey_date, 'o1' as offer_id, 'home' as surface, 'DE' as market,
    'none' as variant, 'none' as rule_id, 1 as reach, 0 as mature_reach, {totals};

create or replace table `{audit}.agg_conversion_funnel` as
select date '2026-03-31' as journey_date, 'o1' as offer_id, 'home' as surface, 'DE' as market, stage,
    from_stage, 1 as journeys, if(from_stage is null, null, 1) as from_journeys, 0 as settled_journeys,
    if(from_stage is null, null, 0) as settled_from_journeys,
    if(from_stage is null, null, 0) as settled_dropped_journeys, cast(null as int64) as median_seconds,
    cast(null as int64) as p90_seconds
from (
    select 'impression' as stage, cast(null as string) as from_stage
    union all select 'click', 'impression' union all select 'checkout', 'click'
    union all select 'start', 'impression' union all select 'trial', 'impression'
);

create or replace table `{audit}.agg_orphan_touches_daily` as
select date '2026-03-31' as touch_date, 'click' as touch, 'home' as surface, 60 as touches, 2 as orphans,
    1 as missing_orphans, 1 as not_shown_orphans, 0 as too_early_orphans, 0 as too_late_orphans;
"""


def journey_tables(audit: str) -> str:
    """Statements that make the tables of journeys and their totals in a dataset."""
    return _TABLES.format(audit=audit, totals=_TOTALS)
