"""Pages of days, and where a DAG, a run and a task lead to."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeAlias
from urllib.parse import quote

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from runs.steps import STEPS
from segue.window import DAY
from ui.answers import base_of, message, page, reading_of
from ui.day import read_day
from ui.history import newest_day, published_days, run_day, step_tries
from ui.other_runs import RANGE_DAG, TRAINING_DAG, run_chunks, run_decisions, sentences
from ui.series import day_series
from ui.visitor import MARTS_DAG, Visitor

ShownDay: TypeAlias = Annotated[date, Path(ge=date(1970, 1, 1), le=date(9998, 12, 31))]
"""A day with days before and after it."""


def days_router(looking: Any) -> APIRouter:
    """``looking`` is the dependency that says who looks."""
    router = APIRouter()

    @router.get("/days")
    def days(request: Request, _: Visitor = looking) -> HTMLResponse:
        return page(request, "days", title="Days", days=published_days(reading_of(request)))

    @router.get("/days/{day}")
    def day_page(
        request: Request, day: ShownDay, run_id: str | None = None, visitor: Visitor = looking
    ) -> HTMLResponse:
        return _day(request, visitor, day, run_id)

    @router.get("/dags/{dag_id}")
    def of_dag(request: Request, dag_id: str, visitor: Visitor = looking) -> HTMLResponse:
        newest = newest_day(reading_of(request)) if dag_id == MARTS_DAG else None
        return days(request) if newest is None else _day(request, visitor, newest)

    @router.get("/dags/{dag_id}/runs/{run_id}")
    def of_run(request: Request, dag_id: str, run_id: str, visitor: Visitor = looking) -> HTMLResponse:
        if dag_id == RANGE_DAG:
            chunks, steps = run_chunks(reading_of(request), run_id), [step.name for step in STEPS]
            return page(request, "chunks", title=run_id, run_id=run_id, chunks=chunks, steps=steps)
        if dag_id == TRAINING_DAG:
            decisions = run_decisions(reading_of(request), run_id)
            return page(request, "training", title=run_id, decisions=decisions)
        if dag_id != MARTS_DAG:
            return message(request, run_id, *sentences(dag_id))
        found = run_day(reading_of(request), run_id)
        if found is None:
            return message(request, run_id, "No step of this run has ended yet.")
        return _day(request, visitor, found, run_id)

    @router.get("/dags/{dag_id}/tasks/{task_id}")
    def of_task(request: Request, dag_id: str, task_id: str, _: Visitor = looking) -> HTMLResponse:
        today = datetime.now(UTC).date()
        tries = step_tries(reading_of(request), task_id, today) if dag_id == MARTS_DAG else []
        done = [(row["run_date"], float(row["seconds"])) for row in reversed(tries) if row["state"] == "done"]
        # Of several runs of a day, the last.
        series = day_series(f"Seconds of {task_id}", [*dict(done).items()], today)
        return page(request, "times", title=task_id, tries=tries, series=series)

    @router.get("/dags/{dag_id}/runs/{run_id}/tasks/{task_id}")
    def of_try(
        request: Request, dag_id: str, run_id: str, task_id: str, _: Visitor = looking
    ) -> RedirectResponse:
        run = f"{base_of(request)}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
        return RedirectResponse(f"{run}#step-{quote(task_id, safe='')}")

    return router


def _day(request: Request, visitor: Visitor, day: date, run_id: str | None = None) -> HTMLResponse:
    facts = read_day(reading_of(request), day, run_id)
    return page(request, "day", title=str(day), day=facts, visitor=visitor, before=day - DAY, after=day + DAY)
