"""What a run publishes: the models that the dbt project marks, and which of their partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

from google.cloud import bigquery

from loaders.warehouse.dbt_models import dbt_models
from loaders.warehouse.ops import literal
from runs.history_models import Partitions, checkpoint_day, partition_days
from segue.errors import SegueError
from segue.settings import Settings
from segue.window import DAY, RunWindow, days_between

WHOLE = date(1, 1, 1)
"""Stands for the one partition of a table that is published whole."""

Kind = Literal["days", "arrivals", "whole"]
"""``days``: a partition for each day of the run. ``arrivals``: of the history, for each arrival
day that the run built. ``whole``: the table as it is known now."""


class PublishError(SegueError):
    """Nothing of this run was published; what analysts see is as before."""

    code = "publication_refused"


@dataclass(frozen=True)
class PublishedMart:
    """A model that the dbt project marks with ``meta.published``.

    ``as_known_then``: a day knows the arrivals up to that day and no others; later ones do not change it.
    ``measures`` are columns whose sums say what a restatement changed, ``partitions`` which days of a history
    table there are, ``columns`` the columns' descriptions.
    """

    name: str
    day_column: str
    restates_days: int
    description: str
    kind: Kind = "days"
    measures: tuple[str, ...] = ()
    partitions: Partitions = "arrival_days"
    columns: Mapping[str, str] = field(default_factory=dict, hash=False)
    as_known_then: bool = False

    def described(self, column: bigquery.SchemaField) -> bigquery.SchemaField:
        """The column with its description; in audit, which has no readers, it has none."""
        told = column.to_api_repr() | {"description": self.columns.get(column.name) or column.description}
        return bigquery.SchemaField.from_api_repr(told)

    def dataset(self, settings: Settings) -> str:
        """Where it is published: marts are for analysts, the history is for later runs."""
        return settings.history_dataset if self.kind == "arrivals" else settings.marts_dataset

    def days(self, settings: Settings, window: RunWindow) -> list[date]:
        """The partitions that a run has built."""
        if self.kind == "whole":
            return [WHOLE]
        if self.kind == "arrivals":
            first = window.history.first_days.get(self.name, settings.history_start_date)
            as_of_date = window.as_of_date
            return partition_days(self.partitions, first, checkpoint_day(settings, as_of_date), as_of_date)
        began = window.first_day(as_known_then=self.as_known_then)
        first = max(began - DAY * self.restates_days, settings.history_start_date)
        return list(days_between(first, window.end_date))

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
    marts = []
    for model in dbt_models(manifest).values():
        if not model.is_published:
            continue
        kind = model.meta["published"]
        if not model.day_column and kind != "whole":
            raise PublishError(f"{model.name} is published but not partitioned by day")
        marts.append(
            PublishedMart(
                name=model.name,
                day_column=model.day_column,
                restates_days=model.restates_days,
                description=model.description,
                kind=kind,
                measures=tuple(model.meta.get("measures", ())),
                partitions=model.meta.get("partitions", "arrival_days"),
                columns={column["name"]: column["description"] for column in model.columns},
                as_known_then=model.as_known_then,
            )
        )
    return sorted(marts, key=lambda mart: mart.name)
