"""What is kept of a run's steps and of the models of its build."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from loaders.landing.errors import LandingError
from loaders.warehouse.client import WarehouseError, warehouse_of
from loaders.warehouse.ops import ops_table
from runs.dbt import BuiltNode
from runs.outcome import StepOutcome
from runs.step_record import models_kept, perform
from runs.steps import Step, asked
from segue.logs import lines_of
from segue.settings import Settings
from segue.window import RunWindow

DAY = date(2026, 3, 2)


@pytest.fixture(scope="module")
def settings(world: Callable[..., Settings]) -> Settings:
    return world("step-record")


def kept(settings: Settings, table: str, columns: str, run_id: str, start: int = 0) -> list[tuple[Any, ...]]:
    """Of a run, ordered by the first of the columns; ``start`` leaves out those before it."""
    sql = f"select {columns} from `{ops_table(settings, table)}` where run_id = '{run_id}' order by 1"
    return [row.values()[start:] for row in warehouse_of(settings).run(sql)]


def step(name: str, left: RunWindow | Exception) -> Step:
    def ends(_: Settings, __: RunWindow) -> StepOutcome:
        if isinstance(left, Exception):
            raise left
        return StepOutcome(left, "2 rows", warnings=('fx_rates: "late"',))

    return Step(name, "", ends, ())


def test_a_step_is_kept_with_the_days_and_the_attempt_that_it_leaves(settings: Settings) -> None:
    window = RunWindow.whole(settings, DAY, DAY)
    attempt = window.new_attempt(settings, "of this project")

    perform(settings, step("land", window), window, "run-1")
    perform(settings, step("build", attempt), window, "run-1")

    columns = "step, state, code, start_date, end_date, attempt, summary, warnings, seconds < 60"
    told = ("2 rows", '["fx_rates: \\"late\\""]', True)
    assert kept(settings, "run_steps", columns, "run-1") == [
        ("build", "done", None, DAY, DAY, attempt.audit_dataset, *told),
        ("land", "done", None, DAY, DAY, None, *told),
    ]


def test_a_step_is_kept_with_the_day_that_was_asked_for_and_its_dag(settings: Settings) -> None:
    window = asked(settings, DAY, DAY)
    later = window.model_copy(update={"end_date": date(2026, 3, 5)})

    with pytest.raises(LandingError):
        perform(settings, step("land", LandingError("late")), window, "run-7", dag="daily_marts")
    # What a landing has left crosses to the task of the next step as JSON.
    perform(settings, step("land", later), window, "run-7", dag="daily_marts")
    given_on = RunWindow.model_validate(later.model_dump(mode="json"))
    perform(settings, step("build", given_on.new_attempt(settings, "digest")), given_on, "run-7")

    assert kept(settings, "run_steps", "finished_at, end_date, asked_end_date, dag_id", "run-7", 1) == [
        (DAY, DAY, "daily_marts"),
        (later.end_date, DAY, "daily_marts"),
        (later.end_date, DAY, None),
    ]


def test_of_a_step_that_failed_the_code_is_kept_and_not_the_sentence(settings: Settings) -> None:
    window = RunWindow.whole(settings, DAY, DAY)

    with pytest.raises(LandingError):
        perform(settings, step("land", LandingError("accounts: a1 is refused")), window, "run-2")
    with pytest.raises(KeyError):
        perform(settings, step("build", KeyError("a1")), window, "run-2")

    assert kept(settings, "run_steps", "step, state, code, summary", "run-2") == [
        ("build", "failed", None, None),
        ("land", "failed", "landing_refused", None),
    ]


def test_a_statement_that_the_warehouse_refused_is_kept(settings: Settings) -> None:
    window = RunWindow.whole(settings, DAY, DAY)

    with pytest.raises(WarehouseError):
        perform(settings, step("publish", WarehouseError("no such column")), window, "run-6")

    assert kept(settings, "run_steps", "step, state, code", "run-6") == [("publish", "failed", "warehouse")]


def test_a_warehouse_that_is_away_is_asked_for_seconds_only_to_keep_that(settings: Settings) -> None:
    silent = settings.model_copy(
        update={"bigquery_endpoint": "http://127.0.0.1:9", "bigquery_retry_seconds": 600}
    )
    window, began = RunWindow.whole(settings, DAY, DAY), time.monotonic()

    with pytest.raises(WarehouseError):
        perform(silent, step("build", WarehouseError("no answer")), window, "run-3")

    assert time.monotonic() - began < 60


def test_a_step_that_cannot_be_kept_has_still_done_its_work(settings: Settings) -> None:
    silent = settings.model_copy(
        update={"bigquery_endpoint": "http://127.0.0.1:9", "bigquery_retry_seconds": 0}
    )
    window = RunWindow.whole(settings, DAY, DAY)

    assert perform(silent, step("land", window), window, "run-4").summary == "2 rows"


def test_models_are_kept_also_of_a_build_that_fails(settings: Settings) -> None:
    window = RunWindow.whole(settings, DAY, DAY).new_attempt(settings, "")

    def build() -> None:
        with lines_of("run-5", DAY, "build"), models_kept(settings, window) as built:
            built(BuiltNode("model", "dim_date", "success", 0.25, 7, 1024))
            built(BuiltNode("test", "not_null", "success", 0.1))
            built(BuiltNode("model", "dim_plan", "error", 1.5))
            raise ValueError("dbt")

    with pytest.raises(ValueError, match="dbt"):
        build()

    columns = "model, status, seconds, row_count, bytes_processed, attempt"
    assert kept(settings, "model_builds", columns, "run-5") == [
        ("dim_date", "success", 0.25, 7, 1024, window.audit_dataset),
        ("dim_plan", "error", 1.5, None, None, window.audit_dataset),
    ]
