"""Expectations on payments and on revenue: cash adds up, and the bridge to recurring revenue closes."""

from __future__ import annotations

import great_expectations.expectations as gxe

from expectations.suites.movements import CELL
from expectations.suites.suite import WARNING, MartSuite, at_least, no_rows, not_null, one_of, unique_key
from segue.window import RunWindow

KINDS = ("charge", "refund", "dispute")
STATUSES = ("succeeded", "failed", "pending", "reversed")
NOT_COUNTED = (
    "test_account", "pending", "failed", "dispute_won", "told_by_payments", "told_by_notification",
    "amount_unknown", "charge_not_paid", "already_refunded", "already_disputed", "beyond_charge",
    "nothing_taken", "beyond_taken",
)  # fmt: skip
BRIDGE = ("prepaid", "grace", "not_charged", "price", "left")
_CASH = "gross{0}_amount - refunds{0}_amount - disputes{0}_amount - vat{0}_amount - fee{0}_amount"


def revenue_suites(window: RunWindow) -> list[MartSuite]:
    """Suites of ``fct_payment``, ``agg_revenue_daily`` and ``agg_revenue_monthly``."""
    return [_payments(), _daily(window), _monthly(window)]


def _payments() -> MartSuite:
    return MartSuite(
        model="fct_payment",
        key=("payment_date", "payment_id"),
        expectations=(
            unique_key("payment_date", "payment_id"),
            *not_null(
                "subscription_id", "market", "payment_kind", "payment_status", "is_counted",
                "counted_amount", "net_amount", "source",
            ),
            one_of("payment_kind", KINDS),
            one_of("payment_status", STATUSES),
            one_of("not_counted_reason", NOT_COUNTED),
            one_of("source", ("payments", "stripe", "app_store")),
            at_least("amount", 0),
            no_rows(
                "select payment_date, payment_id from {batch} "
                "where counted_amount <> vat_amount + fee_amount + net_amount "
                "or amount_usd_amount <> vat_usd_amount + fee_usd_amount + net_usd_amount",
                "what counts is VAT, fee and net, to the cent",
            ),
            no_rows(
                "select payment_id from {batch} where is_counted group by payment_id having count(*) > 1",
                "no payment counts twice",
            ),
            no_rows(
                "select payment_date, payment_id, payment_kind, counted_amount from {batch} "
                "where counted_amount <> 0 and (counted_amount < 0) "
                "<> (payment_kind <> 'charge' and payment_status = 'succeeded') "
                "or abs(counted_amount) > amount + 0.005",
                "charges are money in, what is taken back is money out, never more than was told",
            ),
            no_rows(
                "select payment_date, payment_id, not_counted_reason from {batch} "
                "where not_counted_reason in ('amount_unknown', 'nothing_taken')",
                "every payment says what moved, and nothing comes back that was never taken",
                severity=WARNING,
            ),
            no_rows(
                "select payment_date, payment_id, currency from {batch} "
                "where is_counted and amount_usd_amount is null",
                "every payment's currency has a rate (else its dollars are unknown)",
                severity=WARNING,
            ),
        ),
    )  # fmt: skip


def _daily(window: RunWindow) -> MartSuite:
    cell = ", ".join(CELL)
    return MartSuite(
        model="agg_revenue_daily",
        key=("revenue_date", *CELL),
        expectations=(
            unique_key("revenue_date", *CELL),
            *not_null("market", "gross_amount", "net_amount", "mrr_amount", "accrued_amount"),
            at_least("charges", 0),
            at_least("gross_amount", 0),
            at_least("accrued_amount", 0),
            _adds_up("revenue_date"),
            no_rows(
                f"""with changes as (
                    select payment_date as revenue_date, {cell}, counted_amount as cash, net_amount as net
                    from {window.table("fct_payment")}
                    where {window.partitions("payment_date")}
                    union all
                    select revenue_date, {cell}, refunds_amount + disputes_amount - gross_amount,
                        -net_amount
                    from {{batch}}
                )
                select revenue_date, {cell}, sum(cash) as unexplained, sum(net) as unexplained_net
                from changes group by revenue_date, {cell}
                having sum(cash) <> 0 or sum(net) <> 0""",
                "cash of a day is the sum of its payments, to the cent, in every cell",
            ),
            no_rows(
                _mrr_differences(window, "revenue_date"),
                "MRR beside the cash is that of the subscribers, in every cell",
            ),
        ),
    )


def _monthly(window: RunWindow) -> MartSuite:
    def leads(usd: str, more: str = "") -> str:
        lines = " + ".join(f"bridge_{line}{usd}_amount" for line in BRIDGE)
        return f"mrr{usd}_amount <> gross{usd}_amount + {lines}{more}"

    return MartSuite(
        model="agg_revenue_monthly",
        key=("closing_date", *CELL),
        expectations=(
            unique_key("closing_date", *CELL),
            *not_null("market", "revenue_month", "is_month_end", "gross_amount", "net_amount", "mrr_amount"),
            _adds_up("closing_date"),
            no_rows(
                f"select closing_date, {', '.join(CELL)} from {{batch}} "
                f"where {leads('')} or {leads('_usd', ' + bridge_fx_usd_amount')}",
                "the bridge leads from gross cash to MRR, to the cent, in every cell",
            ),
            no_rows(
                _mrr_differences(window, "closing_date"),
                "MRR at the end of the bridge is that of the subscribers, in every cell",
            ),
        ),
    )


def _adds_up(day_column: str) -> gxe.Expectation:
    return no_rows(
        f"select {day_column}, {', '.join(CELL)} from {{batch}} "
        f"where net_amount <> {_CASH.format('')} or net_usd_amount <> {_CASH.format('_usd')}",
        "gross - refunds - disputes - VAT - fee = net, to the cent, in every cell",
    )


def _mrr_differences(window: RunWindow, day_column: str) -> str:
    """Cells whose MRR is not that of agg_subscribers_daily."""
    cell = ", ".join(CELL)
    return f"""with changes as (
        select snapshot_date as {day_column}, {cell}, mrr_amount, mrr_usd_amount
        from {window.table("agg_subscribers_daily")}
        where {window.partitions("snapshot_date")}
        union all
        select {day_column}, {cell}, -mrr_amount, -mrr_usd_amount
        from {{batch}}
    )
    select {day_column}, {cell}, sum(mrr_amount) as difference, sum(mrr_usd_amount) as difference_usd
    from changes group by {day_column}, {cell}
    having sum(mrr_amount) <> 0 or sum(mrr_usd_amount) <> 0"""
