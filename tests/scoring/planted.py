"""Made-up customers whose truth is known: who comes, and whom an offer helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit

from scoring.outside_map import OutsideMap


@dataclass(frozen=True)
class Planted:
    """A table, and the probabilities that its outcomes were drawn with."""

    table: pa.Table
    truth: np.ndarray[Any, np.dtype[np.float64]]


def customers(rows: int, seed: int = 7) -> Planted:
    """Log odds: −1 + 0.9 · visits − 0.6 · (plan is basic) + 0.5 where the tenure is missing."""
    draw = np.random.default_rng(seed)
    visits, noise = draw.normal(size=(2, rows))
    plan = draw.choice(["basic", "duo", "family"], rows)
    is_unknown = draw.random(rows) < 0.2
    tenure = np.where(is_unknown, None, draw.integers(0, 60, rows).astype(object))
    truth = expit(-1 + 0.9 * visits - 0.6 * (plan == "basic") + 0.5 * is_unknown)
    converted = np.where(draw.random(rows) < truth, "Yes", "No")
    columns = {
        "customer_id": pa.array([f"c{each}" for each in range(rows)]),
        "visits": pa.array(visits),
        "noise": pa.array(noise),
        "plan": pa.array(plan.tolist()),
        "tenure": pa.array(tenure.tolist(), pa.int64()),
        "converted": pa.array(converted.tolist()),
    }
    return Planted(pa.table(columns), truth)


def trial(rows: int, seed: int = 11) -> Planted:
    """An offer at random: helps newcomers by 15 points, does nothing for regulars, harms veterans by 10.

    ``truth`` is the effect of each row.
    """
    draw = np.random.default_rng(seed)
    group = draw.choice(["newcomer", "regular", "veteran"], rows)
    spend = draw.normal(50, 15, rows)
    is_treated = draw.random(rows) < 0.5
    effect = np.select([group == "newcomer", group == "veteran"], [0.15, -0.10], 0.0)
    bought = draw.random(rows) < 0.2 + 0.002 * (spend - 50) + effect * is_treated
    columns = {
        "customer_id": pa.array(np.arange(rows)),
        "group": pa.array(group.tolist()),
        "spend": pa.array(spend),
        "arm": pa.array(np.where(is_treated, "email", "none").tolist()),
        "bought": pa.array(bought.astype(int)),
    }
    return Planted(pa.table(columns), effect)


def propensity_map(**changes: Any) -> OutsideMap:
    """How ``customers`` is read."""
    return OutsideMap.model_validate(
        {
            "unit": "customer_id",
            "target": {"column": "converted", "positive": "Yes"},
            "holdout": {"fraction": 0.3, "seed": 1},
        }
        | changes
    )


def uplift_map(**changes: Any) -> OutsideMap:
    """How ``trial`` is read."""
    return OutsideMap.model_validate(
        {
            "unit": "customer_id",
            "target": {"column": "bought", "positive": 1},
            "treatment": {"column": "arm", "control": "none", "treated": "email"},
            "holdout": {"fraction": 0.4, "seed": 1},
        }
        | changes
    )
