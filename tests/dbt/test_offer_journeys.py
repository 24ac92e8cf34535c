"""A journey is a flight: what opens it, what ends it, and its number, however long ago the first one was.

No run reads all impressions for the number: the first of each month tells how far the journeys were by then.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from loaders.warehouse.client import warehouse_of
from runs.dbt import build
from runs.history import ensure_history_tables
from runs.history_models import history_models
from runs.publish import publish
from runs.published import published_marts
from segue.window import HistoryWindow, RunWindow
from tests.dbt.conftest import Row, Warehouse, WarehouseFactory, account, at, day, event, rate
from tests.dbt.march import eur, impression
from tests.dbt.paid import of_charge, paid_invoice, stripe
from tests.judged import let_through

STATES, TRIALS = HISTORY = "int_offer_journey_states", "int_offer_journey_trials"
SINCE = "2025-09-01 00:00"


def shown(number: int, account_id: str, occurred: str, arrived: str | None = None, **other: Any) -> Row:
    row = impression(number, account_id, occurred) | other
    return row | {"ingested_at": at(arrived)} if arrived else row


def clicked(of: int, account_id: str, occurred: str, click_id: str | None = None) -> Row:
    return {
        "click_id": click_id or f"clk_{of}", "impression_id": f"imp_{of}", "account_id": account_id,
        "offer_id": "trial-30-days", "surface": "home", "market": "SE", "occurred_at": at(occurred),
        "ingested_at": at(occurred) + timedelta(hours=1),
    }  # fmt: skip


def checked_out(of: int, account_id: str, occurred: str) -> Row:
    row = clicked(of, account_id, occurred)
    del row["impression_id"]
    return row | {"checkout_id": f"chk_{of}", "result": "completed"}


def every_six_days(first_number: int, account_id: str, since: str, times: int) -> list[Row]:
    """One impression every six days: the chain of touches never pauses."""
    hours = (at(since) + timedelta(days=6 * n) for n in range(times))
    return [shown(first_number + n, account_id, f"{hour:%Y-%m-%d %H:%M}") for n, hour in enumerate(hours)]


@pytest.fixture(scope="module")
def warehouse(new_warehouse: WarehouseFactory) -> Warehouse:
    """Accounts that saw an offer since October, each with one thing that a journey must get right."""
    warehouse = new_warehouse("journeys")
    ensure_history_tables(warehouse_of(warehouse.settings), history_models(warehouse.settings.dbt_manifest))
    names = (
        "always again kept old quiet reached too_late early too_early buyer back refunded taps tardy "
        "december new_year nobody twice"
    )
    warehouse.land("accounts", [
        *(account(name, since=SINCE) for name in names.split()),
        account("old", merged_into="kept", ingested_at=at("2026-02-10 05:00")),
        account("staff", since=SINCE, is_employee=True),
        account("staff", ingested_at=at("2026-02-05 05:00")),
        # Known by its impressions only, until the middle of March.
        account("unheard", ingested_at=at("2026-03-11 05:00")),
    ])  # fmt: skip
    warehouse.land("fx_rates", [rate("EUR", "1.2", on="2025-10-01")])
    warehouse.land("offer_impressions", [
        *every_six_days(100, "always", "2025-10-01 08:00", 28),
        shown(1, "again", "2025-10-10 08:00"), shown(2, "again", "2026-03-01 08:00"),
        # Delivered once more, long after.
        shown(1, "again", "2025-10-10 08:00", "2026-03-08 08:00"),
        # What a control arm would have been shown opens nothing.
        shown(3, "again", "2025-10-05 08:00", is_shown=False),
        # The first counts for the account itself, the second for whom it had become.
        shown(4, "old", "2026-01-12 08:00"), shown(5, "old", "2026-02-12 08:00"),
        shown(6, "kept", "2026-03-12 08:00"),
        # Set apart until 5 February.
        shown(7, "staff", "2025-10-15 08:00"), shown(8, "staff", "2026-02-08 08:00"),
        shown(9, "unheard", "2025-10-15 08:00"), shown(10, "unheard", "2026-03-03 08:00"),
        # A window without a touch is over at its last instant.
        shown(11, "quiet", "2026-02-01 08:00"), shown(12, "quiet", "2026-02-08 08:00"),
        shown(13, "reached", "2026-02-01 08:00"), shown(14, "reached", "2026-02-14 08:00"),
        shown(15, "too_late", "2026-02-01 08:00"), shown(16, "too_late", "2026-02-09 08:00"),
        shown(17, "early", "2026-02-01 08:00"), shown(18, "too_early", "2026-02-01 08:00"),
        # Two offers before one trial; what is shown at its instant came before it, what comes after
        # opens the next.
        shown(20, "buyer", "2026-02-01 08:00", rule_id="trial", rule_version=2, generation=20260131,
              decision_id="d20", content_version=5),
        shown(21, "buyer", "2026-02-02 08:00", offer_id="winback", surface="checkout"),
        shown(22, "buyer", "2026-02-03 08:00", rule_id="trial", rule_version=3, generation=20260202,
              decision_id="d22", content_version=6, experiment_id="x", variant="b"),
        shown(23, "buyer", "2026-02-03 09:00", experiment_id="x", variant="b"),
        shown(24, "back", "2026-02-04 08:00"),
        shown(25, "refunded", "2026-02-04 08:00"),
        shown(26, "twice", "2026-02-04 08:00"),
        shown(30, "taps", "2026-03-11 08:00"), shown(31, "taps", "2026-03-11 08:00", is_shown=False),
        shown(32, "taps", "2026-03-01 08:00"),
        shown(33, "tardy", "2026-03-03 08:00"),
        # The checkpoint tells what happened before 31 December.
        shown(40, "december", "2025-12-12 08:00", rule_id="trial", rule_version=1),
        shown(41, "december", "2025-12-13 08:00", offer_id="winback", rule_id="back", rule_version=4),
        shown(42, "new_year", "2025-12-28 08:00", rule_id="trial", rule_version=1),
    ])  # fmt: skip
    warehouse.land("offer_clicks", [
        clicked(13, "reached", "2026-02-07 09:00"),
        clicked(15, "too_late", "2026-02-08 08:00"),
        clicked(17, "early", "2026-02-01 07:55"), clicked(18, "too_early", "2026-02-01 07:54"),
        # Before the start, at its instant and after it; and one on an impression that never came.
        clicked(20, "buyer", "2026-02-01 08:10"), clicked(22, "buyer", "2026-02-03 08:00", "clk_22b"),
        clicked(20, "buyer", "2026-02-04 08:00", "clk_after"),
        clicked(999, "buyer", "2026-02-01 08:10"),
        clicked(30, "taps", "2026-03-11 08:01"), clicked(30, "taps", "2026-03-11 07:56", "clk_early"),
        clicked(30, "taps", "2026-03-11 07:50", "clk_too_early"), clicked(31, "taps", "2026-03-11 08:02"),
        clicked(33, "tardy", "2026-03-03 09:00") | {"ingested_at": at("2026-03-09 09:00")},
        clicked(32, "taps", "2026-03-11 08:03"), clicked(998, "taps", "2026-03-11 08:04"),
    ])  # fmt: skip
    warehouse.land("checkouts", [
        checked_out(20, "buyer", "2026-02-03 08:01"), checked_out(17, "early", "2026-02-01 07:58"),
        checked_out(30, "taps", "2026-03-11 08:02"), checked_out(997, "taps", "2026-03-11 08:05"),
        # Who goes to the checkout by a link in a mail has clicked on nothing.
        checked_out(996, "taps", "2026-03-11 08:06") | {"click_id": None},
    ])  # fmt: skip
    warehouse.land("experiment_assignments", [
        {"experiment_id": "assigned", "account_id": name, "variant": "a", "salt_version": 1,
         "occurred_at": at("2026-01-01 00:00"), "ingested_at": at("2026-01-01 00:00")}
        for name in ("buyer", "back")
    ])  # fmt: skip
    warehouse.land("subscription_events", [
        event("s_buyer", "buyer", "trial_started", "2026-02-03 08:00", **eur("9.99")),
        event("s_december", "december", "trial_started", "2025-12-14 08:00", **eur("9.99")),
        event("s_new_year", "new_year", "trial_started", "2026-01-02 08:00", **eur("9.99")),
        event("s_nobody", "nobody", "trial_started", "2026-02-03 08:00", **eur("9.99")),
        # Paused and resumed, recovered, renewed: nobody has come.
        event("s_back", "back", "started", "2025-10-01 08:00", **eur("9.99")),
        event("s_back", "back", "paused", "2026-02-01 08:00"),
        event("s_back", "back", "resumed", "2026-02-05 08:00"),
        event("s_refunded", "refunded", "started", "2026-02-04 09:00", **eur("10")),
        event("s_twice", "twice", "started", "2026-02-04 09:00", **eur("10")),
    ])  # fmt: skip
    paid = {
        "subscription_id": "s_refunded", "currency": "EUR", "status": "succeeded", "attempt": 1,
        "ingested_at": at("2026-02-06 08:00"),
    }  # fmt: skip
    warehouse.land("payments", [
        paid | {"payment_id": "p1", "kind": "charge", "amount": Decimal(10),
                "occurred_at": at("2026-02-04 08:59")},
        paid | {"payment_id": "r1", "kind": "refund", "amount": Decimal(4), "refunded_payment_id": "p1",
                "occurred_at": at("2026-02-05 08:00")},
        paid | {"payment_id": "d1", "kind": "dispute", "amount": Decimal(5), "refunded_payment_id": "p1",
                "occurred_at": at("2026-02-06 07:00")},
        paid | {"subscription_id": "s_twice", "payment_id": "p2", "kind": "charge", "amount": Decimal(10),
                "occurred_at": at("2026-02-04 09:05")},
    ])  # fmt: skip
    # Stripe tells the charge too, and alone that it came back.
    charge = of_charge("s_twice", "twice", id="ch_2", amount=1000, amount_refunded=1000)
    warehouse.land("stripe_events", [
        stripe("evt_1", "invoice.paid", "2026-02-04 09:00", paid_invoice("s_twice", "twice", 1000, "ch_2")),
        stripe("evt_2", "charge.refunded", "2026-02-06 10:00", charge, {"amount_refunded": 0}),
    ])  # fmt: skip
    return warehouse


def run(warehouse: Warehouse, on: str, states_from: str) -> RunWindow:
    """A run of one day that builds the checkpoint, or reads what was published of it."""
    history = HistoryWindow(
        first_days=dict.fromkeys(HISTORY, day(states_from)),
        raw_read_at=datetime.now(UTC),
        code_version="code",
    )
    window = RunWindow.whole(warehouse.settings, day(on), day(on)).model_copy(update={"history": history})
    build(warehouse.settings, window, ["+fct_offer_journey", "+fct_trial", "agg_orphan_touches_daily"])
    return window


@pytest.fixture(scope="module")
def built(warehouse: Warehouse) -> Warehouse:
    """5 March, with the checkpoint of the month; then 12 March, when what came before it is gone."""
    first = run(warehouse, "2026-03-05", "2026-03-01")
    marts = [mart for mart in published_marts(warehouse.settings.dbt_manifest) if mart.name in HISTORY]
    let_through(warehouse.settings, first, marts)
    publish(warehouse.settings, first, marts)
    for table in ("offer_impressions", "offer_clicks"):
        warehouse.query(f"delete from raw.{table} where arrival_date < date '2025-12-22'")
    run(warehouse, "2026-03-12", "2026-03-13")
    return warehouse


def journeys(
    built: Warehouse, columns: str, *account_ids: str, on: str = "20260312"
) -> list[tuple[Any, ...]]:
    named = ", ".join(f"'{name}'" for name in account_ids)
    return built.rows(
        f"audit_{on}.fct_offer_journey", f"account_id, journey_number, {columns}", "1, opened_at, offer_id",
        f"account_id in ({named})",
    )  # fmt: skip


def test_the_first_of_the_month_tells_how_far_the_journeys_were(built: Warehouse) -> None:
    columns = "account_id, offer_id, journeys, opened_at, last_touch_at, last_touch_rule_id"
    assert built.rows(f"history.{STATES}", columns, "1, 2") == [
        ("again", "trial-30-days", 1, None, None, None),
        ("always", "trial-30-days", 2, "2025-11-18 08:00", "2025-12-30 08:00", None),
        ("december", "trial-30-days", 1, None, None, None),
        ("december", "winback", 1, None, None, None),
        ("new_year", "trial-30-days", 1, "2025-12-28 08:00", "2025-12-28 08:00", "trial"),
    ]
    assert built.rows(f"history.{TRIALS}", "subscription_id, trial_started_at, last_touch_offer_id", "1") == [
        ("s_december", "2025-12-14 08:00", "winback")
    ]


def test_a_journey_that_is_always_touched_ends_after_45_days_and_the_next_one_follows(
    built: Warehouse,
) -> None:
    assert journeys(built, "opened_at, ended_at, end_reason, impressions, is_closed", "always") == [
        ("always", 4, "2026-02-22 08:00", None, None, 4, False)
    ]
    assert built.rows(
        "audit_20260312.int_offer_journeys", "journey_number, opened_at, ended_at, end_reason", "1",
        "account_id = 'always'",
    ) == [
        (2, "2025-11-18 08:00", "2026-01-02 08:00", "too_old"),
        (3, "2026-01-05 08:00", "2026-02-19 08:00", "too_old"),
        (4, "2026-02-22 08:00", None, None),
    ]  # fmt: skip


def test_an_offer_that_is_shown_again_long_after_has_a_second_journey(built: Warehouse) -> None:
    assert journeys(built, "opened_at, impressions, end_reason", "again") == [
        ("again", 2, "2026-03-01 08:00", 1, "quiet")
    ]


def test_an_immature_journey_is_completed_by_later_runs(built: Warehouse) -> None:
    columns = "clicks, last_touch_at, end_reason, is_mature"
    assert journeys(built, columns, "tardy", on="20260305") == [
        ("tardy", 1, 0, "2026-03-03 08:00", None, False)
    ]
    # The click has arrived six days late.
    assert journeys(built, columns, "tardy") == [("tardy", 1, 1, "2026-03-03 09:00", "quiet", True)]


def test_impressions_count_for_whom_the_account_was_on_their_day(built: Warehouse) -> None:
    assert journeys(built, "opened_at", "old", "kept", "staff", "unheard") == [
        ("kept", 1, "2026-02-12 08:00"),
        ("kept", 2, "2026-03-12 08:00"),
        ("staff", 1, "2026-02-08 08:00"),
        # Nobody had introduced it when the checkpoint was told.
        ("unheard", 1, "2026-03-03 08:00"),
    ]
    assert journeys(built, "opened_at", "unheard", on="20260305") == []


def test_seven_days_without_a_touch_end_a_journey_and_a_click_is_a_touch(built: Warehouse) -> None:
    columns = "opened_at, last_touch_at, ended_at, impressions, clicks"
    assert journeys(built, columns, "quiet", "reached", "too_late") == [
        ("quiet", 1, "2026-02-01 08:00", "2026-02-01 08:00", "2026-02-08 08:00", 1, 0),
        ("quiet", 2, "2026-02-08 08:00", "2026-02-08 08:00", "2026-02-15 08:00", 1, 0),
        ("reached", 1, "2026-02-01 08:00", "2026-02-14 08:00", "2026-02-21 08:00", 2, 1),
        ("too_late", 1, "2026-02-01 08:00", "2026-02-01 08:00", "2026-02-08 08:00", 1, 0),
        ("too_late", 2, "2026-02-09 08:00", "2026-02-09 08:00", "2026-02-16 08:00", 1, 0),
    ]


def test_a_clock_may_put_a_click_five_minutes_before_its_impression(built: Warehouse) -> None:
    columns = "clicks, has_early_click, first_click_at, checkouts, first_checkout_at"
    assert journeys(built, columns, "early", "too_early") == [
        ("early", 1, 1, True, "2026-02-01 08:00", 1, "2026-02-01 08:00"),
        ("too_early", 1, 0, False, None, 0, None),
    ]


def test_a_start_ends_every_open_journey_of_the_account_and_credits_the_last_touch(built: Warehouse) -> None:
    columns = (
        "offer_id, impressions, clicks, checkouts, last_touch_at, conversion_type, is_last_touch_conversion, "
        "is_first_touch_conversion, trial_started_at, end_reason, is_mature"
    )
    start = "2026-02-03 08:00"
    assert journeys(built, columns, "buyer") == [
        ("buyer", 1, "trial-30-days", 2, 3, 1, start, "trial", True, True, start, "converted", True),
        ("buyer", 1, "winback", 1, 0, 0, "2026-02-02 08:00", "trial", False, False, start, "converted", True),
        # The click on what the first journey was shown touches the one that is open by then.
        ("buyer", 2, "trial-30-days", 1, 0, 0, "2026-02-04 08:00", None, False, False, None, "quiet", True),
    ]


def test_what_an_account_goes_on_with_converts_nothing(built: Warehouse) -> None:
    assert journeys(built, "end_reason, converted_at", "back") == [("back", 1, "quiet", None)]


def test_a_conversion_tells_the_rule_and_generation_that_caused_it(built: Warehouse) -> None:
    columns = (
        "rule_id, rule_version, generation, content_version, decision_id, last_touch_rule_version, "
        "last_touch_generation, last_touch_content_version, last_touch_decision_id"
    )
    [first, *_] = journeys(built, columns, "buyer")
    assert first == ("buyer", 1, "trial", 2, 20260131, 5, "d20", 3, 20260202, 6, "d22")


@pytest.mark.parametrize("on", ["20260305", "20260312"])
def test_a_trial_names_the_offer_and_rule_that_were_touched_last(built: Warehouse, on: str) -> None:
    """Also one that is older than the run's journeys, or whose last touch is."""
    assert built.rows(
        f"audit_{on}.fct_trial",
        "subscription_id, last_touch_offer_id, last_touch_rule_id, last_touch_rule_version",
        "1",
    ) == [
        ("s_buyer", "trial-30-days", "trial", 3),
        ("s_december", "winback", "back", 4),
        ("s_new_year", "trial-30-days", "trial", 1),
        ("s_nobody", None, None, None),
    ]


