"""How good probabilities are: discrimination, calibration, lift; and what a model has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from scoring.calibration import fit_platt, on_one_core
from scoring.columns import Feature, Floats


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class CalibrationLine(_Part):
    """Cox's (1958): the log odds of the event by those predicted; 1 and 0 where probabilities are true.

    A slope below 1 says that predictions are too extreme; an intercept above 0, at slope 1, that they are
    too low.
    """

    slope: float
    intercept: float


class Quality(_Part):
    """What several predictors are compared by."""

    auc: float
    average_precision: float
    log_loss: float


class Decile(_Part):
    """A tenth of the rows, by their score; the first has the highest."""

    decile: int
    rows: int
    predicted: float
    observed: float
    lift: float
    """``observed`` over the share of events among all rows."""


def quality_of(outcomes: Floats, probabilities: Floats) -> Quality:
    """By scikit-learn's definitions; both outcomes have to be there."""
    return Quality(
        auc=float(roc_auc_score(outcomes, probabilities)),
        average_precision=float(average_precision_score(outcomes, probabilities)),
        log_loss=float(log_loss(outcomes, probabilities, labels=[0, 1])),
    )


def calibration_of(outcomes: Floats, probabilities: Floats) -> CalibrationLine | None:
    """None where all predictions are one: there is no line through a point."""
    if np.ptp(probabilities) == 0:
        return None
    line = fit_platt(probabilities, outcomes)
    return CalibrationLine(slope=line.slope, intercept=line.intercept)


def tenths(scores: Floats) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    """The rows of every decile, the highest scores first; equal scores stay in the file's order."""
    return np.array_split(np.argsort(-scores, kind="stable"), 10)


def lift_by_decile(outcomes: Floats, probabilities: Floats) -> list[Decile]:
    """Where the events are: a good order has most of them in the first deciles."""
    return [
        Decile(
            decile=number,
            rows=len(rows),
            predicted=float(probabilities[rows].mean()),
            observed=float(outcomes[rows].mean()),
            lift=float(outcomes[rows].mean() / outcomes.mean()),
        )
        for number, rows in enumerate(tenths(probabilities), 1)
    ]


@on_one_core
def logistic_baseline(
    features: tuple[Feature, ...], matrix: Floats, outcomes: Floats, weights: Floats | None, asked: Floats
) -> Floats:
    """What a plain logistic regression (scikit-learn's pipeline) says of the rows of ``asked``.

    What trees have to be better than. Categories one by one, numbers standardised, their medians where
    missing and a flag that says so.
    """
    categories = [place for place, each in enumerate(features) if each.kind == "category"]
    numbers = [place for place, each in enumerate(features) if each.kind != "category"]
    columns = ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(
                    SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
                    StandardScaler(),
                ),
                numbers,
            ),
            (
                "categories",
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value=-1, keep_empty_features=True),
                    OneHotEncoder(handle_unknown="ignore"),
                ),
                categories,
            ),
        ]
    )
    pipeline = make_pipeline(columns, LogisticRegression(max_iter=1000))
    pipeline.fit(matrix, outcomes, logisticregression__sample_weight=weights)
    return np.asarray(pipeline.predict_proba(asked)[:, 1])
