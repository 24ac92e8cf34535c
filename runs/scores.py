"""The step that scores: the run's new days by the models in use, before anything is decided by scores.

A day is scored before it is published for the first time, and keeps what it had ever after: a day that is
built again was decided by the scores that it had. Whatever goes wrong with a model is told and counted; the
day is then decided by earlier scores, as long as the rules take them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import structlog

from loaders.landing.arrivals import Arrivals
from loaders.landing.contracts import Score
from loaders.landing.land import land_days
from loaders.landing.late import landed_generations
from loaders.landing.listing import landing_store
from loaders.objects.store import ObjectStore
from loaders.scoring.ended import ended
from loaders.scoring.features import stage, staged
from loaders.scoring.registry import decisions
from loaders.scoring.scored import Scored, ScoredDay, delivered_by_others, scored_until
from loaders.scoring.scores import (
    SHADOW,
    DayOfScores,
    ScoringError,
    score_batches,
    take_back,
    write_scores,
)
from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.ops import append_rows, literal, ops_table
from runs.failures import describe, foreseen
from scoring.registry import ModelDecision, states
from segue.redaction import redacted
from segue.settings import Settings
from segue.telemetry import present_step
from segue.window import RunWindow, days_between

log = structlog.get_logger(__name__)

FEATURES: Final = "int_account_features"
READ_SCORES: Final = "int_account_scores"
"""This model, and all that is made of it, is built after the scores have landed."""
_FEATURES_MART: Final = "fct_account_features"


@dataclass(frozen=True)
class Scoring:
    """A trained model and the days that it scores."""

    decision: ModelDecision
    is_shadow: bool
    days: tuple[date, ...]

    @property
    def name(self) -> str:
        """The name that its scores land under."""
        return f"{self.decision.model}{SHADOW if self.is_shadow else ''}"

    def scores(self, day: date) -> DayOfScores:
        """Which scores those of a day are."""
        return DayOfScores(self.name, self.decision.version, day)

    def __str__(self) -> str:
        return f"{self.name} {self.decision.version}"


@dataclass(frozen=True)
class Written:
    """What a model has put into the landing for a day."""

    scores: int
    max_age_days: int
    """As it was declared when it was trained."""


@dataclass(frozen=True)
class ScoredDays:
    """What the step did, a line for each model, and what it could not do."""

    lines: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What the step has to do for a run."""

    decided: Sequence[ModelDecision]
    days: Sequence[date]
    """The run's days that were never published, of those that have features of their own."""
    scored: Scored
    """What has scored earlier days, and these in an earlier try."""

    @classmethod
    def read(cls, settings: Settings, window: RunWindow) -> Plan:
        """Days before the first arrival have no features of their own, and are not scored.

        Raises:
            WarehouseError: the operational tables cannot be read.
        """
        warehouse = warehouse_of(settings)
        decided = decisions(warehouse, window.end_date)
        if not decided:
            return cls((), (), {})
        first = window.first_day(as_known_then=True)
        had = published_days(warehouse, first, window.end_date)
        landed = Arrivals.read(settings).landed
        days = [day for day in days_between(first, window.end_date) if day in landed and day not in had]
        return cls(decided, days, scored_until(warehouse, window.end_date) if days else {})

    @property
    def scorings(self) -> list[Scoring]:
        """Which models score which days: those in use or in shadow on them."""
        found: dict[tuple[str, bool], tuple[ModelDecision, list[date]]] = {}
        for day in self.days:
            for state in states(self.decided, day).values():
                for decision, is_shadow in ((state.in_use, False), (state.in_shadow, True)):
                    if decision is not None:
                        _, days = found.setdefault((decision.artifact, is_shadow), (decision, []))
                        days.append(day)
        return [
            Scoring(decision, is_shadow, tuple(days)) for (_, is_shadow), (decision, days) in found.items()
        ]

    def ended(self, written: Iterable[tuple[Scoring, Mapping[date, Written]]] = ()) -> list[DayOfScores]:
        """Of which models nobody is scored on which days, where ``written`` is what this try has scored."""
        scored = {name: dict(of_days) for name, of_days in self.scored.items()}
        for scoring, days in written:
            artifact = scoring.decision.artifact
            by_day = {day: ScoredDay(artifact, each.max_age_days) for day, each in days.items()}
            scored.setdefault(scoring.name, {}).update(by_day)
        return ended(self.decided, self.days, scored)


