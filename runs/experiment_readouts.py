"""Readouts of experiments and holdouts from the published sums: of one now, of all after a publication."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil
from typing import TypeAlias

from experiments.daily import DailySums, DayReadout, readout_of_day
from experiments.declaration import Experiment, Metric
from experiments.page import DatedReadout, page
from experiments.registry import EXPERIMENTS_DIR, load
from loaders.experiments.daily_sums import MART, daily_sums
from loaders.experiments.readouts import replace_days, rows_of
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.publications import newest_published
from runs.experiment_alerts import Alert, causes, close_stopped, raise_once
from runs.rule_experiments import all_experiments
from segments.source import load_rules
from segue.errors import SegueError
from segue.settings import Settings
from segue.window import days_between

PAGE_DAYS = 60
"""A page has about so many days, however long an experiment runs."""


class NothingToReadError(SegueError):
    """There is no readout, because there is nothing to read."""

    code = "nothing_to_read"
    exit_code = 3


@dataclass(frozen=True)
class WrittenReadouts:
    """What a publication led to."""

    days: tuple[date, ...]
    experiments: tuple[str, ...]
    rows: int
    alerts: tuple[Alert, ...]

    def summary(self) -> str:
        """One line for a log."""
        if not self.days:
            return "no sums are published yet"
        span = str(self.days[0]) if len(self.days) == 1 else f"{self.days[0]}..{self.days[-1]}"
        raised = f", {len(self.alerts)} new alerts" if self.alerts else ""
        return f"{self.rows:,} rows of {len(self.experiments)} experiments for {span}{raised}"


Declared: TypeAlias = tuple[dict[str, Experiment], dict[str, Metric]]
"""Experiments and metrics by id."""


def declared_experiments(settings: Settings) -> Declared:
    """All experiments by id, holdouts included, and the metrics that they are judged by.

    Raises:
        DeclarationsError: files of experiments or rules have mistakes.
    """
    registry = load(settings.experiments_dir or EXPERIMENTS_DIR)
    return all_experiments(registry, load_rules()), registry.metrics


def read_experiment(
    settings: Settings, experiment_id: str, day: date | None = None, declared: Declared | None = None
) -> DayReadout:
    """What an experiment had shown by the end of ``day``, by default of the newest published one.

    Raises:
        NothingToReadError: nobody declared it, nothing is published, or nobody was exposed by then.
    """
    experiment, metrics = _declared(settings, experiment_id, declared)
    sums, asked = _sums(settings, experiment, day)
    found = readout_of_day(experiment, metrics, sums, asked)
    if found is None:
        raise NothingToReadError(f"nobody was exposed to {experiment_id} by {asked}")
    return found


def experiment_page(
    settings: Settings, experiment_id: str, day: date | None = None, declared: Declared | None = None
) -> str:
    """The page of what an experiment had shown over the days up to ``day``, by default the newest published.

    Of a long experiment not every day is shown, but every look and the last day.

    Raises:
        NothingToReadError: nobody declared it, nothing is published, or nobody was exposed by then.
    """
    experiment, metrics = _declared(settings, experiment_id, declared)
    sums, asked = _sums(settings, experiment, day)
    last = max(experiment.start, min(asked, experiment.start + timedelta(days=experiment.looks[-1] - 1)))
    found = [
        DatedReadout(each, known.readout)
        for each in _shown_days(experiment, last)
        if (known := readout_of_day(experiment, metrics, sums, each)) is not None
    ]
    if not found:
        raise NothingToReadError(f"nobody was exposed to {experiment_id} by {asked}")
    facts = {
        "hypothesis": experiment.hypothesis,
        "owner": experiment.owner,
        "of": experiment.rule or experiment.surface or "all offers",
        "version": str(experiment.version),
        "exposures": f"{experiment.start} to {experiment.end}",
        "looks": f"after {', '.join(map(str, experiment.looks))} days",
    }
    return page(experiment.id, experiment.design(metrics), found, facts)


def _shown_days(experiment: Experiment, last: date) -> list[date]:
    days = list(days_between(experiment.start, last))
    looks = {experiment.start + timedelta(days=look - 1) for look in experiment.looks}
    every = ceil(len(days) / PAGE_DAYS)
    return [day for day in days if (last - day).days % every == 0 or day in looks]


def _declared(
    settings: Settings, experiment_id: str, declared: Declared | None
) -> tuple[Experiment, dict[str, Metric]]:
    experiments, metrics = declared or declared_experiments(settings)
    experiment = experiments.get(experiment_id)
    if experiment is None:
        raise NothingToReadError(f"{experiment_id} is not declared; there are {', '.join(experiments)}")
    return experiment, metrics


def _sums(settings: Settings, experiment: Experiment, day: date | None) -> tuple[list[DailySums], date]:
    """The published sums up to ``day``, and the last day that they are of."""
    warehouse = warehouse_of(settings)
    newest = newest_published(warehouse, MART)
    if newest is None:
        raise NothingToReadError(f"{MART} was never published")
    asked = min(day or newest, newest)
    return daily_sums(warehouse, experiment.start, asked, experiment.id).get(experiment.id, []), asked


def write_readouts(
    settings: Settings, first: date, last: date, declared: Declared | None = None
) -> WrittenReadouts:
    """The readouts of the days from ``first`` to ``last``, whose sums were published, and of those after
    them, which add up the same sums; then what has to be known at once.

    Making them again gives the same rows, and no alert a second time.

    Raises:
        WarehouseError: BigQuery refused; a day is replaced whole or not at all.
        DeclarationsError: files of experiments or rules have mistakes.
    """
    warehouse = warehouse_of(settings)
    newest = newest_published(warehouse, MART)
    if newest is None:
        return WrittenReadouts((), (), 0, ())
    experiments, metrics = declared or declared_experiments(settings)
    days = tuple(days_between(first, max(last, newest)))
    since = min((each.start for each in experiments.values()), default=first)
    sums = daily_sums(warehouse, min(since, first), days[-1])
    read = [
        (experiment, found)
        for day in days
        for experiment in _running(experiments.values(), day)
        if (found := readout_of_day(experiment, metrics, sums.get(experiment.id, ()), day)) is not None
    ]
    rows = [row for experiment, found in read for row in rows_of(experiment, found)]
    replace_days(warehouse, days, rows)
    exposing = [each for each in experiments.values() if each.state(newest) == "running"]
    alerts = raise_once(
        settings,
        [
            alert
            for experiment, found in read
            if experiment in exposing
            for alert in causes(experiment, found)
        ],
    )
    close_stopped(settings, exposing)
    names = dict.fromkeys(experiment.id for experiment, _ in read)
    return WrittenReadouts(days, tuple(names), len(rows), tuple(alerts))


def _running(experiments: Iterable[Experiment], day: date) -> list[Experiment]:
    """Those whose last look is not over."""
    return [each for each in experiments if each.start <= day < each.start + timedelta(days=each.looks[-1])]
