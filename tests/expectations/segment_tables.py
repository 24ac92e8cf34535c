"""A clean audited day of the segment marts: 200 accounts, one of them with two offers."""

from __future__ import annotations

OFFER = """struct(
        '{offer}' as offer_id, '{rule}' as rule_id, 1 as rule_version, 10 as priority, 0.5 as score,
        'REASON' as reason_code, cast(null as string) as experiment_id, cast(null as string) as variant,
        false as is_control, '{offer}' as content_id, 2 as content_version,
        timestamp '2026-04-04 00:00:00' as valid_until_at, 'en-US' as content_locale
    )"""

HELD_BACK = OFFER.format(offer="payment-nudge", rule="grace_payment_nudge").replace(
    "false as is_control", "true as is_control"
)

SEGMENT_TABLES = f"""
create or replace table `{{audit}}.offer_contents` as
select date '2026-03-31' as feature_date, entry_id, 'en-US' as locale, 2 as content_version,
    true as is_published
from unnest(['winback-3-months', 'annual-switch', 'stay-discount', 'payment-nudge']) as entry_id;

create or replace table `{{audit}}.offer_decisions` as
select date '2026-03-31' as decision_date, format('a%d', number) as account_id, 'DE' as market,
    false as is_traced, mod(number, 50) = 0 as is_globally_held_out,
    cast(null as string) as suppressed_reason,
    array(
        select as struct rule_id, 1 as rule_version, 'NOT_IN_AUDIENCE' as reason_code,
            cast(null as string) as failed_steps
        from unnest([{{rules}}]) as rule_id
    ) as decisions,
    cast([] as array<struct<rule_id string, is_control bool>>) as offers,
    timestamp '2026-04-04 00:00:00' as served_until_at
from unnest(generate_array(1, 200)) as number;

create or replace table `{{audit}}.offer_segments` as
select date '2026-03-31' as segment_date, 'a1' as account_id, 'DE' as market,
    [{OFFER.format(offer="annual-switch", rule="annual_switch")},
    {OFFER.format(offer="stay-discount", rule="cancel_save")}] as offers,
    [{HELD_BACK}] as held_back,
    cast(null as string) as suppressed_reason, timestamp '2026-04-04 00:00:00' as valid_until_at;
"""


def segment_tables(audit: str) -> str:
    """The script that makes the tables in a dataset."""
    from segments.source import load_rules

    rules = ", ".join(f"'{rule.id}'" for rule in load_rules().active)
    return SEGMENT_TABLES.format(audit=audit, rules=rules)
