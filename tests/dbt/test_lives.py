"""What becomes of subscriptions whose events come at one instant, or whose first charge fails: row by row."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.dbt import revenue_reasons, stripe_lives
from tests.dbt.conftest import Row, Warehouse, WarehouseFactory, account, at, event, plan

START, END = "2026-03-01", "2026-03-25"
DAY = "2026-03-10"
TABLES = (
    "agg_retention_cohorts", "agg_subscribers_daily", "fct_account_features", "fct_churn",
    "fct_subscriber_daily", "fct_subscription_daily", "fct_subscription_event", "int_subscription_periods",
)  # fmt: skip
"""All that is read below, of which the others are built."""


def usd(amount: str = "20", plan_id: str = "solo") -> dict[str, Any]:
    return {"plan_id": plan_id, "price_amount": Decimal(amount), "currency": "USD", "interval": "month"}


TIES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str | None, str]] = {
    # What was before; what then comes at one instant; the state from then on, and MRR at the close.
    "taken up again": (("started",), ("expired", "reactivated"), "active", "20.00"),
    "started again": (("started",), ("expired", "started"), "active", "20.00"),
    "revoked and taken up again": (("started",), ("revoked", "reactivated"), "active", "20.00"),
    "started and ended": ((), ("started", "expired"), None, "0"),
    "taken up and ended once more": (("started", "expired"), ("reactivated", "expired"), None, "0"),
    "ended, taken up, ended": (("started",), ("expired", "reactivated", "revoked"), None, "0"),
    "first heard of when taken up again": ((), ("expired", "reactivated"), "active", "20.00"),
    "trial, its end, a start": ((), ("trial_started", "expired", "started"), "active", "20.00"),
    "a trial ends and is bought": (("trial_started",), ("expired", "started"), "active", "20.00"),
    "a refund is taken back": (("started",), ("revoked", "refund_reversed"), "active", "20.00"),
    "paused and resumed": (("started",), ("paused", "resumed"), "active", "20.00"),
    "resumed and paused": (("started", "paused"), ("paused", "resumed"), None, "0"),
    "paused and ended": (("started",), ("paused", "expired"), None, "0"),
    "resumed and ended": (("started", "paused"), ("resumed", "expired"), None, "0"),
    "failed and recovered": (("started",), ("billing_retry_started", "recovered"), "active", "20.00"),
    "failed and renewed": (("started",), ("grace_started", "renewed"), "active", "20.00"),
    "recovered and failed": (
        ("started", "billing_retry_started"),
        ("billing_retry_started", "recovered"),
        None,
        "0",
    ),
    "grace, then retry": (("started",), ("grace_started", "billing_retry_started"), None, "0"),
    "renewed and ended": (("started",), ("renewed", "expired"), None, "0"),
    "renewed and refunded": (("started",), ("renewed", "revoked"), None, "0"),
    "renewed, ended, taken up": (("started",), ("renewed", "expired", "reactivated"), "active", "20.00"),
    "a refund beside a renewal": (("started",), ("refunded", "renewed"), "active", "20.00"),
}


def slug(name: str) -> str:
    return name.replace(" ", "_").replace(",", "")


def tie(name: str, number: int) -> list[Row]:
    """The life as a feed of minutes tells it, its tie at noon, and as one of days does; ids in any order."""
    before, together, _, _ = TIES[name]
    rows = []
    for clock, time in (("noon", "12:00"), ("midnight", "00:00")):
        sub = f"{slug(name)}@{clock}"
        for place, event_type in enumerate((*before, *together)):
            when = f"2026-03-0{2 + place} {time}" if place < len(before) else f"{DAY} {time}"
            said: Row = {"provider_event_id": f"{'zyxwv'[place] if number % 2 else 'abcde'[place]}-{sub}"}
            if event_type in ("started", "reactivated", "trial_started", "renewed"):
                said |= usd("0" if event_type == "trial_started" else "20")
            if event_type == "refund_reversed":
                said |= {"period_end_at": at("2026-04-10 00:00")}
            rows.append(event(sub, f"a-{sub}", event_type, when, **said))
    return rows


def lived(sub: str, *happened: tuple[str, str, dict[str, Any]]) -> list[Row]:
    return [event(sub, f"a-{sub}", event_type, when, **said) for event_type, when, said in happened]


@pytest.fixture(scope="module")
def built(new_warehouse: WarehouseFactory) -> Warehouse:
    warehouse = new_warehouse("lives")
    warehouse.land(
        "plans",
        [plan("solo", "individual", "month"), plan("home", "family", "month")],
    )
    trial = ("trial_started", "2026-03-02 10:00", {"auto_renew": True, **usd("0")})
    events = [row for number, name in enumerate(TIES) for row in tie(name, number)]
    events += [
        # Terms at one instant.
        *lived(
            "renewed_then_changed",
            ("started", "2026-02-10 00:00", usd()),
            ("plan_changed", "2026-03-10 00:00", usd("30", "home") | {"provider_event_id": "rc-1"}),
            ("renewed", "2026-03-10 00:00", usd() | {"provider_event_id": "rc-2"}),
        ),
        *lived(
            "renewed_in_the_new_plan",
            ("started", "2026-02-10 00:00", usd()),
            ("renewed", "2026-03-10 00:00", usd("25", "home") | {"provider_event_id": "rn-1"}),
            ("plan_changed", "2026-03-10 00:00", usd("30", "home") | {"provider_event_id": "rn-2"}),
        ),
        *lived(
            "switched_off_and_on",
            ("started", "2026-02-10 00:00", usd() | {"auto_renew": False}),
            ("auto_renew_off", "2026-03-10 00:00", {"auto_renew": False}),
            ("auto_renew_on", "2026-03-10 00:00", {"auto_renew": True}),
        ),
        # An end a little late, with which it is taken up again.
        *lived(
            "late_end",
            ("started", "2026-02-10 00:00", usd() | {"period_end_at": at("2026-03-09 20:00"),
             "auto_renew": False}),
            ("expired", "2026-03-10 06:00", {}),
            ("reactivated", "2026-03-10 06:00", usd() | {"auto_renew": True}),
        ),
        # Two at one instant, of which one is heard of two days late.
        *lived(
            "late_tie",
            ("started", "2026-02-10 00:00", usd()),
            ("expired", "2026-03-10 00:00", {"ingested_at": at("2026-03-10 01:00")}),
            ("reactivated", "2026-03-10 00:00", usd() | {"ingested_at": at("2026-03-12 01:00")}),
        ),
        # What was never paid.
        *lived(
            "never_paid",
            trial,
            ("grace_started", "2026-03-05 10:00", usd()),
            ("expired", "2026-03-09 10:00", {"reason": "payment_failure"}),
        ),
        *lived(
            "retried",
            trial,
            ("grace_started", "2026-03-05 10:00", usd()),
            ("billing_retry_started", "2026-03-06 10:00", {}),
            ("grace_started", "2026-03-07 10:00", {}),
            ("billing_retry_started", "2026-03-08 10:00", {}),
            ("expired", "2026-03-09 10:00", {"reason": "payment_failure"}),
        ),
        # Stripe's way: active when the trial is over, charged an hour later.
        *lived(
            "uncharged",
            trial,
            ("trial_converted", "2026-03-05 09:00", usd()),
            ("auto_renew_off", "2026-03-05 09:30", {"auto_renew": False}),
            ("grace_started", "2026-03-05 10:00", {}),
            ("expired", "2026-03-09 10:00", {"reason": "payment_failure"}),
        ),
        *lived(
            "charged_at_last",
            trial,
            ("trial_converted", "2026-03-04 10:00", usd()),
            ("grace_started", "2026-03-05 10:00", {}),
            ("recovered", "2026-03-08 10:00", {}),
        ),
        *lived(
            "charged",
            trial,
            ("trial_converted", "2026-03-05 10:00", usd()),
            ("renewed", "2026-03-05 11:00", usd()),
            ("grace_started", "2026-03-06 10:00", {}),
        ),
        *lived(
            "charge_fails_later",
            trial,
            ("trial_converted", "2026-03-05 10:00", usd()),
            ("grace_started", "2026-03-08 10:01", {}),
        ),
        *lived(
            "recovered_from_grace",
            trial,
            ("grace_started", "2026-03-05 10:00", usd()),
            ("recovered", "2026-03-08 10:00", {}),
        ),
        *lived(
            "recovered_from_retry",
            trial,
            ("billing_retry_started", "2026-03-05 10:00", usd()),
            ("recovered", "2026-03-08 10:00", {}),
        ),
        *lived(
            "grace_of_a_payer",
            ("started", "2026-02-05 10:00", usd()),
            ("grace_started", "2026-03-05 10:00", {}),
            ("expired", "2026-03-08 10:00", {"reason": "payment_failure"}),
        ),
        # A renewal that is put off.
        *lived(
            "trial_put_off",
            trial,
            ("price_changed", "2026-03-05 10:00", usd("0") | {"period_end_at": at("2026-03-20 10:00")}),
            ("expired", "2026-03-20 10:00", {"reason": "voluntary"}),
        ),
        *lived(
            "payer_put_off",
            ("started", "2026-02-10 10:00", usd() | {"period_end_at": at("2026-03-10 10:00"),
             "auto_renew": False}),
            ("price_changed", "2026-03-05 10:00", usd() | {"period_end_at": at("2026-03-20 10:00")}),
        ),
        *lived(
            "grace_is_first_heard",
            ("grace_started", "2026-03-05 10:00", usd()),
        ),
    ]  # fmt: skip
    events += revenue_reasons.events()
    account_ids = {e["account_id"] for e in events} | {f"a-{name}" for name in stripe_lives.ACCOUNTS}
    warehouse.land("accounts", [account(a, market="US") for a in sorted(account_ids)])
    warehouse.land("subscription_events", events)
    warehouse.land("stripe_events", stripe_lives.events())
    warehouse.build(START, END, select=[f"+{table}" for table in TABLES])
    return warehouse


DATASET = "audit_20260325"


def close(built: Warehouse, subscription_id: str, on: str) -> tuple[Any, ...] | None:
    """State, whether paid, and MRR just before 24:00; None where nothing is entitled then."""
    found = built.rows(
        f"{DATASET}.fct_subscription_daily",
        "state, is_paid, mrr_usd_amount",
        "1",
        f"subscription_id = '{subscription_id}' and snapshot_date = '{on}' and was_active_at_day_end",
    )
    return found[0] if found else None


def movements(built: Warehouse, subscription_id: str) -> list[tuple[Any, ...]]:
    return built.rows(
        f"{DATASET}.fct_subscriber_daily",
        "snapshot_date, movement, movement_usd_amount, churn_reason",
        "1",
        f"account_id = 'a-{subscription_id}' and movement != 'none'",
    )


@pytest.mark.parametrize("clock", ["noon", "midnight"])
@pytest.mark.parametrize("name", TIES)
def test_what_comes_at_one_instant_happens_as_the_state_before_allows(
    built: Warehouse, name: str, clock: str
) -> None:
    _, _, state, mrr = TIES[name]
    expected = None if state is None else (state, True, mrr)
    assert close(built, f"{slug(name)}@{clock}", DAY) == expected
    assert close(built, f"{slug(name)}@{clock}", END) == expected


def test_no_tie_is_a_conflict_of_two_feeds(built: Warehouse) -> None:
    assert (
        built.rows(f"{DATASET}.int_subscription_periods", "subscription_id", "1", "is_conflicting_opening")
        == []
    )


def test_what_is_ended_and_taken_up_again_at_one_instant_neither_ends_nor_starts(built: Warehouse) -> None:
    assert built.rows(
        f"{DATASET}.fct_subscription_event",
        "event_type, transition, starts, ends",
        "1",
        f"subscription_id = 'taken_up_again@midnight' and event_date = '{DAY}'",
    ) == [("expired", "unchanged", 0, 0), ("reactivated", "unchanged", 0, 0)]
    assert movements(built, "taken_up_again@midnight") == [("2026-03-02", "new", "20.00", None)]


@pytest.mark.parametrize(
    ("subscription_id", "mrr"),
    [("renewed_then_changed", "30.00"), ("renewed_in_the_new_plan", "25.00")],
)
def test_a_renewal_is_of_the_plan_that_is_held_or_of_the_one_it_names(
    built: Warehouse, subscription_id: str, mrr: str
) -> None:
    assert close(built, subscription_id, DAY) == ("active", True, mrr)


def test_auto_renewal_that_is_switched_to_and_fro_is_as_before(built: Warehouse) -> None:
    assert built.rows(
        f"{DATASET}.fct_subscription_daily",
        "distinct is_auto_renew",
        "1",
        "subscription_id = 'switched_off_and_on'",
    ) == [(False,)]


def test_an_end_that_is_a_little_late_may_bring_the_next_beginning_with_it(built: Warehouse) -> None:
    assert close(built, "late_end", "2026-03-09") == ("active", True, "20.00")
    assert close(built, "late_end", DAY) == ("active", True, "20.00")


def test_a_tie_across_two_arrivals_is_the_same_tie(built: Warehouse) -> None:
    assert close(built, "late_tie", DAY) == ("active", True, "20.00")
    assert built.build(DAY, DAY, select=["+fct_subscription_daily"]) == "audit_20260310"
    assert (
        built.rows("audit_20260310.fct_subscription_daily", "state", "1", "subscription_id = 'late_tie'")
        == []
    )


def test_a_renewal_that_is_put_off_moves_the_end_and_nothing_else(built: Warehouse) -> None:
    assert close(built, "trial_put_off", "2026-03-19") == ("trial", False, "0.00")
    assert movements(built, "trial_put_off") == []
    assert close(built, "payer_put_off", "2026-03-19") == ("active", True, "20.00")
    assert movements(built, "payer_put_off") == [("2026-03-20", "churn", "-20.00", "voluntary")]


@pytest.mark.parametrize("subscription_id", ["never_paid", "retried", "uncharged"])
def test_a_trial_whose_first_charge_fails_was_never_paid(built: Warehouse, subscription_id: str) -> None:
    assert close(built, subscription_id, "2026-03-05") == ("grace", False, "0.00")
    assert movements(built, subscription_id) == []
    assert built.rows(
        f"{DATASET}.fct_account_features",
        "feature_date, has_ever_paid, is_paid, is_in_grace",
        "1",
        f"account_id = 'a-{subscription_id}' and feature_date in ('2026-03-05', '{END}')",
    ) == [("2026-03-05", False, False, True), (END, False, False, False)]


@pytest.mark.parametrize(
    "subscription_id", ["recovered_from_grace", "recovered_from_retry", "charged_at_last"]
)
def test_what_recovers_after_its_trial_is_paid_from_then_on(built: Warehouse, subscription_id: str) -> None:
    assert close(built, subscription_id, "2026-03-08") == ("active", True, "20.00")
    assert movements(built, subscription_id) == [("2026-03-08", "new", "20.00", None)]


@pytest.mark.parametrize("subscription_id", ["charged", "charge_fails_later"])
def test_a_trial_that_is_called_converted_is_paid_unless_its_first_charge_fails(
    built: Warehouse, subscription_id: str
) -> None:
    assert movements(built, subscription_id) == [("2026-03-05", "new", "20.00", None)]
    assert close(built, subscription_id, "2026-03-09") == ("grace", True, "20.00")


def test_the_first_payment_converts_the_trial_also_after_grace(built: Warehouse) -> None:
    assert built.rows(
        f"{DATASET}.fct_subscription_event",
        "event_date, transition, mrr_before_amount, mrr_after_amount",
        "occurred_at",
        "subscription_id = 'recovered_from_grace'",
    ) == [
        ("2026-03-02", "started", "0.00", "0.00"),
        ("2026-03-05", "state_changed", "0.00", "0.00"),
        ("2026-03-08", "converted", "0.00", "20.00"),
    ]


def test_grace_of_what_was_paid_stays_paid_until_it_ends(built: Warehouse) -> None:
    assert close(built, "grace_of_a_payer", "2026-03-06") == ("grace", True, "20.00")
    assert movements(built, "grace_of_a_payer") == [("2026-03-08", "churn", "-20.00", "involuntary")]
    assert close(built, "grace_is_first_heard", "2026-03-06") == ("grace", True, "20.00")


def test_who_never_paid_is_counted_apart_and_in_no_cohort(built: Warehouse) -> None:
    assert built.rows(
        f"{DATASET}.agg_subscribers_daily",
        "active_subscriptions - paid_subscriptions - trial_subscriptions, unpaid_subscriptions",
        "1",
        "snapshot_date = '2026-03-05' and plan_kind = 'individual'",
    ) == [(5, 5)]
    paid_in_march = built.rows(
        f"{DATASET}.fct_subscriber_daily", "count(distinct account_id)", "1", "movement = 'new'"
    )
    assert built.rows(
        f"{DATASET}.agg_retention_cohorts",
        "sum(cohort_accounts)",
        "1",
        "cohort_month = '2026-03-01' and activity_month = '2026-03-01'",
    ) == [(paid_in_march[0][0],)]


@pytest.mark.parametrize(
    "subscription_id", ["half_for_ever", "half_for_the_customer", "the_invoice_is_heard_of_first"]
)
def test_a_discounted_subscription_pays_what_its_invoices_say(built: Warehouse, subscription_id: str) -> None:
    """Before and after a renewal, and after a cancellation that knows the list price only."""
    days = ("2026-03-02", "2026-03-06", "2026-03-09")
    assert [close(built, subscription_id, on) for on in days] == [("active", True, "10.00")] * 3
    assert movements(built, subscription_id) == []


def test_free_time_in_the_middle_of_a_life_is_no_trial_and_no_churn(built: Warehouse) -> None:
    assert close(built, "free_time", "2026-03-18") == ("active", True, "0.00")
    assert close(built, "free_time", "2026-03-19") == ("active", True, "20.00")
    assert movements(built, "free_time") == [
        ("2026-03-03", "contraction", "-20.00", None),
        ("2026-03-19", "expansion", "20.00", None),
    ]


def test_a_trial_that_is_extended_ends_later(built: Warehouse) -> None:
    assert close(built, "longer_trial", "2026-03-22") == ("trial", False, "0.00")
    assert close(built, "longer_trial", "2026-03-23") is None


def test_a_first_payment_that_never_came_began_nothing(built: Warehouse) -> None:
    assert (
        built.rows(f"{DATASET}.int_subscription_periods", "state", "1", "subscription_id = 'never_begun'")
        == []
    )


def test_a_quarter_is_three_months(built: Warehouse) -> None:
    assert close(built, "quarterly", DAY) == ("active", True, "13.97")
    assert built.rows(
        f"{DATASET}.fct_subscription_daily",
        "billing_interval, billing_interval_count, price_amount",
        "1",
        f"subscription_id = 'quarterly' and snapshot_date = '{DAY}'",
    ) == [("month", 3, "41.91")]


def reasons(built: Warehouse, account: str) -> list[tuple[Any, ...]]:
    return built.rows(
        f"{DATASET}.fct_subscriber_daily",
        "extract(day from snapshot_date) as day, movement, coalesce(churn_reason, movement_reason), "
        "movement_usd_amount",
        "1",
        f"account_id = 'a-{account}' and movement != 'none' and snapshot_date >= '{START}'",
    )


def test_a_pause_is_a_reason_of_its_own_and_so_is_its_end(built: Warehouse) -> None:
    assert reasons(built, "on_and_off") == [
        (3, "churn", "paused", "-20.00"),
        (5, "reactivation", "resumption", "20.00"),
        (8, "churn", "involuntary", "-20.00"),
        (10, "reactivation", "recovery", "20.00"),
        (12, "churn", "voluntary", "-20.00"),
        (14, "reactivation", "return", "20.00"),
        # Whatever the provider gives as reason: it may be resumed.
        (16, "churn", "paused", "-20.00"),
    ]


def test_expansion_and_contraction_say_what_the_subscription_did(built: Warehouse) -> None:
    assert reasons(built, "changes") == [
        (4, "expansion", "upgrade", "10.00"),
        (6, "contraction", "rhythm", "-5.00"),
        (8, "expansion", "price", "5.00"),
        (10, "contraction", "downgrade", "-18.00"),
    ]


def test_one_of_two_subscriptions_begins_is_lost_and_comes_back(built: Warehouse) -> None:
    assert reasons(built, "two") == [
        (4, "expansion", "second_subscription", "5.00"),
        (6, "contraction", "subscription_paused", "-5.00"),
        (8, "expansion", "resumption", "5.00"),
        (10, "contraction", "payment_failure", "-5.00"),
        (12, "expansion", "recovery", "5.00"),
        (14, "contraction", "subscription_ended", "-5.00"),
    ]


def test_a_churn_says_whether_it_was_recovered_and_whether_it_still_may_be(built: Warehouse) -> None:
    assert built.rows(
        f"{DATASET}.fct_churn",
        "extract(day from churn_date) as day, churn_reason, is_mature, is_recovered_14d, days_to_recovery",
        "1",
        "account_id = 'a-on_and_off'",
    ) == [
        (3, "paused", True, True, 2),
        (8, "involuntary", True, True, 2),
        (12, "voluntary", False, True, 2),
        (16, "paused", False, False, None),
    ]
