"""What the marts know of the company's experiments is what was planted, unit by unit."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pyarrow.parquet as pq

from local.company.trials import METRIC, TRIED, WINDOW_DAYS
from tests.company_in_order import LAST_DAY, CompanyInOrder
from tests.marts import mart_rows

OWN = {each.id for each in TRIED}


def reported_units(company: CompanyInOrder) -> list[dict[str, Any]]:
    """The units that surfaces tell of, from the company's truth."""
    planted = pq.read_table(company.truth / "experiment_units.parquet").to_pylist()
    return [row for row in planted if row["is_reported"]]


def test_the_units_are_those_of_the_truth(company_in_order: CompanyInOrder) -> None:
    exposures = mart_rows(company_in_order.settings, "fct_experiment_exposure")
    found = [row for row in exposures if row["experiment_id"] in OWN]
    said = ("experiment_id", "account_id", "variant", "exposed_at")

    assert {tuple(row[name] for name in said) for row in found} == {
        tuple(row[name] for name in said) for row in reported_units(company_in_order)
    }
    assert len(found) > 20
    assert {(row["exposure_source"], row["is_variant_mismatch"], row["is_excluded"]) for row in found} == {
        ("surface", False, False)
    }


def test_the_sums_are_those_of_the_truth(company_in_order: CompanyInOrder) -> None:
    units, subscribing = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for row in mart_rows(company_in_order.settings, "agg_experiment_daily"):
        if row["experiment_id"] in OWN and row["metric"] == METRIC:
            arm = row["experiment_id"], row["variant"]
            units[arm] += row["units"]
            subscribing[arm] += int(row["sum_y"])

    complete = [
        row
        for row in reported_units(company_in_order)
        if row["exposed_at"].date() + timedelta(days=WINDOW_DAYS) <= LAST_DAY
    ]
    assert units == Counter((row["experiment_id"], row["variant"]) for row in complete)
    assert +subscribing == Counter(
        (row["experiment_id"], row["variant"]) for row in complete if row["is_subscribing"]
    )
    assert subscribing.total() > 3
