"""Expectations on what happened: events and revenue movements explain every change between two days."""

from __future__ import annotations

from typing import get_args

import great_expectations.expectations as gxe

from expectations.suites.suite import WARNING, MartSuite, at_least, no_rows, not_null, one_of, unique_key
from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import ensure_ops_tables, literal, ops_table
from segue.vocabulary import EndReason
from segue.window import DAY, RunWindow

CELL = ("market", "plan_kind", "provider", "currency")
"""The dimensions within which everything reconciles."""
MOVEMENTS = ("new", "reactivation", "expansion", "contraction", "churn", "none", "fx")
"""Those that a run builds; its publication adds ``restated``."""
END_REASONS = get_args(EndReason)
MOVEMENT_REASONS = (
    "upgrade", "downgrade", "rhythm", "price", "currency", "second_subscription", "recovery", "resumption",
    "return", "subscription_ended", "subscription_paused", "payment_failure", "other",
)  # fmt: skip
REASONED = "movement in ('expansion', 'contraction', 'reactivation')"
TRANSITIONS = (
    "started", "returned", "ended", "converted", "upgraded", "downgraded", "switched", "currency_changed",
    "price_changed", "state_changed", "unchanged",
)  # fmt: skip
ORIGINS = ("original", "synthetic_start", "synthetic_expiry", "synthetic_account_change")


def movement_suites(window: RunWindow) -> list[MartSuite]:
    """Suites of ``fct_subscription_event`` and ``agg_mrr_movements_daily``."""
    return [_subscription_events(window), _mrr_movements(window)]


def _subscription_events(window: RunWindow) -> MartSuite:
    return MartSuite(
        model="fct_subscription_event",
        key=("event_date", "subscription_id", "provider_event_id"),
        expectations=(
            unique_key("provider", "provider_event_id"),
            *not_null(
                "subscription_id",
                "account_id",
                "event_type",
                "origin",
                "occurred_at",
                "market",
                "transition",
                "is_start",
                "is_end",
                "starts",
                "ends",
            ),
            one_of("origin", ORIGINS),
            one_of("transition", TRANSITIONS),
            one_of("end_reason", END_REASONS),
            at_least("mrr_before_usd_amount", 0),
            at_least("mrr_after_usd_amount", 0),
            no_rows(
                f"""with changes as (
                    select snapshot_date as event_date, subscription_id, 1 as change
                    from {window.table("int_subscription_days")}
                    where {window.partitions("snapshot_date")} and was_active_at_day_end and not is_excluded
                    union all
                    select date_add(snapshot_date, interval 1 day), subscription_id, -1
                    from {window.table("int_subscription_days")}
                    where {window.day_before("snapshot_date")} and was_active_at_day_end and not is_excluded
                    union all
                    select event_date, subscription_id, ends - starts
                    from {{batch}}
                )
                select event_date, subscription_id, sum(change) as unexplained
                from changes group by event_date, subscription_id having sum(change) <> 0""",
                "nothing enters or leaves the active set without an event",
            ),
        ),
    )


def _mrr_movements(window: RunWindow) -> MartSuite:
    cell = ", ".join(CELL)
    return MartSuite(
        model="agg_mrr_movements_daily",
        key=("snapshot_date", "movement", *CELL),
        expectations=(
            unique_key("snapshot_date", "movement", "churn_reason", "movement_reason", *CELL),
            *not_null("movement", "market", "mrr_amount", "mrr_usd_amount"),
            one_of("movement", MOVEMENTS),
            one_of("churn_reason", END_REASONS),
            one_of("movement_reason", MOVEMENT_REASONS),
            at_least("accounts", 1),
            no_rows(
                f"""with changes as (
                    select snapshot_date, {cell}, mrr_amount, mrr_usd_amount
                    from {window.table("agg_subscribers_daily")}
                    where {window.partitions("snapshot_date")}
                    union all
                    select date_add(snapshot_date, interval 1 day), {cell},
                        cast(-mrr_cents as numeric) / 100, cast(-mrr_usd_cents as numeric) / 100
                    from {window.table("int_subscription_days")}
                    where {window.day_before("snapshot_date")} and was_active_at_day_end and not is_excluded
                    union all
                    select snapshot_date, {cell}, -mrr_amount, -mrr_usd_amount
                    from {{batch}}
                )
                select snapshot_date, {cell}, sum(mrr_amount) as unexplained,
                    sum(mrr_usd_amount) as unexplained_usd
                from changes group by snapshot_date, {cell}
                having sum(mrr_amount) <> 0 or sum(mrr_usd_amount) <> 0""",
                "MRR identity: the day before plus the movements is the day, to the cent, in every cell",
            ),
        ),
        measured=_published_day_before,
    )


def _published_day_before(warehouse: Warehouse, window: RunWindow) -> list[gxe.Expectation]:
    """Whether the first day follows from the day before as it is published; what differs is ``restated``."""
    settings, day = warehouse.settings, literal(window.start_date - DAY)
    ensure_ops_tables(warehouse)
    published = warehouse.run(
        f"select 1 from `{ops_table(settings, 'publications')}` "
        f"where run_date >= {literal(settings.history_start_date)} "
        f"and mart = 'agg_subscribers_daily' and partition_date = {day} limit 1"
    )
    if not list(published):
        return []
    cell, first = ", ".join(CELL), literal(window.start_date)
    closes = f"`{warehouse.table(settings.marts_dataset, 'agg_subscribers_daily')}`"
    return [
        no_rows(
            f"""with differences as (
                select {cell}, mrr_amount as difference, mrr_usd_amount as difference_usd
                from {window.table("agg_subscribers_daily")} where snapshot_date = {first}
                union all
                select {cell}, -mrr_amount, -mrr_usd_amount from {{batch}} where snapshot_date = {first}
                union all
                select {cell}, -mrr_amount, -mrr_usd_amount from {closes} where snapshot_date = {day}
            )
            select {first} as snapshot_date, 'restated' as movement, {cell},
                sum(difference) as mrr_amount, sum(difference_usd) as mrr_usd_amount
            from differences group by {cell}
            having sum(difference) <> 0 or sum(difference_usd) <> 0""",
            "the published day before plus the movements is the day (else the difference is `restated`)",
            severity=WARNING,
        )
    ]
