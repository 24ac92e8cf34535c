"""How good a model is for parts of the accounts: numbers for a person to judge, no claim that it is fair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict
from scipy import stats
from sklearn.metrics import log_loss, roc_auc_score

from scoring.columns import Floats, Mask
from scoring.propensity import CalibrationLine, calibration_of

FEWEST_OF_AN_OUTCOME: Final = 20
"""Of fewer events, or fewer others, discrimination and calibration say nothing."""
DIVISIONS: Final = {"market": "market", "age band": "birth_year_band", "tenure": "tenure_days"}
"""What quality is told by, and the column of ``fct_account_features`` that it is told from."""
UNKNOWN: Final = "unknown"
TENURES: Final = ((30, "up to 30 days"), (90, "31 to 90 days"), (365, "91 to 365 days"))
"""(days at most, name of the band)."""
LONGEST_TENURE: Final = "more than 365 days"
_BANDS: Final = (*(name for _, name in TENURES), LONGEST_TENURE)


class Slice(BaseModel):
    """A part of the rows, and how good the model is for it; None where there are too few to say."""

    model_config = ConfigDict(frozen=True)

    by: str
    """market, age band or tenure."""
    value: str
    rows: int
    events: int
    predicted: float
    """Mean probability of the event, given what was done with the row."""
    observed: float
    """Share of events."""
    observed_interval: tuple[float, float]
    """Wilson's, 95%."""
    auc: float | None
    log_loss: float | None
    calibration: CalibrationLine | None
    predicted_uplift: float | None = None
    """Of an uplift model only, as the next."""
    observed_uplift: float | None = None
    """Share of events of the treated less that of control; None without one of both."""


def slices_of(
    by: Mapping[str, Sequence[str | None]],
    outcomes: Floats,
    probabilities: Floats,
    uplifts: Floats | None = None,
    is_treated: Mask | None = None,
) -> tuple[Slice, ...]:
    """Every part of every division ``by``, in its order; tenures by their length, other parts by name.

    ``by`` has a name of a part for each row; rows without one are a part of their own.
    """
    found = []
    for name, parts in by.items():
        named = pd.Series(list(parts), dtype=object).fillna(UNKNOWN)
        places = {str(value): np.asarray(rows) for value, rows in named.groupby(named).indices.items()}
        for value in sorted(places, key=_order):
            rows = places[value]
            found.append(
                _slice(
                    name,
                    value,
                    outcomes[rows],
                    probabilities[rows],
                    None if uplifts is None else uplifts[rows],
                    None if is_treated is None else is_treated[rows],
                )
            )
    return tuple(found)


def divisions_of(columns: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[str | None]]:
    """``DIVISIONS`` of rows, of which ``columns`` has all or some."""
    found = {name: columns[column] for name, column in DIVISIONS.items() if column in columns}
    if "tenure" in found:
        found["tenure"] = [tenure_band(days) for days in found["tenure"]]
    return found


def tenure_band(days: float | None) -> str | None:
    """The band of a tenure in days; None where it is not known."""
    if days is None or np.isnan(days):
        return None
    return next((name for most, name in TENURES if days <= most), LONGEST_TENURE)


def _order(name: str) -> tuple[int, str]:
    return _BANDS.index(name) if name in _BANDS else len(_BANDS), name


def _slice(
    by: str,
    value: str,
    outcomes: Floats,
    probabilities: Floats,
    uplifts: Floats | None,
    is_treated: Mask | None,
) -> Slice:
    rows, events = len(outcomes), int(outcomes.sum())
    is_enough = min(events, rows - events) >= FEWEST_OF_AN_OUTCOME
    interval = stats.binomtest(events, rows).proportion_ci(0.95, method="wilson")
    observed_uplift = None
    if is_treated is not None and is_treated.any() and not is_treated.all():
        observed_uplift = float(outcomes[is_treated].mean() - outcomes[~is_treated].mean())
    return Slice(
        by=by,
        value=value,
        rows=rows,
        events=events,
        predicted=float(probabilities.mean()),
        observed=events / rows,
        observed_interval=(float(interval.low), float(interval.high)),
        auc=float(roc_auc_score(outcomes, probabilities)) if is_enough else None,
        log_loss=float(log_loss(outcomes, probabilities, labels=[0, 1])) if is_enough else None,
        calibration=calibration_of(outcomes, probabilities) if is_enough else None,
        predicted_uplift=None if uplifts is None else float(uplifts.mean()),
        observed_uplift=observed_uplift,
    )
