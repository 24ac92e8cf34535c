"""The tables that keep by arrival day what later runs must know, as the dbt project declares them.

A model with ``meta.published: arrivals`` is one. Its ``meta`` says which raw tables a partition is made of,
and which partitions there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from loaders.warehouse.dbt_models import DbtModel, dbt_models
from segue.settings import Settings
from segue.window import days_between

Partitions = Literal["arrival_days", "since_checkpoint", "checkpoint"]
"""``arrival_days``: one for each day. ``since_checkpoint``: one for each day, of which those of the as-of
day's month tell all that is known. ``checkpoint``: only that of the first of the month."""


def checkpoint_day(settings: Settings, as_of_date: date) -> date:
    """The first of the as-of day's month, whose partitions tell all that was known by then."""
    return max(as_of_date.replace(day=1), settings.history_start_date)


def partition_days(partitions: Partitions, first: date, checkpoint: date, as_of_date: date) -> list[date]:
    """The partitions from ``first`` on that a run needs which knows the arrivals up to ``as_of_date``."""
    if partitions == "checkpoint":
        return [checkpoint] if first <= checkpoint else []
    since = max(first, checkpoint) if partitions == "since_checkpoint" else first
    return list(days_between(since, as_of_date))


@dataclass(frozen=True)
class HistoryModel:
    """One history table.

    A partition depends on the rows of ``feeds_of_day`` that arrived on its day and on those of
    ``feeds_until_day`` that had arrived by it, directly or through the history tables that it ``follows``.
    One that ``goes_on`` is made of its partition of the month before and what has become known since.
    """

    model: DbtModel
    partitions: Partitions
    feeds_of_day: tuple[str, ...]
    feeds_until_day: tuple[str, ...]
    follows: tuple[str, ...]
    goes_on: bool = False

    @property
    def name(self) -> str:
        """The name of the model and of the published table."""
        return self.model.name

    @property
    def feeds(self) -> tuple[str, ...]:
        """All raw tables that it is made of."""
        return self.feeds_of_day + self.feeds_until_day


def history_models(manifest: Path) -> list[HistoryModel]:
    """The history tables that the dbt project declares, each after those that it follows."""
    models = dbt_models(manifest)
    declared = {name for name, model in models.items() if model.meta.get("published") == "arrivals"}
    follows = {name: _ancestors(models, name) & declared - {name} for name in declared}
    return [
        HistoryModel(
            model=models[name],
            partitions=models[name].meta.get("partitions", "arrival_days"),
            feeds_of_day=tuple(models[name].meta.get("feeds_of_day", ())),
            feeds_until_day=tuple(models[name].meta.get("feeds_until_day", ())),
            follows=tuple(sorted(follows[name])),
            goes_on=bool(models[name].meta.get("goes_on", False)),
        )
        for name in sorted(declared, key=lambda name: (len(follows[name]), name))
    ]


def _ancestors(models: Mapping[str, DbtModel], name: str) -> set[str]:
    found: set[str] = set()
    queue: list[Iterable[str]] = [models[name].reads]
    while queue:
        for parent in queue.pop():
            if parent not in found:
                found.add(parent)
                queue.append(models[parent].reads if parent in models else ())
    return found
