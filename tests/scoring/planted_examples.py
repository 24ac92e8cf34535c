"""Made-up examples of declared models whose truth is known: who comes, and whom an offer helps."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit

from scoring.declaration import ModelDeclaration
from tests.scoring.planted import Planted

AS_OF = date(2026, 3, 31)
"""The last day that is known when the examples are made."""
WITHIN_DAYS = 14
HELD_BACK_DAYS = 14
_APART = 7
_AGES = [
    *range(0, HELD_BACK_DAYS, _APART),
    *(HELD_BACK_DAYS + WITHIN_DAYS + _APART * each for each in range(6)),
]
"""Of the feature days in days, the newest first; between those held back and the others lies an outcome."""


def propensity(**changes: Any) -> ModelDeclaration:
    """The declaration of a model of ``listeners``."""
    return ModelDeclaration.model_validate(
        {
            "name": "trial_propensity",
            "version": 1,
            "owner": "growth",
            "description": "Who starts a trial.",
            "kind": "propensity",
            "target": {"event": "trial_started", "within_days": WITHIN_DAYS},
            "population": {"feature": "is_entitled", "equals": False},
            "features": ["streams_28d", "ad_ms_28d", "skips_blocked_28d", "tenure_days", "market"],
            "calibration": "platt",
            "minimum": {"rows": 1000, "events": 100, "auc": 0.6},
            "training": {"days": 60, "holdout_days": HELD_BACK_DAYS},
            "shadow_days": 7,
            "max_age_days": 14,
        }
        | changes
    )


def uplift(**changes: Any) -> ModelDeclaration:
    """The declaration of a model of ``trial``."""
    return propensity(
        name="trial_offer_uplift",
        kind="uplift",
        features=["birth_year_band", "streams_28d"],
        algorithm={"num_leaves": 4, "min_data_in_leaf": 200},
        calibration=None,
        minimum={"rows": 1000, "events": 100, "qini": 0},
        treatment={"experiment": "trial-length-2026", "control": "control", "treated": ["thirty_days"]},
        **changes,
    )


def listeners(accounts: int, seed: int = 5, as_of: date = AS_OF) -> Planted:
    """Each account on every feature day that is known at the end of ``as_of``.

    Log odds are −1.5 + 0.8 · streams − 0.7 · (market is DE) + 0.4 · skips, of
    streams and skips that are standardised. ``truth``: the probabilities of the rows.
    """
    random = np.random.default_rng(seed)
    rows = accounts * len(_AGES)
    account = np.tile(np.arange(accounts), len(_AGES))
    streams = random.poisson(100, rows)
    skips = random.poisson(16, rows)
    market = random.choice(["DE", "SE", "US"], accounts)[account]
    truth = expit(-1.5 + 0.8 * (streams - 100) / 10 - 0.7 * (market == "DE") + 0.4 * (skips - 16) / 4)
    columns = {
        "streams_28d": pa.array(streams),
        "ad_ms_28d": pa.array(random.integers(0, 1_000_000, rows)),
        "skips_blocked_28d": pa.array(skips),
        "tenure_days": pa.array(random.integers(0, 2_000, rows)),
        "market": pa.array(market.tolist()),
        "birth_year_band": pa.array(np.array(["1970-1989", "1990-1999", None])[account % 3].tolist()),
        # Rules go by them, and nothing does that is true.
        "active_days_28d": pa.array(np.arange(rows) % 29),
        "subscription_tenure_days": pa.nulls(rows, pa.int64()),
    }
    return _examples(account, random.random(rows) < truth, None, columns, truth, as_of)


GROUPS = {"1990-1999": 0.20, "1970-1989": 0.0, "1950-1969": -0.12}
"""By how much an offer changes who starts a trial: of 25 in a hundred."""


def trial(accounts: int, seed: int = 11) -> Planted:
    """Accounts of an offer's trial, each once and on one day; ``truth``: the effect on each."""
    random = np.random.default_rng(seed)
    group = random.choice(list(GROUPS), accounts)
    is_treated = random.random(accounts) < 0.5
    effect = np.array([GROUPS[each] for each in group])
    outcome = random.random(accounts) < 0.25 + effect * is_treated
    columns = {
        "birth_year_band": pa.array(group.tolist()),
        "streams_28d": pa.array(random.poisson(100, accounts)),
        "ad_ms_28d": pa.array(random.integers(0, 1_000_000, accounts)),
        "skips_blocked_28d": pa.array(random.poisson(16, accounts)),
    }
    return _examples(np.arange(accounts), outcome, is_treated, columns, effect)


def _examples(
    account: np.ndarray[Any, Any],
    outcome: np.ndarray[Any, Any],
    is_treated: np.ndarray[Any, Any] | None,
    features: dict[str, pa.Array],
    truth: np.ndarray[Any, Any],
    as_of: date = AS_OF,
) -> Planted:
    """By day and account, as they are learned from."""
    rows, newest = len(account), as_of - timedelta(days=WITHIN_DAYS)
    days = np.array([newest - timedelta(days=age) for age in _AGES])
    place = np.arange(rows) * len(days) // rows
    is_held_back = np.array(_AGES)[place] < HELD_BACK_DAYS
    table = pa.table(
        {
            "feature_date": pa.array(days[place].tolist(), pa.date32()),
            "account_id": pa.array([f"a{each:06}" for each in account]),
            "outcome": pa.array(outcome.tolist()),
            "is_treated": pa.nulls(rows, pa.bool_()) if is_treated is None else pa.array(is_treated.tolist()),
            "is_held_back": pa.array(is_held_back.tolist()),
            "weight": pa.array(np.ones(rows)),
            **features,
        }
    )
    order = np.lexsort((account, days[place]))
    return Planted(table.take(pa.array(order)), truth[order])