def awaits_scores(settings: Settings, window: RunWindow) -> bool:
    """Whether the run has days that a model scores, or from which on scores of a model no longer count.

    Raises:
        WarehouseError: the operational tables cannot be read.
    """
    plan = Plan.read(settings, window)
    return bool(plan.scorings or plan.ended())


def score_days(settings: Settings, window: RunWindow) -> ScoredDays:
    """Score the run's days and land the scores; what a model cannot do is a warning, and a row of the ledger.

    Nothing lands of a model and a day that it failed at. Scores that a retirement or a rollback has ended, or
    their age, decide nothing, whatever fails.

    Raises:
        ObjectStoreError: what a failed model has left in the landing cannot be removed, or it cannot be
            written that scores have ended.
        LandingError: that scores have ended cannot land.
        WarehouseError: the operational tables cannot be read or written.
    """
    warehouse, store = warehouse_of(settings), landing_store(settings)
    until = time.monotonic() + settings.score_deadline_seconds
    lines, warnings, entries = [], [], []
    written: list[tuple[Scoring, dict[date, Written]]] = []
    plan = Plan.read(settings, window)
    own = {scoring.name for scoring in plan.scorings}
    for name, files in delivered_by_others(warehouse, own, plan.days).items():
        warnings.append(
            f"{name} is scored by a model of the platform's and delivered by others too, in "
            f"{', '.join(files)}: of an account's two scores the newer counts. Theirs need another name"
        )
    for scoring in plan.scorings:
        done: dict[date, Written] = {}
        try:
            # Of what fails at a later day, the days before are there.
            done.update(_written(settings, window, scoring, until))
        except Exception as error:
            missed = [day for day in scoring.days if day not in done]
            warnings.append(_failed(scoring, missed, error))
            entries += [_entry(scoring, day, failed=error) for day in missed]
        written.append((scoring, done))
    over = plan.ended(written)
    for each in over:
        write_scores(store, each, (), 0)
    whole = [scoring.scores(day) for scoring, days in written for day in days] + over
    landed = _landed(settings, plan.days)
    _take_back_all_but(store, plan.days, whole, landed)
    try:
        _land(settings, sorted({each.day for each in whole}))
    except Exception as error:
        _take_back_all_but(store, plan.days, [], landed)
        if plan.ended():
            raise
        for scoring, days in written:
            if days:
                warnings.append(_failed(scoring, list(days), error))
                entries += [_entry(scoring, day, failed=error) for day in days]
        written, over = [], []
    for scoring, days in written:
        entries += [_entry(scoring, day, each) for day, each in days.items()]
        if days:
            count = sum(each.scores for each in days.values())
            present_step().count("segue.scores.rows", count, model=scoring.name)
            lines.append(f"{scoring}: {count:,} scores of {len(days)} day(s)")
    for each in over:
        entries.append(_ledger_row(each.model, each.day, 0, None, {"version": each.version, "ended": True}))
        lines.append(f"{each.model} {each.version}: its scores end on {each.day}")
    if entries:
        append_rows(warehouse, "run_ledger", entries)
    return ScoredDays(tuple(lines), tuple(warnings))


