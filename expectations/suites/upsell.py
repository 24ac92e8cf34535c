"""Expectations on moves between plans."""

from __future__ import annotations

from expectations.suites.subscribers import PLAN_KINDS
from expectations.suites.suite import MartSuite, at_least, no_rows, not_null, one_of, unique_key
from segue.window import RunWindow

MOVES = ("start", "end", "upgrade", "downgrade", "longer_rhythm", "shorter_rhythm", "other")
KEY = (
    "measured_date", "horizon_days", "from_plan_kind", "from_billing_interval", "from_billing_interval_count",
    "to_plan_kind", "to_billing_interval", "to_billing_interval_count", "market", "offer_id",
)  # fmt: skip


def upsell_suites(window: RunWindow) -> list[MartSuite]:
    """The suite of ``agg_upsell_daily``."""
    return [
        MartSuite(
            model="agg_upsell_daily",
            key=KEY,
            watch_row_count=False,
            expectations=(
                unique_key(*KEY),
                *not_null(
                    "move_date", "move", "from_plan_kind", "to_plan_kind", "market", "is_offer_touched"
                ),
                one_of("move", MOVES),
                one_of("from_plan_kind", (*PLAN_KINDS, "unknown")),
                one_of("to_plan_kind", (*PLAN_KINDS, "unknown")),
                at_least("accounts", 1),
                at_least("mrr_before_usd_amount", 0),
                at_least("mrr_after_usd_amount", 0),
                no_rows(
                    "select * from {batch} "
                    "where measured_date <> date_add(move_date, interval horizon_days day)",
                    "a move is measured when its horizon is over, and not before",
                ),
                no_rows(
                    "select * from {batch} where retained_accounts > accounts or on_plan_accounts > accounts",
                    "who is retained, and who is on the plan, is one of those that moved",
                ),
                no_rows(
                    f"""with moves as (
                        select measured_date as snapshot_date, move, accounts,
                            mrr_after_usd_amount - mrr_before_usd_amount as moved_usd
                        from {{batch}} where horizon_days = 0 and move in ('start', 'end')
                        union all
                        select snapshot_date, if(movement = 'churn', 'end', 'start'), -1,
                            -movement_usd_amount - fx_usd_amount
                        from {window.table("fct_subscriber_daily")}
                        where {window.partitions("snapshot_date")}
                            and movement in ('new', 'reactivation', 'churn')
                    )
                    select snapshot_date, move, sum(accounts) as unexplained,
                        sum(moved_usd) as unexplained_usd
                    from moves group by snapshot_date, move
                    having sum(accounts) <> 0 or sum(moved_usd) <> 0""",
                    "moves from free are the day's new and returned payers, and moves to free its churn",
                ),
            ),
        )
    ]
