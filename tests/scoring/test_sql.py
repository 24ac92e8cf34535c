"""A model as GoogleSQL gives what LightGBM gives: both are run on the same rows."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loaders.scoring.bigquery import score_rows_sql
from loaders.scoring.scores import DayOfScores, points_of
from scoring.columns import Feature, encoded
from scoring.examples import Examples
from scoring.model import Model, train
from scoring.outside_map import Calibration
from scoring.sql import LONGEST, TreesTooLargeError, shares_query
from scoring.training_examples import as_learned
from tests.dbt.googlesql import GoogleSql, columns_of, written

DAY = date(2026, 3, 2)
TABLE = "p.d.staged"
MARKETS = ("DE", "JP", "SE", "US")
FEATURES = (
    Feature(name="market", kind="category", categories=MARKETS),
    Feature(name="tenure_days", kind="number"),
    Feature(name="days_since_lapse", kind="number"),
    Feature(name="is_auto_renew", kind="number"),
    Feature(name="price_raise_date", kind="number"),
)
KINDS = {
    "feature_date": "date", "account_id": "string", "market": "string", "tenure_days": "int64",
    "days_since_lapse": "int64", "is_auto_renew": "bool", "price_raise_date": "date",
}  # fmt: skip


def accounts(rows: int, seed: int) -> list[dict[str, Any]]:
    """Of which some have no market that the model knows, no lapse or no price raise."""
    draw = np.random.default_rng(seed)
    return [
        {
            "feature_date": DAY,
            "account_id": f"a{number:04d}",
            "market": [*MARKETS, "XX", None][draw.integers(6)],
            "tenure_days": int(draw.integers(0, 400)),
            "days_since_lapse": None if draw.random() < 0.4 else int(draw.integers(0, 90)),
            "is_auto_renew": bool(draw.random() < 0.5),
            "price_raise_date": None
            if draw.random() < 0.5
            else DAY + timedelta(days=int(draw.integers(-60, 60))),
        }
        for number in range(rows)
    ]


def matrix_of(rows: list[dict[str, Any]]) -> Any:
    return encoded(as_learned(pa.Table.from_pylist(rows)), FEATURES, "rows")


def trained(calibration: Calibration | None, *, is_uplift: bool = False) -> Model:
    draw = np.random.default_rng(3)
    rows = accounts(3_000, 1)
    likely = [
        0.1 + 0.3 * (row["market"] in ("SE", "JP")) + 0.2 * row["is_auto_renew"]
        + 0.2 * (row["days_since_lapse"] is None) + 0.1 * (row["price_raise_date"] is not None)
        for row in rows
    ]  # fmt: skip
    part = np.arange(len(rows)) % 5
    return train(
        Examples(
            features=FEATURES,
            matrix=matrix_of(rows),
            outcomes=(draw.random(len(rows)) < np.array(likely)).astype(float),
            is_treated=draw.random(len(rows)) < 0.5 if is_uplift else None,
            learning=part < 3,
            stopping=part == 3,
            held_out=part == 4,
            data_digest="made up",
            warnings=(),
        ),
        calibration,
    )


@pytest.mark.parametrize(
    ("calibration", "is_uplift"), [(None, False), ("platt", False), ("isotonic", False), ("platt", True)]
)
def test_bigquery_scores_as_the_workers_do(calibration: Calibration | None, is_uplift: bool) -> None:
    model = trained(calibration, is_uplift=is_uplift)
    rows = accounts(120, 2)
    engine = GoogleSql()
    engine.declare(TABLE, KINDS)

    query = shares_query(model, TABLE, f"feature_date = date '{DAY}'")
    found = {each["account_id"]: each["share"] for each in engine.execute(query, {TABLE: rows})}

    expected = model.shares(matrix_of(rows))
    assert len(set(expected.round(6))) > 10
    assert found.keys() == {row["account_id"] for row in rows}
    difference = [abs(found[row["account_id"]] - value) for row, value in zip(rows, expected, strict=True)]
    assert max(difference) < 1e-9


def test_what_bigquery_exports_are_rows_of_the_landing_contract() -> None:
    model = trained("platt")
    rows = accounts(3, 4)
    engine = GoogleSql()
    engine.declare(TABLE, KINDS)

    query = score_rows_sql(model, DayOfScores("churn_risk", 2, DAY), TABLE)

    assert [(name, written(kind)) for name, kind in columns_of(engine.resolve(query))] == [
        ("model", "STRING"), ("model_version", "INT64"), ("account_id", "STRING"), ("score", "NUMERIC"),
        ("scored_at", "TIMESTAMP"), ("ingested_at", "TIMESTAMP"),
    ]  # fmt: skip
    found = {each["account_id"]: each for each in engine.execute(query, {TABLE: rows})}
    points = points_of(model, pa.Table.from_pylist(rows), "rows")
    assert {name: round(float(each["score"]) * 10_000) for name, each in found.items()} == {
        row["account_id"]: int(value) for row, value in zip(rows, points, strict=True)
    }


def test_trees_that_no_statement_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoring.sql.LONGEST", 500)

    with pytest.raises(TreesTooLargeError, match=r"characters of SQL, 500 are taken"):
        shares_query(trained(None), TABLE, "true")
    assert LONGEST == 1_000_000
