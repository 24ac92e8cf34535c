"""The marts as they were known on an earlier day."""

from __future__ import annotations

from datetime import date

from loaders.landing.arrivals import Arrivals
from loaders.warehouse.client import warehouse_of
from runs.dbt import build, ensure_parsed
from runs.erased import keeping_nobody_erased, take_out_of_dataset
from runs.history import history_window
from segue.settings import Settings
from segue.window import ImpossibleDaysError, RunWindow, refuse_impossible_days


def as_of_dataset(settings: Settings, as_of_date: date) -> str:
    """Name of the dataset that holds the marts as known on ``as_of_date``."""
    return f"{settings.as_of_dataset_prefix}_{as_of_date:%Y%m%d}"


def build_as_of(settings: Settings, start_date: date, end_date: date, as_of_date: date) -> str:
    """Build the marts of [start_date, end_date] from what had arrived by ``as_of_date``; returns the dataset.

    Nothing is published and nothing published is read except the history, whose partitions do not depend on
    later arrivals. With the ``as_of_date`` of a day's first run these are its first rows. The dataset holds
    the days that were asked for last.

    Raises:
        BuildError: a model failed.
        ImpossibleDaysError: the days end after the as-of day, when nothing was known of them, or are before
            the history that is kept, or not all that had arrived by the as-of day has landed.
    """
    if end_date > as_of_date:
        raise ImpossibleDaysError(
            f"{end_date} had not happened on {as_of_date}: the last day is after the as-of day"
        )
    refuse_impossible_days(settings, start_date, end_date)
    missing = Arrivals.read(settings).missing(as_of_date)
    if missing:
        raise ImpossibleDaysError(
            f"what was known on {as_of_date} cannot be said: the arrivals of {missing[0]} have not landed"
        )
    ensure_parsed(settings)
    dataset = as_of_dataset(settings, as_of_date)
    warehouse_of(settings).ensure_dataset(dataset)
    window = RunWindow(
        start_date=start_date,
        end_date=end_date,
        as_of_date=as_of_date,
        audit_dataset=dataset,
        history=history_window(settings, as_of_date),
    )
    with keeping_nobody_erased(settings, window):
        build(settings, window)
    take_out_of_dataset(settings, window)
    return dataset
