"""A run's steps, listed once: the DAG, the command line, the demo and the tests all go through this list.

Every step takes the run's window and gives it on, with one line of what it did. ``land`` is given the days
that were asked for and finds out which days have to be built; ``build`` names its attempt's audit dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from importlib import import_module
from itertools import zip_longest
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from runs import lineage
from runs.building import build, score
from runs.handover import left_by
from runs.outcome import StepOutcome
from runs.step_jobs import jobs_of
from runs.step_record import perform
from runs.waiting import Awaited, arrivals_awaited
from segue.logs import new_run_id
from segue.settings import Settings
from segue.telemetry import present_step
from segue.window import DAY, ImpossibleDaysError, RunWindow, refuse_impossible_days

if TYPE_CHECKING:
    from expectations.gate import GateResult

StepReport = Callable[[str, str], None]
"""Called with a step's name and one line of what it did."""


@dataclass(frozen=True)
class Step:
    """One step; ``perform`` may be called again at any time and gives the same tables.

    ``libraries`` are those that take it seconds to load, in the order in which they have to be. Of the steps
    of one ``pool`` only one runs at a time, whatever runs there are: ``dags/pools.json`` declares them. A
    scheduler asks ``awaited`` before it performs the step, and later again; who runs it by hand does not
    wait.
    """

    name: str
    doc: str
    perform: Callable[[Settings, RunWindow], StepOutcome]
    libraries: tuple[str, ...]
    is_publication: bool = False
    pool: str | None = None
    awaited: Awaited | None = None

    def load(self) -> None:
        """Load the libraries."""
        for library in self.libraries:
            import_module(library)

    def load_meanwhile(self) -> None:
        """Load them in another thread; what fails there fails again, and is seen, in the step itself."""

        def load() -> None:
            with suppress(Exception):
                self.load()

        Thread(target=load, name=f"load-{self.name}", daemon=True).start()


def asked(
    settings: Settings,
    start_date: date,
    end_date: date,
    *,
    data_tests: bool = False,
    override_reason: str | None = None,
) -> RunWindow:
    """The window of a run before anything has landed: the days that somebody asks for.

    ``override_reason`` is why they are to be published even if the gate refuses them.

    Raises:
        ImpossibleDaysError: the days are in the wrong order, or before the history that is kept.
    """
    refuse_impossible_days(settings, start_date, end_date)
    told = {"asked_end_date": end_date, "data_tests": data_tests, "override_reason": override_reason or None}
    return RunWindow.whole(settings, start_date, end_date).model_copy(update=told)


def asked_by_trigger(
    settings: Settings,
    start_date: str | None,
    end_date: str | None,
    interval_start: datetime | None,
    *,
    data_tests: bool = False,
    override_reason: str | None = None,
) -> RunWindow:
    """The days that a DAG's parameters (YYYY-MM-DD) ask for, without them the day of its data interval.

    Raises:
        ImpossibleDaysError: as ``asked``, or the parameters name one end of a range only, or nothing does.
    """
    if start_date and end_date:
        first, last = date.fromisoformat(start_date), date.fromisoformat(end_date)
    elif start_date or end_date:
        given = "start_date" if start_date else "end_date"
        raise ImpossibleDaysError(
            f"{given} alone names no days, and no other day is built: give start_date and end_date, both"
        )
    elif interval_start is None:
        raise ImpossibleDaysError(
            "a run by hand without a logical date has no day: give start_date and end_date, or a logical date"
        )
    else:
        first = last = interval_start.date()
    return asked(settings, first, last, data_tests=data_tests, override_reason=override_reason)


