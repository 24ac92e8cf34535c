"""Days built again, alone, in another order, and over rows that are gone."""

from __future__ import annotations

import pytest

from runs.dbt import BuildError
from tests.dbt.conftest import Warehouse
from tests.dbt.march import AS_OF, subscription_days
from tests.marts import MARTS


def test_days_built_alone_backwards_or_twice_are_the_days_of_the_range(march: Warehouse) -> None:
    def partitions(dataset: str, on: str) -> dict[str, str]:
        return {
            mart: march.fingerprint(f"{dataset}.{mart}", f"{column} = '{on}'" if column else "true")
            for mart, column in MARTS.items()
            if mart != "agg_retention_cohorts"
        } | {"agg_retention_cohorts": march.fingerprint(f"{dataset}.agg_retention_cohorts", "true")}

    ranged = {on: partitions("audit_20260305", on) for on in ("2026-03-01", "2026-03-02", "2026-03-03")}
    # No trial started on the second; everything else has rows.
    assert [mart for mart, rows in ranged["2026-03-02"].items() if not rows] == ["agg_trial_outcomes"]
    for on in ("2026-03-03", "2026-03-02"):
        assert partitions(march.build(on, on, AS_OF), on) == ranged[on]
    # Again, over what is there: a build replaces what its dataset held.
    march.build("2026-03-01", "2026-03-05", AS_OF)
    assert {on: partitions("audit_20260305", on) for on in ranged} == ranged


def test_marts_as_known_then_begin_with_the_day_that_they_are_asked_for(march: Warehouse) -> None:
    """The others begin where late events do; what both say of a day does not depend on it."""
    known_then = {
        "fct_account_features": "feature_date",
        "offer_contents": "feature_date",
        "offer_decisions": "decision_date",
        "offer_segments": "segment_date",
    }

    def partitions(marts: dict[str, str], on: str) -> dict[str, str]:
        return {
            mart: march.fingerprint(f"audit_20260305.{mart}", f"{day} = '{on}'")
            for mart, day in marts.items()
        }

    others = {mart: day for mart, day in MARTS.items() if day and mart not in known_then}
    before = {on: partitions(known_then, on) for on in ("2026-03-04", "2026-03-05")}
    others_before = partitions(others, "2026-03-02")

    march.build("2026-03-01", "2026-03-05", AS_OF, known_start="2026-03-04")
    assert {on: partitions(known_then, on) for on in before} == before
    assert set(partitions(known_then, "2026-03-03").values()) == {""}
    assert partitions(others, "2026-03-02") == others_before

    march.build("2026-03-01", "2026-03-05", AS_OF)


def test_a_day_that_lost_its_rows_becomes_empty(march: Warehouse) -> None:
    assert subscription_days(march, "brief", "state") != []
    march.query("delete from raw.subscription_events where subscription_id = 'brief'")
    history = ["int_subscription_events", "int_subscription_lives", "int_subscription_versions"]
    days = ["int_subscription_periods", "int_subscription_days", "fct_subscription_daily"]
    march.build("2026-03-01", "2026-03-05", AS_OF, [*history, *days])
    assert subscription_days(march, "brief", "state") == []


def test_an_audit_dataset_holds_what_was_built_last_and_nothing_else(march: Warehouse) -> None:
    march.build("2026-03-05", "2026-03-05", AS_OF, ["fct_subscription_daily"])
    assert march.rows("audit_20260305.fct_subscription_daily", "distinct snapshot_date", "1") == [
        ("2026-03-05",)
    ]


def test_a_failing_node_is_named_with_its_reason(march: Warehouse) -> None:
    march.query("drop view audit_20260305.stg_billing__plans")
    with pytest.raises(BuildError, match=r"model int_subscription_days: error: .*stg_billing__plans"):
        march.build("2026-03-05", "2026-03-05", AS_OF, select=["int_subscription_days"])
