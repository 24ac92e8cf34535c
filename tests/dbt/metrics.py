"""dbt's semantic manifest, evaluated as MetricFlow would: a metric of a period, as SQL over a dataset."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Metrics:
    """The metrics of a parsed project."""

    semantic_manifest: Path

    @cached_property
    def _content(self) -> Json:
        content: Json = json.loads(self.semantic_manifest.read_text())
        return content

    @cached_property
    def names(self) -> set[str]:
        return {metric["name"] for metric in self._content["metrics"]}

    @cached_property
    def ratios(self) -> dict[str, tuple[str, str]]:
        """Every rate: its numerator and its denominator."""
        return {
            metric["name"]: (
                metric["type_params"]["numerator"]["name"],
                metric["type_params"]["denominator"]["name"],
            )
            for metric in self._content["metrics"]
            if metric["type"] == "ratio"
        }

    def sql(self, name: str, first: date, last: date, dataset: str, where: str = "true") -> str:
        """A query of one value: the simple metric over [first, last].

        A measure that must not be added over time is that of the last day (or of the first), as its window
        choice says; ``where`` filters the mart's rows.
        """
        [metric] = [each for each in self._content["metrics"] if each["name"] == name]
        assert metric["type"] == "simple", name
        measure_name = metric["type_params"]["measure"]["name"]
        [(model, measure)] = [
            (model, measure)
            for model in self._content["semantic_models"]
            for measure in model["measures"]
            if measure["name"] == measure_name
        ]
        assert measure["agg"] == "sum", name
        day = measure.get("agg_time_dimension") or model["defaults"]["agg_time_dimension"]
        window = (measure.get("non_additive_dimension") or {}).get("window_choice")
        since, until = (last if window == "max" else first), (first if window == "min" else last)
        return (
            f"select sum({measure.get('expr') or measure_name}) "
            f"from `{dataset}.{model['node_relation']['alias']}` "
            f"where {day} between date '{since}' and date '{until}' and ({where})"
        )
