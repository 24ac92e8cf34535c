"""A run's steps, listed once: the DAG, the command line, the demo and the tests all go through this list.

Every step takes the run's window and gives it on, with one line of what it did. Only ``land`` changes it: it
is given the days that were asked for and finds out which days have to be built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from segue.settings import Settings
from segue.window import ImpossibleDaysError, RunWindow

StepReport = Callable[[str, str], None]
"""Called with a step's name and one line of what it did."""


@dataclass(frozen=True)
class StepOutcome:
    """What a step leaves: the window for the next one, one line for a log, and rows by published mart."""

    window: RunWindow
    summary: str
    published: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One step; ``perform`` may be called again at any time and gives the same tables.

    ``final_errors`` are failures that trying again cannot mend: somebody has to look first.
    """

    name: str
    doc: str
    perform: Callable[[Settings, RunWindow], StepOutcome]
    is_publication: bool = False


def asked(settings: Settings, start_date: date, end_date: date) -> RunWindow:
    """The window of a run before anything has landed: the days that somebody asks for.

    Raises:
        ImpossibleDaysError: the days are in the wrong order, or before the history that is kept.
    """
    if end_date < start_date:
        raise ImpossibleDaysError(f"{start_date}..{end_date} ends before it starts")
    if start_date < settings.history_start_date:
        raise ImpossibleDaysError(
            f"{start_date} is before SEGUE_HISTORY_START_DATE, {settings.history_start_date}: no model reads "
            "arrivals before it, so those days would be left out; set it to the first day of your data"
        )
    return RunWindow.whole(settings, start_date, end_date)


def land(settings: Settings, window: RunWindow) -> StepOutcome:
    """Land the arrival days of a run and say which days it must build.

    A single day reaches back to the earliest day that its late events belong to (at most
    ``settings.restatement_days``); a longer range is built as asked. Earlier arrival days that never landed
    are landed first, so that runs may come in any order.

    Days before the very first arrival have no files and need none: they are built from what the first
    arrival tells about them, as a billing export does that is made once.

    Raises:
        LandingError: a file is missing, unreadable or breaks its contract as a whole.
    """
    from loaders.landing import days
    from runs.dbt import ensure_parsed
    from runs.history import history_window

    ensure_parsed(settings)
    start_date, end_date = window.start_date, window.end_date
    earliest = days.first_arrival_day(settings) or start_date
    last = max(end_date, earliest)
    days.land_through(settings, max(start_date, earliest), last)
    as_of = days.contiguous_landed_day(settings, last)
    landed = RunWindow(
        start_date=days.reach(settings, end_date) if start_date == end_date else start_date,
        end_date=end_date,
        as_of_date=as_of,
        audit_dataset=window.audit_dataset,
        history=history_window(settings, as_of),
    )
    return StepOutcome(landed, f"arrival days to {end_date}, known as of {as_of}")


def build(settings: Settings, window: RunWindow, on_node: Callable[[str], None] | None = None) -> StepOutcome:
    """Build every model of the run in its audit dataset.

    Raises:
        BuildError: a model failed.
    """
    from runs.dbt import build as build_models
    from runs.erased import keeping_nobody_erased

    with keeping_nobody_erased(settings, window):
        build_models(settings, window, on_node=on_node)
    return StepOutcome(window, str(window))


def validate(settings: Settings, window: RunWindow) -> StepOutcome:
    """Judge the partitions in audit.

    An erasure takes an account's rows out of what was built, but not out of the totals that were built from
    them: they may disagree then, and are built again before they are judged for good.

    Raises:
        ValidationFailedError: a critical expectation failed.
        BuildError: a model that had to be built again failed.
    """
    # Imported here because Great Expectations takes ten seconds, which a failing build need not wait for.
    from expectations.gate import ValidationFailedError
    from expectations.gate import validate as run_gate
    from runs.erased import keeping_nobody_erased, was_anybody_erased

    with keeping_nobody_erased(settings, window):
        try:
            result = run_gate(settings, window)
        except ValidationFailedError:
            if not was_anybody_erased(settings, window):
                raise
            build(settings, window)
            result = run_gate(settings, window)
    return StepOutcome(window, f"{len(result.outcomes)} expectations, {len(result.warnings)} warnings")


def publish(settings: Settings, window: RunWindow) -> StepOutcome:
    """Make all marts of the run visible at once, and remove what they were built in.

    Raises:
        PublishError: a mart was not built, or its columns changed in a way that is no widening.
    """
    from runs.publish import drop_audit
    from runs.publish import publish as publish_marts

    publication = publish_marts(settings, window)
    drop_audit(settings, window)
    return StepOutcome(window, publication.summary(), publication.rows_of_marts())


STEPS: Final = (
    Step(
        "land",
        "Lands the arrival day (and earlier ones that are missing) and decides which days to build.",
        land,
    ),
    Step("build", "dbt, started once: every model of the run, in an audit dataset.", build),
    Step(
        "validate",
        "Great Expectations over the partitions in audit; a critical failure ends the run.",
        validate,
    ),
    Step(
        "publish", "Moves all marts' partitions from audit to the published dataset at once.", publish, True
    ),
)
"""Of every run, in this order. What comes next is ``load_online``, once a day's segments are published."""


def load_online(settings: Settings, segment_date: date) -> str:
    """Load a published day's segments into Bigtable and move readers to them; returns one line about it.

    Raises:
        LoadError: readers still see what they saw before.
    """
    from loaders.bigtable import load_segments

    return load_segments(settings, segment_date).summary()


def run(settings: Settings, start_date: date, end_date: date, report: StepReport) -> RunWindow:
    """Every step for [start_date, end_date]; running it again gives the same tables.

    Raises:
        SegueError: a step failed; what was published before stays as it is.
    """
    window = asked(settings, start_date, end_date)
    for step in STEPS:
        outcome = step.perform(settings, window)
        window = outcome.window
        report(step.name, outcome.summary)
    return window
