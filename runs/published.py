"""What a run publishes: the models that the dbt project marks, and which of their partitions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from loaders.warehouse.ops import literal
from runs.history import VERSIONS, checkpoint_day
from segue.errors import SegueError
from segue.settings import Settings
from segue.window import DAY, RunWindow, days_between

WHOLE = date(1, 1, 1)
"""Stands for the one partition of a table that is published whole."""

Kind = Literal["days", "arrivals", "whole"]
"""``days``: a partition for each day of the run. ``arrivals``: of the subscription history, for each arrival
day that the run built. ``whole``: the table as it is known now."""


class PublishError(SegueError):
    """Nothing of this run was published; what analysts see is as before."""

    code = "publication_refused"


@dataclass(frozen=True)
class PublishedMart:
    """A model that the dbt project marks with ``meta.published``.

    ``measures`` are columns whose sums say what a restatement changed.
    """

    name: str
    day_column: str
    restates_days: int
    description: str
    kind: Kind = "days"
    measures: tuple[str, ...] = ()

    def dataset(self, settings: Settings) -> str:
        """Where it is published: marts are for analysts, the history is for later runs."""
        return settings.history_dataset if self.kind == "arrivals" else settings.marts_dataset

    def days(self, settings: Settings, window: RunWindow) -> list[date]:
        """The partitions that a run has built."""
        if self.kind == "whole":
            return [WHOLE]
        if self.kind == "arrivals":
            first, last = window.history.events_from_date, window.as_of_date
            if self.name == VERSIONS:
                first = max(window.history.versions_from_date, checkpoint_day(settings, last))
        else:
            first = max(window.start_date - DAY * self.restates_days, settings.history_start_date)
            last = window.end_date
        return list(days_between(first, last))

    def filter(self, days: Sequence[date]) -> str:
        """A constant filter on the partitions: a range when the days are consecutive, else a list."""
        if self.kind == "whole":
            return "true"
        if _consecutive(days):
            return f"{self.day_column} between date '{days[0]}' and date '{days[-1]}'"
        return f"{self.day_column} in ({', '.join(literal(day) for day in days)})"

    def array(self, days: Sequence[date]) -> str:
        """The days as an array; two years of literals would take longer to parse than to publish."""
        if _consecutive(days):
            return f"generate_date_array(date '{days[0]}', date '{days[-1]}')"
        return f"[{', '.join(literal(day) for day in days)}]"

    @property
    def day_expression(self) -> str:
        """SQL of a row's partition day."""
        return literal(WHOLE) if self.kind == "whole" else self.day_column


def _consecutive(days: Sequence[date]) -> bool:
    return (days[-1] - days[0]).days + 1 == len(days)


def published_marts(manifest: Path) -> list[PublishedMart]:
    """The published models of a dbt manifest, by name.

    Raises:
        PublishError: a published model has no day partition and is not published whole.
    """
    nodes = json.loads(manifest.read_text())["nodes"].values()
    marts = []
    for node in nodes:
        config = node.get("config", {})
        meta = config.get("meta", {})
        if node["resource_type"] != "model" or not meta.get("published"):
            continue
        partition = config.get("partition_by")
        if not partition and meta["published"] != "whole":
            raise PublishError(f"{node['name']} is published but not partitioned by day")
        marts.append(
            PublishedMart(
                name=node["name"],
                day_column=partition["field"] if partition else "",
                restates_days=int(meta.get("restates_days", 0)),
                description=node.get("description", ""),
                kind=meta["published"],
                measures=tuple(meta.get("measures", ())),
            )
        )
    return sorted(marts, key=lambda mart: mart.name)
