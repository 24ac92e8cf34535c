"""Features know what had arrived by the day; decisions and segments follow from them, by the real rules."""

from __future__ import annotations

from typing import Any

from segments.evaluator import evaluate
from segments.source import load_rules
from tests.dbt.conftest import Warehouse


def features(march: Warehouse, account_id: str, columns: str) -> list[tuple[Any, ...]]:
    return march.rows(
        "audit_20260305.fct_account_features",
        f"extract(day from feature_date) as day, {columns}",
        "1",
        f"account_id = '{account_id}' and feature_date between '2026-03-01' and '2026-03-05'",
    )


def test_a_day_does_not_know_what_arrived_after_it(march: Warehouse) -> None:
    """The build knew the arrivals up to 10 March."""
    assert features(march, "a_tardy", "is_entitled, has_ever_paid, subscription_tenure_days") == [
        (1, False, False, None),
        (2, False, False, None),
        (3, False, False, None),
        (4, False, False, None),
        (5, True, True, 2),
    ]
    assert {row[1:] for row in features(march, "a_free", "streams_28d, active_days_28d")} == {(240, 1)}


def test_the_subscription_describes_the_account_at_the_end_of_the_day(march: Warehouse) -> None:
    columns = "is_in_trial, is_paid, has_cancelled, plan_kind, days_since_lapse, last_end_reason"
    assert features(march, "a_trial", columns) == [
        (1, True, False, False, "individual", None, None),
        (2, True, False, False, "individual", None, None),
        (3, False, True, False, "individual", None, None),
        (4, False, True, True, "individual", None, None),
        (5, False, False, False, None, 0, "voluntary"),
    ]


def test_twelve_months_are_a_year_to_a_rule(march: Warehouse) -> None:
    columns = "billing_interval, billing_interval_count"
    assert features(march, "a_moves", columns)[:3] == [
        (1, "month", 1),
        (2, "year", 1),
        (3, "year", 1),
    ]


def test_an_offer_that_a_control_arm_was_not_shown_counts_for_no_cap(march: Warehouse) -> None:
    seen = march.query(
        "select extract(day from feature_date) as day, seen.impressions_7d, "
        "cast(seen.last_shown_date as string) as last_shown_date "
        "from audit_20260305.fct_account_features cross join unnest(offer_exposures) as seen "
        "where account_id = 'a_free' and feature_date between '2026-03-01' and '2026-03-05' order by 1"
    )
    # Shown on the second; held back on the third.
    assert [tuple(row.values()) for row in seen] == [(day, 1, "2026-03-02") for day in (2, 3, 4, 5)]


def test_a_member_is_entitled_while_it_belongs_to_the_plan(march: Warehouse) -> None:
    assert features(march, "a_member", "is_entitled, is_member, is_payer, plan_kind, seats_taken")[:3] == [
        (1, True, True, False, "family", 2),
        (2, False, False, False, None, None),
        (3, False, False, False, None, None),
    ]


def test_consent_and_deletion_hold_from_their_day_on(march: Warehouse) -> None:
    assert [row[1] for row in features(march, "a_silent", "is_marketing_withdrawn")] == [
        False, True, True, True, True,
    ]  # fmt: skip
    assert [row[1] for row in features(march, "a_deleted", "is_deletion_requested")] == [
        False, False, True, True, True,
    ]  # fmt: skip


def test_segments_offer_or_say_why_not(march: Warehouse) -> None:
    found = march.query(
        "select account_id, offers, held_back, suppressed_reason from audit_20260305.offer_segments "
        "where segment_date = '2026-03-05' order by account_id"
    )
    segments = [
        (
            row["account_id"],
            [(o["offer_id"], o["priority"], o["variant"], o["content_version"]) for o in row["offers"]],
            [(o["offer_id"], o["variant"]) for o in row["held_back"]],
            row["suppressed_reason"],
        )
        for row in found
    ]
    assert segments == [
        ("a_control12", [], [("trial-30-days", "control")], None),
        ("a_deleted", [], [], "DELETION_REQUESTED"),
        ("a_free", [("trial-30-days", 20, "thirty_days", 1)], [], None),
        ("a_held", [], [], "GLOBAL_HOLDOUT"),
        # The second version of the text arrived on the sixth.
        ("a_lapsed", [("winback-3-months", 10, None, 1)], [], None),
        ("a_silent", [], [], "NO_CONSENT"),
    ]


def test_every_rule_has_a_reason_for_every_account(march: Warehouse) -> None:
    reasons = {
        (row["account_id"], row["rule_id"]): row["reason_code"]
        for row in march.query(
            "select account_id, decision.rule_id, decision.reason_code "
            "from audit_20260305.offer_decisions cross join unnest(decisions) as decision "
            "where decision_date = '2026-03-05'"
        )
    }
    assert reasons["a_free", "trial_for_engaged_free"] == "SELECTED"
    assert reasons["a_free", "annual_switch"] == "WRONG_ENTITLEMENT"
    assert reasons["a_lapsed", "winback_dormant"] == "NOT_IN_AUDIENCE"
    assert reasons["a_trial", "student_verify"] == "NOT_ELIGIBLE"
    assert reasons["a_tester", "grace_payment_nudge"] == "TEST_ACCOUNT"
    assert reasons["a_silent", "annual_switch"] == "NO_CONSENT"
    # A service message needs no consent.
    assert reasons["a_silent", "grace_payment_nudge"] == "WRONG_ENTITLEMENT"


def test_the_mart_decides_as_the_evaluator_does(march: Warehouse) -> None:
    def rows(table: str, column: str) -> list[dict[str, Any]]:
        found = march.query(f"select * from audit_20260305.{table} where {column} = '2026-03-05'")
        return [dict(row) for row in found]

    accounts = evaluate(
        load_rules(), rows("fct_account_features", "feature_date"), rows("offer_contents", "feature_date")
    )
    decided = rows("offer_decisions", "decision_date")

    assert {
        row["account_id"]: {found["rule_id"]: found["reason_code"] for found in row["decisions"]}
        for row in decided
    } == {
        name: {rule: found.reason.value for rule, found in account.decisions.items()}
        for name, account in accounts.items()
    }
    assert len(decided) == len(accounts) > 10
    assert {row["account_id"]: row["offers"] for row in decided} == {
        name: account.offers for name, account in accounts.items()
    }