@jobs_of("land")
def land(settings: Settings, window: RunWindow) -> StepOutcome:
    """Land the arrival days of a run and say which days it must build.

    A single day reaches back to the earliest day that its late events belong to (at most
    ``settings.restatement_days``); a longer range is built as asked. Both also take in the published days of
    that window which newly arrived or corrected rows belong to. Earlier arrival days that never landed are
    landed first, so that runs may come in any order; of those that did, tables land again whose files are new
    or changed. Marts of which a day is as it was known then are not changed by late events: of them the days
    that were asked for are built, those that never were, and those that a correction reaches.

    Days before the very first arrival have no files and need none: they are built from what the first
    arrival tells about them, as a billing export does that is made once.

    Raises:
        LandingError: a file is missing, unreadable, not what its manifest says or breaks its contract as a
            whole, or is late where the settings forbid it.
        ImpossibleDaysError: files have arrived on days that no run reads.
    """
    from loaders.landing.arrivals import Arrivals
    from loaders.landing.days import land_through
    from loaders.landing.read_days import reach
    from runs.dbt import ensure_parsed
    from runs.history import history_window
    from runs.landing_report import landing_summary, landing_warnings, refuse_unread_days
    from runs.stale import take_in_stale_days

    ensure_parsed(settings)
    arrivals = Arrivals.read(settings)
    refuse_unread_days(settings, arrivals)
    first, last = window.start_date, window.end_date
    earliest = arrivals.first_day or first
    landed = land_through(settings, arrivals, max(first, earliest), max(last, earliest))
    as_of = landed.arrivals.contiguous_from(max(last, earliest))
    asked = window.model_copy(
        update={
            "start_date": reach(settings, last, landed.landings) if first == last else first,
            "known_start_date": first,
            "as_of_date": as_of,
            "history": history_window(settings, as_of),
        }
    )
    widening = take_in_stale_days(settings, asked)
    tables = {each.table for each in landed.landings if each.files}
    lineage.tell(settings, window.end_date, lambda: lineage.of_landing(settings, tables))
    return StepOutcome(
        widening.window,
        landing_summary(landed, asked, widening),
        warnings=tuple(landing_warnings(settings, landed, widening)),
    )


@jobs_of("validate")
def validate(settings: Settings, window: RunWindow) -> StepOutcome:
    """Judge the partitions in audit, and record the verdict.

    An erasure takes an account's rows out of what was built, but not out of the totals that were built from
    them: they may disagree then, and are built again before they are judged for good. A run with a reason to
    override the gate goes on, and says what failed.

    Raises:
        ValidationFailedError: a critical expectation failed.
        BuildError: a model that had to be built again failed.
        NotBuiltError: there is nothing to judge.
        OtherProjectError: the dbt project has changed since the build.
    """
    from expectations.gate import ValidationFailedError
    from runs.attempts import continue_attempt
    from runs.erased import keeping_nobody_erased

    continue_attempt(settings, window)
    with keeping_nobody_erased(settings, window):
        try:
            window, result = _judged(settings, window)
        except ValidationFailedError as error:
            if not window.override_reason:
                raise
            return StepOutcome(
                window,
                f"{error.failures} critical expectation(s) failed",
                warnings=(f"to be published all the same ({window.override_reason}): {error}",),
            )
    return StepOutcome(window, f"{len(result.outcomes)} expectations, {len(result.warnings)} warnings")


def _judged(settings: Settings, window: RunWindow) -> tuple[RunWindow, GateResult]:
    """What the gate says, of a new attempt where an erasure came between."""
    from expectations.gate import ValidationFailedError
    from runs.erased import was_anybody_erased
    from runs.judge import judge

    try:
        return window, judge(settings, window)
    except ValidationFailedError:
        if not was_anybody_erased(settings, window):
            raise
    again = score(settings, build(settings, window).window).window
    return again, judge(settings, again)


@jobs_of("publish")
def publish(settings: Settings, window: RunWindow) -> StepOutcome:
    """Make all marts of the attempt visible at once; an attempt that is published already stays as it is.

    Raises:
        UnjudgedError: the gate has refused the attempt, has not judged it, or has judged other rows.
        NotBuiltError: a mart was not built, or the audit dataset is gone.
        PublishError: a mart's columns changed in a way that is no widening.
        OtherProjectError: the dbt project has changed since the build.
    """
    from runs.attempts import continue_attempt
    from runs.erased import was_anybody_erased
    from runs.incidents import recovered
    from runs.publish import marts_of
    from runs.publish import publish as publish_marts
    from runs.verdict import UnjudgedError

    continue_attempt(settings, window)
    try:
        publication = publish_marts(settings, window)
    except UnjudgedError:
        if not was_anybody_erased(settings, window):
            raise
        # An erasure takes its rows out of audit datasets too, also out of one that has been judged.
        window = validate(settings, window).window
        publication = publish_marts(settings, window)
    marts = marts_of(settings, window)
    lineage.tell(settings, window.end_date, lambda: lineage.of_publication(settings, marts))
    for mart, rows in publication.rows_of_marts().items():
        present_step().count("segue.published.rows", rows, mart=mart)
    until = datetime.combine(window.end_date + DAY, time(), UTC)
    present_step().count("segue.published.until", until.timestamp())
    recovered(
        settings,
        "published",
        f"{window} was published",
        lambda each: each.lies_within(window.start_date, window.end_date),
    )
    overridden = (f"published against the gate: {window.override_reason}",) if window.override_reason else ()
    return StepOutcome(window, publication.summary(), publication.rows_of_marts(), overridden)


