"""Compiles the declarations to macros, by which the dbt models know what was declared.

A macro gives plain Jinja values, so that a model may loop over them, and compute constants, such as the first
day that it has to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from experiments.declaration import Experiment, Holdouts, Metric
from experiments.facts import FACTS
from segue.dbt_values import value_macro
from segue.shipped import DBT_PROJECT_DIR

MACROS_FILE: Final = DBT_PROJECT_DIR / "macros/experiments.sql"
BUCKETS: Final = 10_000
"""An account has one of so many buckets under a salt, as the segments' rules draw it; a percent is 100."""

_HEAD: Final = """-- fmt: off
{# Made by `segue experiments compile` from experiments/*.yml and experiments/metrics/*.yml; edit those. #}

"""


def declared_values(
    experiments: Mapping[str, Experiment], metrics: Mapping[str, Metric], holdouts: Holdouts | None = None
) -> dict[str, list[dict[str, Any]]]:
    """What the macros of these names return: lists of objects, in the order of their ids.

    ``declared_holdouts`` has one, with metrics and term, or none. Given to dbt as vars, they count instead of
    what was compiled.
    """
    return {
        "declared_experiments": [_experiment(each) for _, each in sorted(experiments.items())],
        "declared_metrics": [_metric(each) for _, each in sorted(metrics.items())],
        "declared_holdouts": [
            {
                "id": each.id,
                "version": each.version,
                "metrics": [use.metric for use in each.metrics],
                "start": each.start.isoformat(),
                "end": each.end.isoformat(),
            }
            for each in (holdouts,)
            if each
        ],
    }


def compile_macros(
    experiments: Mapping[str, Experiment], metrics: Mapping[str, Metric], holdouts: Holdouts | None = None
) -> str:
    """The macros of the declared values, and ``metric_facts()``, which says where marts are read."""
    facts = [
        {
            "mart": mart,
            "relation": each.relation,
            "partition": each.partition,
            "cents": dict(each.cents),
            "reach": each.reach_days,
        }
        for mart, each in FACTS.items()
    ]
    macros = [
        *(
            value_macro(name, values)
            for name, values in declared_values(experiments, metrics, holdouts).items()
        ),
        value_macro("metric_facts", facts),
    ]
    return _HEAD + "\n".join(macros)


def _experiment(experiment: Experiment) -> dict[str, Any]:
    variants, first = [], 0
    for variant in experiment.variants:
        after = first + round(variant.percent * BUCKETS / 100)
        variants.append({"name": variant.name, "first_bucket": first, "last_bucket": after - 1})
        first = after
    return {
        "id": experiment.id,
        "version": experiment.version,
        "rule": experiment.rule,
        "surface": experiment.surface,
        "salt": experiment.salt,
        "control": experiment.control,
        "variants": variants,
        "metrics": [use.metric for use in experiment.metrics],
        "start": experiment.start.isoformat(),
        "end": experiment.end.isoformat(),
    }


def _metric(metric: Metric) -> dict[str, Any]:
    return metric.model_dump(mode="json", exclude={"owner", "description"})
