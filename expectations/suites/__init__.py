"""One module per family of marts; ``all_suites`` lists what the gate runs, in this order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from expectations.suites.conversions import conversion_suites
from expectations.suites.dimensions import dimension_suites
from expectations.suites.experiment_sums import experiment_sum_suites
from expectations.suites.experiments import experiment_suites
from expectations.suites.features import feature_suites
from expectations.suites.funnel import funnel_suites
from expectations.suites.movements import movement_suites
from expectations.suites.outcomes import outcome_suites
from expectations.suites.revenue import revenue_suites
from expectations.suites.segments import segment_suites
from expectations.suites.subscribers import subscriber_suites
from expectations.suites.suite import MartSuite
from expectations.suites.upsell import upsell_suites
from loaders.warehouse.dbt_models import DbtModel
from segue.window import RunWindow

__all__ = ["MartSuite", "all_suites"]


def all_suites(window: RunWindow, models: Mapping[str, DbtModel]) -> list[MartSuite]:
    """The suites of every validated model, for the partitions of ``window`` that ``models`` declare."""
    suites = [
        *subscriber_suites(window),
        *movement_suites(window),
        *outcome_suites(window, models),
        *upsell_suites(window),
        *revenue_suites(window),
        *dimension_suites(),
        *conversion_suites(models),
        *experiment_sum_suites(),
        *funnel_suites(window, models),
        *feature_suites(),
        *segment_suites(window),
        *experiment_suites(),
    ]
    return [_as_declared(suite, models[suite.model]) for suite in suites]


def _as_declared(suite: MartSuite, model: DbtModel) -> MartSuite:
    if not model.is_published:
        return suite
    return replace(
        suite,
        day_column=model.day_column,
        restates_days=model.restates_days,
        as_known_then=model.as_known_then,
    )