def _written(
    settings: Settings, window: RunWindow, scoring: Scoring, until: float
) -> Iterator[tuple[date, Written]]:
    """Puts the model's scores into the landing, day after day, each whole; tells how many they are."""
    from loaders.scoring.artifacts import fetched
    from loaders.scoring.bigquery import export_scores

    warehouse, store = warehouse_of(settings), landing_store(settings)
    trained = fetched(settings, scoring.decision)
    table = warehouse.table(window.audit_dataset, f"scoring_{scoring.name}")
    features = warehouse.table(window.audit_dataset, FEATURES)

    def left() -> float:
        seconds = until - time.monotonic()
        if seconds <= 0:
            raise ScoringError(f"{scoring}: not done within {settings.score_deadline_seconds:.0f} s")
        return seconds

    # Gone with the dataset; who is erased meanwhile is taken out of it as of all its tables.
    with warehouse.within(left()):
        population = stage(warehouse, table, trained.declaration, features, scoring.days)
    for day in scoring.days:
        scores = scoring.scores(day)
        if settings.score_in == "bigquery" and population[day]:
            with warehouse.within(left()):
                export_scores(settings, warehouse, store, trained.model, scores, table, population[day])
        else:
            left()
            batches = staged(warehouse, table, day)
            predicted = score_batches(trained.model, batches, str(scoring), settings.score_threads)
            write_scores(store, scores, predicted, population[day], left)
        yield day, Written(population[day], trained.declaration.max_age_days)


def _landed(settings: Settings, days: Sequence[date]) -> set[str]:
    """Files in the days' folders that an earlier try has landed: they have to be there when a day lands."""
    known = landed_generations(settings, days) if days else {}
    return {f"{table}/{day}/{name}" for (table, day), names in known.items() for name in names}


def _take_back_all_but(
    store: ObjectStore, days: Iterable[date], whole: Sequence[DayOfScores], landed: Collection[str]
) -> None:
    """Leave of the days' own files those that this try has written whole, and those that have landed."""
    for day in days:
        take_back(store, day, [each for each in whole if each.day == day], landed)


def _land(settings: Settings, days: Sequence[date]) -> None:
    """Make the files raw rows; the run itself builds the days with them, and no other was built without."""
    if days:
        land_days(settings, days, [Score.table], Arrivals.read(settings), corrects=False)


def published_days(warehouse: Warehouse, first: date, last: date) -> set[date]:
    """The days on which accounts' features were ever published."""
    settings = warehouse.settings
    table = ops_table(settings, "publications")
    if warehouse.find_table(table) is None:
        return set()
    rows = warehouse.run(
        f"select distinct partition_date from `{table}` "
        f"where run_date >= {literal(settings.history_start_date)} and mart = {literal(_FEATURES_MART)} "
        f"and partition_date between {literal(first)} and {literal(last)}"
    )
    return {row.partition_date for row in rows}


def _failed(scoring: Scoring, missed: Sequence[date], error: Exception) -> str:
    present_step().count("segue.scores.failures", 1, model=scoring.name)
    reason = _reason(error)
    log.warning("model_failed", model=scoring.name, version=scoring.decision.version, reason=reason)
    days = f"{missed[0]}..{missed[-1]}"
    return f"{scoring} did not score {days}, which earlier scores decide within their age: {reason}"


def _reason(error: Exception) -> str:
    """With the code by which the runbook knows it, where it has one; without what stood in a row."""
    failure = foreseen(error)
    return redacted(str(error) if failure is None else describe(failure)[0])


def _entry(
    scoring: Scoring, day: date, written: Written | None = None, failed: Exception | None = None
) -> Mapping[str, Any]:
    detail: dict[str, Any] = {"version": scoring.decision.version}
    if written is not None:
        detail["max_age_days"] = written.max_age_days
    if failed is not None:
        detail["failed"] = _reason(failed)
    return _ledger_row(scoring.name, day, written.scores if written else 0, scoring.decision.artifact, detail)


def _ledger_row(
    name: str, day: date, rows: int, artifact: str | None, detail: Mapping[str, Any]
) -> Mapping[str, Any]:
    return {
        "run_date": day,
        "step": "score",
        "table_name": name,
        "rows_in": rows,
        "rows_out": rows,
        "rows_quarantined": 0,
        "content_hash": artifact,
        "detail": json.dumps(detail),
        "finished_at": datetime.now(UTC),
    }
