"""Payments, whoever tells them: what counts, what it is worth, and that cash and recurring revenue add up."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dbt.conftest import Warehouse, WarehouseFactory, day
from tests.dbt.paid import land_payments

START, END, AS_OF = "2026-02-26", "2026-03-05", "2026-03-05"
AUDIT = "audit_20260305"
MODELS = ["+fct_payment", "+agg_revenue_daily", "+agg_revenue_monthly", "+agg_subscribers_daily"]
OUTCOMES = ["+fct_trial", "+agg_upsell_daily", "+fct_account_features"]
"""What reads payments to say what became of something."""


@pytest.fixture(scope="module")
def built(new_warehouse: WarehouseFactory) -> Warehouse:
    warehouse = new_warehouse("payments")
    land_payments(warehouse)
    warehouse.build(START, END, AS_OF, select=MODELS + OUTCOMES, data_tests=True)
    return warehouse


def payments_of(
    warehouse: Warehouse, subscription_id: str, columns: str = "is_counted, not_counted_reason"
) -> dict[str, tuple[Any, ...]]:
    """Day of month and payment id → columns."""
    rows = warehouse.rows(
        f"{AUDIT}.fct_payment",
        f"format_date('%d', payment_date) || ' ' || payment_id as id, {columns}",
        "payment_date, occurred_at, payment_id",
        f"subscription_id = '{subscription_id}' and payment_date between '{START}' and '{END}'",
    )
    return {row[0]: row[1:] for row in rows}


COUNTS = (True, None)
MONEY = "counted_amount, vat_amount, fee_amount, net_amount"
USD = "amount_usd_amount, vat_usd_amount, fee_usd_amount, net_usd_amount"


def test_a_charge_is_worth_what_is_left_without_vat_and_then_without_the_fee(built: Warehouse) -> None:
    # Sweden has 25% VAT in the price, Stripe keeps 2.9% of the rest; a euro is 1.125 dollars.
    assert payments_of(built, "plain", f"amount, {MONEY}, {USD}")["01 plain-1"] == (
        "9.99", "9.99", "2.00", "0.23", "7.76", "11.24", "2.25", "0.26", "8.73",
    )  # fmt: skip


def test_a_payment_says_whose_it_is_and_by_which_offer_the_subscription_came(built: Warehouse) -> None:
    told = "account_id, provider, market, plan_kind, acquisition_offer_id, payment_kind, currency, source"
    assert payments_of(built, "plain", told)["01 plain-1"] == (
        "a_plain", "stripe", "SE", "individual", "winback", "charge", "EUR", "payments",
    )  # fmt: skip
    assert payments_of(built, "nobody", told + ", is_counted, counted_amount") == {
        "01 nobody-1": (None, None, "ZZ", None, None, "charge", "EUR", "payments", True, "5.00"),
    }


def test_failed_charges_are_kept_and_their_refunds_count_as_little(built: Warehouse) -> None:
    assert payments_of(built, "failing", f"not_counted_reason, amount, {MONEY}") == {
        "01 failing-1": ("failed", "9.99", "0.00", "0.00", "0.00", "0.00"),
        "02 failing-2": ("charge_not_paid", "9.99", "0.00", "0.00", "0.00", "0.00"),
    }


def test_a_charge_cannot_be_refunded_twice_nor_beyond_what_it_was(built: Warehouse) -> None:
    assert payments_of(built, "back") == {
        "26 back-1": COUNTS, "01 back-2": COUNTS, "01 back-3": (False, "already_refunded"),
    }  # fmt: skip
    assert payments_of(built, "over", "is_counted, not_counted_reason, counted_amount") == {
        "26 over-1": (True, None, "10.00"),
        "01 over-2": (True, None, "-6.00"),
        "02 over-3": (True, "beyond_charge", "-4.00"),
    }


def test_a_refund_brings_vat_back_and_no_fee_of_stripe(built: Warehouse) -> None:
    assert payments_of(built, "back", MONEY)["01 back-2"] == ("-9.99", "-2.00", "0.00", "-7.99")


def test_a_dispute_counts_when_it_is_lost(built: Warehouse) -> None:
    told = "payment_status, not_counted_reason, counted_amount, amount_usd_amount"
    assert payments_of(built, "lost", told) == {
        "26 lost-1": ("succeeded", None, "9.99", "11.24"),
        "01 lost-2": ("pending", "pending", "0.00", "0.00"),
        # At the rate of its own day.
        "04 lost-2": ("succeeded", None, "-9.99", "-11.99"),
    }  # fmt: skip
    assert payments_of(built, "won")["03 won-2"] == (False, "dispute_won")


def test_what_settles_counts_on_the_day_on_which_it_does(built: Warehouse) -> None:
    assert payments_of(built, "slow") == {
        "26 slow-2": COUNTS, "01 slow-1": (False, "pending"), "03 slow-1": COUNTS,
    }  # fmt: skip


def test_test_accounts_pay_nothing(built: Warehouse) -> None:
    assert payments_of(built, "tester") == {"01 tester-1": (False, "test_account")}


def test_yen_have_no_decimals_and_what_has_no_rate_is_unknown(built: Warehouse) -> None:
    # Japan has 10% VAT.
    assert payments_of(built, "yen", f"{MONEY}, {USD}")["01 yen-1"] == (
        "980.00", "89.09", "25.84", "865.07", "6.53", "0.59", "0.17", "5.77",
    )  # fmt: skip
    assert payments_of(built, "swiss", f"is_counted, counted_amount, {USD}") == {
        "01 swiss-1": (True, "9.00", None, None, None, None),
    }


def test_stripe_tells_payments_where_no_feed_does(built: Warehouse) -> None:
    told = "source, payment_kind, payment_status, not_counted_reason, amount, counted_amount"
    assert payments_of(built, "stripe", told) == {
        "26 stripe:in_stripe:attempt:1": ("stripe", "charge", "failed", "failed", "10.00", "0.00"),
        "26 stripe:ch_1": ("stripe", "charge", "succeeded", None, "10.00", "10.00"),
        "01 stripe:evt_3": ("stripe", "refund", "succeeded", None, "3.00", "-3.00"),
        "01 stripe:dp_1": ("stripe", "dispute", "succeeded", None, "10.00", "-10.00"),
        "02 stripe:evt_4": ("stripe", "refund", "succeeded", None, "2.00", "-2.00"),
        "03 stripe:re_2:reversed": ("stripe", "refund", "reversed", None, "2.00", "2.00"),
        # Won: closed and reinstated are one.
        "04 stripe:dp_1:reversed": ("stripe", "dispute", "reversed", None, "10.00", "10.00"),
    }
    assert payments_of(built, "plain")["03 stripe:re_9:reversed"] == (False, "nothing_taken")
    assert payments_of(built, "plain")["03 stripe:evt_15"] == (False, "amount_unknown")


def test_a_payment_that_both_tell_counts_once_also_over_midnight(built: Warehouse) -> None:
    assert payments_of(built, "both") == {
        "01 both-1": COUNTS, "01 stripe:in_both": (False, "told_by_payments"),
    }  # fmt: skip
    assert payments_of(built, "night") == {
        "01 stripe:in_night": COUNTS, "02 night-1": (False, "told_by_notification"),
    }  # fmt: skip


def test_what_is_taken_back_of_a_charge_that_both_tell_is_taken_from_the_row_that_counts(
    built: Warehouse,
) -> None:
    """Whichever of its two rows the refund names, and once, also where both tell the refund days apart."""
    assert built.rows(
        f"{AUDIT}.int_payments",
        "payment_id, refunded_payment_id, not_counted_reason",
        "subscription_id, payment_date, payment_id",
        "subscription_id in ('t_both', 't_night', 't_apart')",
    ) == [
        ("stripe:ch_apart", None, "told_by_payments"), ("t-apart", None, None),
        ("stripe:evt_b5", "t-apart", None), ("t-apart-back", "t-apart", "already_refunded"),
        ("stripe:ch_both", None, "told_by_payments"), ("t-both", None, None),
        ("stripe:evt_b2", "t-both", None),
        ("stripe:ch_night", None, None), ("t-night", None, "told_by_notification"),
        ("t-night-back", "stripe:ch_night", None),
    ]  # fmt: skip


def test_the_app_store_tells_what_was_paid_and_which_part_came_back(built: Warehouse) -> None:
    # A subscription of more than a year: 15%, which comes back with a refund.
    told = "payment_kind, payment_status, not_counted_reason, counted_amount, fee_amount, net_amount"
    assert payments_of(built, "store", told) == {
        "01 app_store:t1": ("charge", "succeeded", None, "9.99", "1.20", "6.79"),
        "02 app_store:n2": ("refund", "succeeded", None, "-3.33", "-0.40", "-2.26"),
        "04 app_store:n3": ("refund", "reversed", "beyond_taken", "3.33", "0.40", "2.26"),
    }


def test_a_trial_is_what_notifications_say_of_its_payments_where_no_feed_does(built: Warehouse) -> None:
    assert built.rows(
        f"{AUDIT}.fct_trial",
        "subscription_id, outcome, not_converted_reason, converted_at, is_refunded_14d",
        "1",
        "market = 'FI' and trial_date = '2026-01-20'",
    ) == [
        # Charged by the feed and by Stripe, and refunded by one of them.
        ("t_apart", "abandoned", "refunded", None, True),
        ("t_both", "abandoned", "refunded", None, True),
        ("t_declined", "abandoned", "involuntary", None, False),
        ("t_night", "abandoned", "refunded", None, True),
        ("t_paid", "converted", None, "2026-02-03 11:00", False),
        ("t_refunded", "abandoned", "refunded", None, True),
        ("t_renewed", "converted", None, "2026-02-03 11:00", False),
        # The provider goes on, and nobody tells a payment.
        ("t_unheard", "abandoned", "no_payment", None, False),
    ]


def test_a_trial_that_is_given_up_early_is_mature_when_its_term_is_over(built: Warehouse) -> None:
    """With those that began with it: else what nobody pays for would be counted weeks before the others."""
    assert built.rows(
        f"{AUDIT}.fct_trial", "subscription_id, is_mature, outcome, trial_ended_at, not_converted_reason",
        "1", "market = 'NO'",
    ) == [
        ("u_long", False, "pending", "2026-02-12 10:00", None),
        ("u_short", True, "abandoned", "2026-02-12 10:00", "voluntary"),
    ]  # fmt: skip


def test_what_was_paid_since_a_move_is_what_notifications_say(built: Warehouse) -> None:
    # Of seven that began to pay on 3 February two paid and kept it: 9.99 euro each, at 1.125.
    assert built.rows(
        f"{AUDIT}.agg_upsell_daily",
        "move, accounts, retained_accounts, revenue_usd_amount",
        "1",
        "measured_date = '2026-03-05' and horizon_days = 30 and market = 'FI'",
    ) == [("start", 7, 7, "22.48")]


def test_a_charge_that_fails_puts_the_renewal_at_risk_and_is_a_feature(built: Warehouse) -> None:
    failing = "snapshot_date >= '2026-03-03' and subscription_id = 't_failing'"
    assert built.rows(
        f"{AUDIT}.fct_subscription_daily", "snapshot_date, is_renewal_due_14d, renewal_risk", "1", failing
    ) == [
        ("2026-03-03", False, None), ("2026-03-04", True, "failed_charge"),
        ("2026-03-05", True, "failed_charge"),
    ]  # fmt: skip
    assert built.rows(
        f"{AUDIT}.fct_account_features", "feature_date, failed_payments_28d", "1",
        "feature_date >= '2026-03-03' and account_id = 'a_t_failing'",
    ) == [("2026-03-03", 0), ("2026-03-04", 1), ("2026-03-05", 1)]  # fmt: skip


LINES = ("gross", "refunds", "disputes", "vat", "fee", "net")
CELL = "market, plan_kind, provider, currency"


def facts(warehouse: Warehouse, table: str, columns: str, days: str) -> list[tuple[Any, ...]]:
    found = warehouse.query(
        f"select {columns} from {AUDIT}.{table} where {days} between '{START}' and '{END}'"
    )
    return sorted((tuple(row.values()) for row in found), key=str)


@pytest.mark.parametrize("usd", ["", "_usd"])
def test_a_day_of_cash_is_the_sum_of_its_payments_and_adds_up(built: Warehouse, usd: str) -> None:
    counted = "amount_usd_amount" if usd else "counted_amount"
    kinds = ", ".join(
        f"sum(if(payment_kind = '{kind}', {sign}{counted}, 0))"
        for kind, sign in (("charge", ""), ("refund", "-"), ("dispute", "-"))
    )
    days = ", ".join(f"{line}{usd}_amount" for line in LINES)
    # The franc has no rate.
    known = "currency != 'CHF' and " if usd else ""
    expected = facts(
        built, "fct_payment",
        f"payment_date, {CELL}, {kinds}, sum(vat{usd}_amount), sum(fee{usd}_amount), sum(net{usd}_amount)",
        f"{known}is_counted group by 1, 2, 3, 4, 5 having payment_date",
    )  # fmt: skip
    told = facts(
        built, "agg_revenue_daily", f"revenue_date, {CELL}, {days}",
        f"{known}charges + refunds + disputes > 0 and revenue_date",
    )  # fmt: skip

    assert told == expected
    assert len(told) > 8
    for *_, gross, refunds, disputes, vat, fee, net in told:
        assert gross - refunds - disputes - vat - fee == net


def test_a_currency_without_a_rate_makes_dollars_unknown(built: Warehouse) -> None:
    columns = "gross_amount, gross_usd_amount, net_usd_amount, payments_without_rate"
    assert built.rows(
        f"{AUDIT}.agg_revenue_daily", columns, "1", "revenue_date = '2026-03-01' and currency = 'CHF'"
    ) == [("9.00", None, None, 1)]
    [row] = built.rows(
        f"{AUDIT}.agg_revenue_monthly", columns + ", mrr_usd_amount", "1",
        "closing_date = '2026-03-05' and currency = 'CHF'",
    )  # fmt: skip
    assert row == ("9.00", None, None, 1, "0.00")


def test_the_month_is_the_sum_of_its_days(built: Warehouse) -> None:
    lines = [f"{line}{usd}_amount" for line in LINES for usd in ("", "_usd")]
    wanted = ("charges", "refunds", "disputes", *lines)
    # In Finland it was paid before the days that are built.
    cells = "currency != 'CHF' and market != 'FI'"
    months = facts(
        built, "agg_revenue_monthly", f"closing_date, is_month_end, {CELL}, {', '.join(wanted)}",
        f"{cells} and closing_date",
    )  # fmt: skip
    sums = ", ".join(f"sum({column})" for column in wanted)
    for first, last in (("2026-02-26", "2026-02-28"), ("2026-03-01", "2026-03-05")):
        days = facts(
            built, "agg_revenue_daily",
            f"date '{last}', date '{last}' = last_day(date '{last}'), {CELL}, {sums}",
            f"{cells} and revenue_date between '{first}' and '{last}' "
            f"group by {CELL} having count(*) > 0 and min(revenue_date)",
        )  # fmt: skip
        told = [row for row in months if row[0] == day(last)]
        zeros = {row[2:6] for row in days} - {row[2:6] for row in told}
        # A cell that has neither cash nor a subscription when the month closes has no row.
        assert [row for row in days if row[2:6] not in zeros] == told
        assert all(not any(row[6:]) for row in days if row[2:6] in zeros)


@pytest.mark.parametrize("usd", ["", "_usd"])
def test_the_bridge_leads_from_cash_to_recurring_revenue(built: Warehouse, usd: str) -> None:
    bridges = ["prepaid", "grace", "not_charged", "price", "left"] + (["fx"] if usd else [])
    columns = ", ".join(f"bridge_{line}{usd}_amount" for line in bridges)
    rows = facts(
        built, "agg_revenue_monthly", f"closing_date, {CELL}, mrr{usd}_amount, gross{usd}_amount, {columns}",
        "currency != 'CHF' and closing_date",
    )  # fmt: skip
    closes = facts(
        built, "agg_subscribers_daily", f"snapshot_date, {CELL}, mrr{usd}_amount",
        "currency != 'CHF' and active_subscriptions > 0 and snapshot_date",
    )  # fmt: skip

    assert all(row[5] == row[6] + sum(row[7:]) for row in rows)
    revenue = {row[:5]: row[5] for row in rows if row[5]}
    assert revenue == {row[:5]: row[5] for row in closes if row[5]}


def test_every_line_of_the_bridge_says_why(built: Warehouse) -> None:
    assert built.rows(
        f"{AUDIT}.agg_revenue_monthly",
        "plan_kind, gross_amount, bridge_prepaid_amount, bridge_grace_amount, bridge_not_charged_amount, "
        "bridge_price_amount, bridge_left_amount, mrr_amount, bridge_fx_usd_amount",
        "plan_kind",
        "closing_date = '2026-03-05' and market = 'SE' and provider = 'stripe'",
    ) == [
        # Paid: a year. Its month is 99.90 / 12, half to even.
        ("family", "99.90", "-91.58", "0.00", "0.00", "0.00", "0.00", "8.32", "7.49"),
        # Charged in March: plain, slow, both, night, gone, of which gone has left. Six others were not.
        ("individual", "49.95", "0.00", "9.99", "59.94", "0.00", "-9.99", "109.89", "3.75"),
    ]  # fmt: skip


def test_the_days_of_a_month_accrue_its_recurring_revenue(built: Warehouse) -> None:
    # 8.32 a month: a 31st of it a day, and never a cent more or less in the end.
    accrued = built.rows(
        f"{AUDIT}.agg_revenue_daily", "mrr_amount, accrued_amount, gross_amount", "revenue_date",
        "plan_kind = 'family' and revenue_date between '2026-03-02' and '2026-03-05'",
    )  # fmt: skip
    assert accrued == [
        ("8.32", "0.27", "99.90"), ("8.32", "0.27", "0.00"),
        ("8.32", "0.26", "0.00"), ("8.32", "0.27", "0.00"),
    ]  # fmt: skip


def test_a_day_of_payments_depends_on_no_later_day(built: Warehouse) -> None:
    """The same day built alone, without what happened since."""
    tables = {
        "fct_payment": "payment_date", "agg_revenue_daily": "revenue_date",
        "agg_revenue_monthly": "closing_date",
    }  # fmt: skip
    for alone in ("2026-03-01", "2026-03-03"):
        expected = {
            table: built.fingerprint(f"{AUDIT}.{table}", f"{column} = '{alone}'")
            for table, column in tables.items()
        }
        dataset = built.build(alone, alone, alone, select=MODELS)
        for table, column in tables.items():
            assert built.fingerprint(f"{dataset}.{table}", f"{column} = '{alone}'") == expected[table], table
