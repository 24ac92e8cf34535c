"""Rows of a planted company's truth as a training has them, for the models that the project declares."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from local.company.planted_behaviour import FEATURE_DAYS
from scoring.declaration import ModelDeclaration

ALIKE: Final[dict[str, Any]] = {
    "plan_kind": "individual", "billing_interval": "month", "billing_interval_count": 1, "seats_taken": 1,
    "subscription_count": 1, "is_in_grace": False, "is_auto_renew": True, "has_cancelled": False,
    "failed_payments_28d": 0,
}  # fmt: skip
"""What the marts say of every payer of such a company: one monthly plan, which renews or ends."""


def examples(
    truth: pa.Table, declared: ModelDeclaration, since: int = FEATURE_DAYS, until: date | None = None
) -> pa.Table:
    """Those of a training that knows outcomes of feature days up to ``until``, by default all there are.

    ``since``: day of the window, by default that from which on sums of four weeks are whole.
    """
    rows = truth.filter(pc.equal(truth["model_name"], declared.name))
    first = pc.min(truth["feature_date"]).as_py() + timedelta(days=since)
    rows = rows.filter(pc.greater_equal(rows["feature_date"], pa.scalar(first)))
    if until is not None:
        rows = rows.filter(pc.less_equal(rows["feature_date"], pa.scalar(until)))
    age = pc.days_between(rows["feature_date"], pc.max(rows["feature_date"])).to_numpy(False)
    training, within = declared.training, declared.target.within_days
    is_held_back = age < training.holdout_days
    wanted = (is_held_back | (age >= training.holdout_days + within)) & (age % training.every == 0)
    for name, values in (("is_held_back", is_held_back), ("weight", np.ones(len(age)))):
        rows = rows.append_column(name, pa.array(values))
    for name, value in ALIKE.items():
        rows = rows.append_column(name, pa.repeat(pa.scalar(value), rows.num_rows))
    rows = rows.append_column("price_raise_date", pa.nulls(rows.num_rows, pa.date32()))
    return rows.filter(pa.array(wanted))
