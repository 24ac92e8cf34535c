"""How good predicted uplifts are, against what a randomised trial has shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import integrate, stats

from scoring.columns import Floats, Mask
from scoring.propensity import tenths

Interval = tuple[float, float]

RESAMPLES: Final = 500
_SEED: Final = 20_240_229


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class UpliftDecile(_Part):
    """A tenth of the rows, by their predicted uplift; the first has the highest."""

    decile: int
    rows: int
    predicted: float
    treated: float | None
    """Share of events among its treated rows; None without any."""
    control: float | None
    uplift: float | None
    """``treated`` − ``control``."""


class UpliftQuality(_Part):
    """The order of the predicted uplifts, and its 95% bootstrap intervals."""

    qini: float
    interval: Interval
    auuc: float
    auuc_interval: Interval
    by_decile: list[UpliftDecile]


class QiniPoint(_Part):
    """What is gained when a share of the rows is treated, those of the highest predicted uplift first."""

    share: float
    gained: float
    """Events a treated row of all, over none being treated."""


@dataclass(frozen=True)
class Areas:
    """Two areas over the share of rows that is treated, best first; see ``areas_of``."""

    qini: float
    auuc: float


def areas_of(uplifts: Floats, outcomes: Floats, is_treated: Mask) -> Areas:
    """The Qini coefficient and the area under the uplift curve.

    Rows are taken in the order of their predicted uplift, the highest first; among the first k, t(k) treated
    ones had y_t(k) events and c(k) of control y_c(k); N of all n rows are treated.

    * Qini (Radcliffe, "Using control groups to target on predicted lift", Direct Marketing Analytics Journal
      2007): the area between ``(y_t(k) − y_c(k)·t(k)/c(k)) / N`` over k/n and the straight line to its end,
      on which a random order lies. 0 for a random order, above 0 for a good one; in events a treated row.
    * AUUC (Gutierrez and Gérardy, "Causal Inference and Uplift Modelling", PMLR 67, 2017): the area under
      ``(y_t(k)/t(k) − y_c(k)/c(k)) · k/n``. A random order has half the average effect.

    Equal uplifts are taken together: the curve is straight across them. An arm with no row yet has no event
    to compare with, so that nothing is gained there.
    """
    order = _Order(uplifts, outcomes, is_treated)
    return order.areas(np.ones(len(outcomes)))


def qini_curve_of(uplifts: Floats, outcomes: Floats, is_treated: Mask) -> tuple[QiniPoint, ...]:
    """The curve that the Qini coefficient is an area of, at every twentieth of the rows."""
    share, gained, _ = _Order(uplifts, outcomes, is_treated).curves(np.ones(len(outcomes)))
    at = np.linspace(0, 1, 21)
    return tuple(
        QiniPoint(share=float(each), gained=float(height))
        for each, height in zip(at, np.interp(at, share, gained), strict=True)
    )


def qinis_of(uplifts: Floats, outcomes: Floats, is_treated: Mask, weights: Floats) -> Floats:
    """The Qini coefficient of each resample: a row of ``weights``, which says how often each row is in it."""
    order = _Order(uplifts, outcomes, is_treated)
    share, gained, _ = order.curves(weights[:, order.rows])
    return _qini(share, gained)


def uplift_quality_of(uplifts: Floats, outcomes: Floats, is_treated: Mask) -> UpliftQuality:
    """Areas with percentile intervals of a bootstrap over rows, within arms (SciPy's, seeded)."""
    order = _Order(uplifts, outcomes, is_treated)
    found = order.areas(np.ones(len(outcomes)))
    treated, control = np.nonzero(order.is_treated)[0], np.nonzero(~order.is_treated)[0]

    def drawn(treated_rows: Any, control_rows: Any) -> tuple[float, float]:
        weights = np.bincount(np.concatenate([treated_rows, control_rows]), minlength=len(outcomes))
        areas = order.areas(weights.astype(np.float64))
        return areas.qini, areas.auuc

    low, high = stats.bootstrap(
        (treated, control), drawn, n_resamples=RESAMPLES, batch=1, vectorized=False, method="percentile",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval  # fmt: skip
    return UpliftQuality(
        qini=found.qini,
        interval=(float(low[0]), float(high[0])),
        auuc=found.auuc,
        auuc_interval=(float(low[1]), float(high[1])),
        by_decile=_by_decile(uplifts, outcomes, is_treated),
    )


def _qini(share: Floats, gained: Floats) -> Floats:
    return np.asarray(integrate.trapezoid(gained, share) - gained[..., -1] / 2)


class _Order:
    """Rows by their predicted uplift, so that a resample only needs to weigh them."""

    def __init__(self, uplifts: Floats, outcomes: Floats, is_treated: Mask) -> None:
        order = np.argsort(-uplifts, kind="stable")
        self.rows = order
        self.is_treated = is_treated[order]
        self._outcomes = outcomes[order]
        # The last row of each group of equal uplifts.
        self._ends = np.append(np.nonzero(np.diff(uplifts[order]))[0], len(order) - 1)

    def areas(self, weights: Floats) -> Areas:
        share, gained, uplift = self.curves(weights)
        return Areas(
            qini=float(_qini(share, gained)),
            auuc=float(integrate.trapezoid(uplift, share)),
        )

    def curves(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Share of the rows, and over it what the two areas are under; see ``areas_of``.

        ``weights`` may have any axes before that of the rows.
        """
        treated_weights, control_weights = weights * self.is_treated, weights * ~self.is_treated
        t, c, y_t, y_c = (
            np.insert(np.cumsum(each, axis=-1)[..., self._ends], 0, 0.0, axis=-1)
            for each in (
                treated_weights,
                control_weights,
                treated_weights * self._outcomes,
                control_weights * self._outcomes,
            )
        )
        share = (t + c) / (t[..., -1:] + c[..., -1:])
        is_compared = (t > 0) & (c > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            gained = np.where(is_compared, y_t - y_c * t / c, 0.0) / t[..., -1:]
            uplift = np.where(is_compared, y_t / t - y_c / c, 0.0) * share
        return share, gained, uplift


def _by_decile(uplifts: Floats, outcomes: Floats, is_treated: Mask) -> list[UpliftDecile]:
    found = []
    for number, rows in enumerate(tenths(uplifts), 1):
        of_treated, of_control = outcomes[rows][is_treated[rows]], outcomes[rows][~is_treated[rows]]
        treated = float(of_treated.mean()) if len(of_treated) else None
        control = float(of_control.mean()) if len(of_control) else None
        uplift = None if treated is None or control is None else treated - control
        found.append(
            UpliftDecile(
                decile=number,
                rows=len(rows),
                predicted=float(uplifts[rows].mean()),
                treated=treated,
                control=control,
                uplift=uplift,
            )
        )
    return found
