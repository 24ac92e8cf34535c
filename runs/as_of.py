"""The marts as they were known on an earlier day."""

from __future__ import annotations

from datetime import date

from loaders.landing.arrivals import Arrivals
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import ensure_ops_tables, literal, ops_table
from runs.dbt import build, ensure_parsed
from runs.erased import keeping_nobody_erased, take_out_of_dataset
from runs.history import history_window
from runs.restated_movements import CLOSES, MOVEMENTS, Version, make_follow, restated_rows
from segue.settings import Settings
from segue.window import DAY, ImpossibleDaysError, RunWindow, refuse_impossible_days


def as_of_dataset(settings: Settings, as_of_date: date) -> str:
    """Name of the dataset that holds the marts as known on ``as_of_date``."""
    return f"{settings.as_of_dataset_prefix}_{as_of_date:%Y%m%d}"


def build_as_of(settings: Settings, start_date: date, end_date: date, as_of_date: date) -> str:
    """Build the marts of [start_date, end_date] from what had arrived by ``as_of_date``; returns the dataset.

    Nothing is published and nothing published is read except the history, whose partitions do not depend on
    later arrivals, and what was decided on other days. With the ``as_of_date`` of a day's first run these are
    its first rows, but for exposures by what has been decided since. The dataset holds the days that were
    asked for last.

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
        _follow_the_day_before(settings, window)
    take_out_of_dataset(settings, window)
    return dataset


def _follow_the_day_before(settings: Settings, window: RunWindow) -> None:
    """Add what the first day's movements held of the day before that was known too late to restate it.

    The published close of that day is built once more, from what its last publication knew by then.
    """
    warehouse, day_before = warehouse_of(settings), window.start_date - DAY
    known = _known_when_published(settings, day_before, window.as_of_date)
    if known is None or known == window.as_of_date:
        return
    opening = RunWindow(
        start_date=day_before,
        end_date=day_before,
        as_of_date=known,
        audit_dataset=f"{window.audit_dataset}_opening",
        history=history_window(settings, known),
    )
    warehouse.ensure_dataset(opening.audit_dataset)
    build(settings, opening, [f"+{CLOSES}"])
    versions = [Version(each.table(CLOSES), each.table(MOVEMENTS), each.days) for each in (opening, window)]
    for statement in make_follow(
        restated_rows([window.start_date], versions), window.table(MOVEMENTS), kept_days=[]
    ):
        warehouse.run(statement)
    warehouse.drop_dataset(opening.audit_dataset)


def _known_when_published(settings: Settings, day: date, as_of_date: date) -> date | None:
    """The newest as-of day, up to ``as_of_date``, under which a day's closes were published; None: none."""
    warehouse = warehouse_of(settings)
    ensure_ops_tables(warehouse)
    found = warehouse.run(
        f"select max(as_of_date) as known from `{ops_table(settings, 'publications')}` "
        f"where run_date >= {literal(settings.history_start_date)} and mart = {literal(CLOSES)} "
        f"and partition_date = {literal(day)} and as_of_date <= {literal(as_of_date)}"
    )
    known: date | None = next(iter(found)).known
    return known