def drop_audit(settings: Settings, window: RunWindow) -> StepOutcome:
    """Remove the audit dataset, and those that failed attempts left long ago.

    Raises:
        WarehouseError: BigQuery refused; nothing published depends on it.
    """
    from runs.attempts import end_attempt

    return StepOutcome(window, ", ".join(end_attempt(settings, window)))


_WAREHOUSE: Final = ("google.cloud.bigquery", "google.cloud.bigquery_storage_v1")
STEPS: Final = (
    Step(
        "land",
        "Lands the arrival day (and earlier ones that are missing) and decides which days to build.",
        land,
        _WAREHOUSE,
        pool="segue_landing",
        awaited=arrivals_awaited,
    ),
    Step(
        "build",
        "dbt: every model in an audit dataset; but for what reads scores, where a model is in use.",
        build,
        ("dbt.cli.main", "dbt.adapters.bigquery"),
    ),
    Step(
        "score",
        "Scores the days by the models in use, if there are any, and builds what reads scores.",
        score,
        # Those of the build, which its process has loaded; LightGBM only where there is a model.
        (),
    ),
    Step(
        "validate",
        "Great Expectations over the partitions in audit; a critical failure ends the run.",
        validate,
        # The room says which of the second one's own libraries wait until they are used.
        ("expectations", "great_expectations.expectations", "sqlalchemy_bigquery"),
    ),
    Step(
        "publish",
        "Moves all marts' partitions from audit to the published dataset at once.",
        publish,
        _WAREHOUSE,
        is_publication=True,
        pool="segue_publication",
    ),
    Step(
        "drop_audit",
        "Removes what the run was built in; what is published no longer needs it.",
        drop_audit,
        _WAREHOUSE,
    ),
)
"""Of every run, in this order. What comes next is ``read_experiments``, and ``load_online`` once a day's
segments are published."""


def load_online(settings: Settings, segment_date: date, *, allow_empty: bool = False) -> str:
    """Load a published day's segments into Bigtable and move readers to them; returns one line about it.

    Raises:
        LoadError: readers still see what they saw before; also when nobody has an offer any more and
            ``allow_empty`` does not say that this is meant.
    """
    from loaders.bigtable import load_segments

    loaded = load_segments(settings, segment_date, allow_empty=allow_empty)
    segments_online(settings, segment_date)
    return loaded.summary()


def segments_online(settings: Settings, segment_date: date) -> None:
    """What a load that succeeded ends: incidents of its day, and of days before it, that nobody sees now."""
    from runs.incidents import recovered

    lineage.tell(settings, segment_date, lambda: lineage.of_load(settings))
    recovered(settings, "online", f"{segment_date} is online", lambda each: each.day <= segment_date)


def read_experiments(settings: Settings, window: RunWindow) -> str:
    """Read running experiments for a published run's days; returns one line about it.

    Raises:
        WarehouseError: BigQuery refused; what was read before stays.
        AlertNotSentError: an experiment must stop, and whoever has to know could not be told.
    """
    from runs.experiment_readouts import write_readouts

    return write_readouts(settings, window.start_date, window.end_date).summary()


def given(name: str, left: Mapping[str, Any] | None, days: Callable[[], RunWindow]) -> tuple[Step, RunWindow]:
    """The step of that name, and the window that the one before it ``left``; the first asks for the days.

    Raises:
        NothingLeftError: the step before left none: somebody marked it successful that did not run.
        ImpossibleDaysError: the days that are asked for cannot be built.
    """
    names = [step.name for step in STEPS]
    position = names.index(name)
    if not position:
        return STEPS[position], days()
    [window] = left_by(names[position - 1], name, [left])
    return STEPS[position], RunWindow.model_validate(window)


def run(
    settings: Settings,
    start_date: date,
    end_date: date,
    report: StepReport,
    *,
    data_tests: bool = False,
    override_reason: str | None = None,
    run_id: str | None = None,
) -> RunWindow:
    """Every step for [start_date, end_date]; running it again gives the same tables.

    While a step waits for the warehouse, the next one's libraries are loaded. What is logged says of which
    step, day and run it is: ``run_id``, or a new one.

    Raises:
        SegueError: a step failed; what was published before stays as it is.
    """
    window = asked(settings, start_date, end_date, data_tests=data_tests, override_reason=override_reason)
    run_id = run_id or new_run_id()
    for step, later in zip_longest(STEPS, STEPS[1:]):
        # Its own first: no two threads may load parts of one library at a time.
        step.load()
        if later:
            later.load_meanwhile()
        outcome = perform(settings, step, window, run_id)
        window = outcome.window
        for line in outcome.lines():
            report(step.name, line)
    return window
