"""What the company's models say about its accounts: every second week, for those they have an opinion on."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from local.company.columns import amounts, identifiers, instants, picked
from local.company.people import People
from local.company.spec import DAY_US, CompanySpec

MODELS = {"trial_propensity": 0.4, "winback_propensity": 0.2, "churn_risk": 0.2, "household_size": 0.2}
"""Share of the accounts that each model has a score for; rules say what counts for the others."""
EVERY_DAYS = 14
_HOUR_US = DAY_US // 24


def score_rows(spec: CompanySpec, random: np.random.Generator, people: People) -> dict[str, pa.Table]:
    """Rows of ``scores``: made at three in the morning, delivered at four."""
    scored_at = spec.start_us + np.arange(0, spec.days, EVERY_DAYS) * DAY_US + 3 * _HOUR_US
    shape = (scored_at.size, len(MODELS), people.number.size)
    has_score = random.random(shape) < np.array(list(MODELS.values()))[None, :, None]
    if spec.plants_trials:
        # This one is the company's own to train.
        has_score[:, list(MODELS).index("trial_propensity")] = False
    has_score &= people.created_at[None, None, :] < scored_at[:, None, None]
    run, model, who = np.nonzero(has_score)
    return {
        "scores": pa.table(
            {
                "model": picked(tuple(MODELS), model),
                "model_version": pa.nulls(who.size, pa.int64()),
                "account_id": identifiers("a", people.number[who]),
                "score": amounts(random.integers(0, 10_001, who.size), places=4),
                "scored_at": instants(scored_at[run]),
                "ingested_at": instants(scored_at[run] + _HOUR_US),
            }
        )
    }
