"""What the company's surfaces report is what the marts decided, but for the mistakes that are known."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any

import pyarrow.parquet as pq

from segue_client.bigtable.schema import segment_date_of
from tests.company_in_order import CompanyInOrder
from tests.marts import mart_rows


def mistake(row: dict[str, Any], decided: dict[Any, dict[str, Any]]) -> str | None:
    """What an impression says otherwise than the decisions of the day before."""
    day = (row["occurred_at"] - timedelta(days=1)).date()
    offer = decided.get((row["account_id"], day), {}).get(row["rule_id"])
    if offer is None:
        return "was not selected"
    if segment_date_of(row["generation"]) != day:
        return "stale_generation"
    if row["variant"] != offer["variant"]:
        return "wrong_variant"
    same = ("offer_id", "rule_version", "experiment_id", "content_version")
    if any(row[name] != offer[name] for name in same):
        return f"another of {same}"
    if row["is_shown"] == offer["is_control"]:
        return "control_shown" if row["is_shown"] else "not shown"
    return None


def test_every_reported_impression_was_selected_the_day_before(company_in_order: CompanyInOrder) -> None:
    settings = company_in_order.settings
    decided = {
        (row["account_id"], row["decision_date"]): {offer["rule_id"]: offer for offer in row["offers"]}
        for row in mart_rows(settings, "offer_decisions")
    }
    reported = {
        row["impression_id"]: row
        for row in mart_rows(settings, "offer_impressions", settings.raw_dataset)
        if row["rule_id"] is not None
    }

    found = {key: kind for key, row in reported.items() if (kind := mistake(row, decided))}

    truth = pq.read_table(company_in_order.truth / "impression_mistakes.parquet")
    assert found == dict(zip(*(truth[name].to_pylist() for name in truth.column_names), strict=True))
    assert len(reported) > 40
    # Who comes by sees all of them.
    seen: dict[Any, set[str]] = defaultdict(set)
    for row in reported.values():
        seen[row["account_id"], row["occurred_at"].date() - timedelta(days=1)].add(row["rule_id"])
    assert seen == {key: set(decided[key]) for key in seen}
    assert {"stale_generation", "wrong_variant"} <= set(found.values())
