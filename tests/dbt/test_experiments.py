"""Who belongs to which arm by what was decided, and the standing experiments of the holdouts."""

from __future__ import annotations

from typing import Any

from tests.dbt.conftest import Warehouse

TRIAL, GLOBAL, LOCAL = "trial-length-2026", "holdout-global", "holdout-trial_for_engaged_free"


def decided(march: Warehouse, *account_ids: str) -> list[tuple[Any, ...]]:
    listed = ", ".join(f"'{each}'" for each in account_ids)
    return march.rows(
        "audit_20260305.fct_experiment_decision",
        "account_id, experiment_id, variant, is_held_back, rule_id, offer_id",
        "1, 2",
        f"decision_date = '2026-03-05' and account_id in ({listed})",
    )


def test_an_arm_that_is_held_back_is_decided_like_the_others(march: Warehouse) -> None:
    rule = ("trial_for_engaged_free", "trial-30-days")
    assert decided(march, "a_control12", "a_free") == [
        ("a_control12", GLOBAL, "served", False, None, None),
        ("a_control12", LOCAL, "served", False, *rule),
        ("a_control12", TRIAL, "control", True, *rule),
        ("a_free", GLOBAL, "served", False, None, None),
        ("a_free", LOCAL, "served", False, *rule),
        ("a_free", TRIAL, "thirty_days", False, *rule),
    ]


def test_a_holdout_holds_out_who_would_have_qualified(march: Warehouse) -> None:
    # One is out of the rule, which is no matter of the program; the other is out of everything.
    assert decided(march, "a_held", "a_local5") == [
        ("a_held", GLOBAL, "held_out", True, None, None),
        ("a_local5", GLOBAL, "served", False, None, None),
        ("a_local5", LOCAL, "held_out", True, "trial_for_engaged_free", "trial-30-days"),
    ]
    # Nobody whom something else refuses: an employee, a wish to be forgotten, a consent taken back.
    assert decided(march, "a_tester", "a_deleted", "a_silent") == []