def test_the_arm_is_what_the_opening_impression_says_else_the_latest_assignment(built: Warehouse) -> None:
    assert journeys(built, "offer_id, experiment_id, variant", "buyer", "quiet") == [
        ("buyer", 1, "trial-30-days", "assigned", "a"),
        ("buyer", 1, "winback", "assigned", "a"),
        ("buyer", 2, "trial-30-days", "x", "b"),
        ("quiet", 1, "trial-30-days", None, "none"),
        ("quiet", 2, "trial-30-days", None, "none"),
    ]


def test_what_was_paid_is_net_of_refunds_and_chargebacks(built: Warehouse) -> None:
    money = "revenue_usd_amount, refunds_usd_amount, chargebacks_usd_amount"
    assert journeys(built, f"paid_at, refunded_at, charged_back_at, {money}", "refunded") == [
        ("refunded", 1, "2026-02-04 09:00", "2026-02-05 08:00", "2026-02-06 07:00", "1.20", "4.80", "6.00")
    ]
    assert journeys(built, f"refunded_at, {money}", "twice") == [
        ("twice", 1, "2026-02-06 10:00", "0.00", "12.00", "0.00")
    ]


def test_what_names_nothing_that_it_can_answer_is_counted_by_reason_and_in_no_journey(
    built: Warehouse,
) -> None:
    assert built.rows(
        "audit_20260312.agg_orphan_touches_daily",
        "touch, surface, touches, early_touches, orphans, missing_orphans, not_shown_orphans, "
        "too_early_orphans, too_late_orphans",
        "1",
        "touch_date = '2026-03-11'",
    ) == [("checkout", "home", 3, 0, 2, 2, 0, 0, 0), ("click", "home", 6, 1, 4, 1, 1, 1, 1)]
    assert journeys(built, "impressions, clicks, checkouts", "taps") == [
        ("taps", 1, 1, 0, 0),
        ("taps", 2, 1, 2, 1),
    ]
