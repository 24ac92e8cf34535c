"""The application that serves the pages; who looks is for whoever mounts it to say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from runs.failures import describe, foreseen
from segue.settings import get_settings
from segue.window import DAY
from ui.day import read_day
from ui.history import newest_day, published_days, run_day, step_tries
from ui.reading import Reading
from ui.rendering import render
from ui.series import day_series
from ui.visitor import Visitor

MARTS_DAG: Final = "daily_marts"
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'self'"


def make_app(visitor_of: Callable[..., Visitor], login_address: Callable[[str], str]) -> FastAPI:
    """The pages.

    ``visitor_of`` is the dependency that tells who looks, or refuses; ``login_address`` is where somebody
    logs in to come back to an address.
    """
    app = FastAPI(title="Segue", docs_url=None, redoc_url=None, openapi_url=None)
    looking = Depends(visitor_of)

    @app.get("/days")
    def days(request: Request, _: Visitor = looking) -> HTMLResponse:
        return _page(request, "days", title="Days", days=published_days(_reading()))

    @app.get("/days/{day}")
    def day_page(
        request: Request, day: date, run_id: str | None = None, visitor: Visitor = looking
    ) -> HTMLResponse:
        return _day(request, visitor, day, run_id)

    @app.get("/dags/{dag_id}")
    def of_dag(request: Request, dag_id: str, visitor: Visitor = looking) -> HTMLResponse:
        newest = newest_day(_reading()) if dag_id == MARTS_DAG else None
        if newest is None:
            return _page(request, "days", title="Days", days=published_days(_reading()))
        return _day(request, visitor, newest)

    @app.get("/dags/{dag_id}/runs/{run_id}")
    def of_run(request: Request, dag_id: str, run_id: str, visitor: Visitor = looking) -> HTMLResponse:
        found = run_day(_reading(), run_id) if dag_id == MARTS_DAG else None
        if found is None:
            said = (
                "No step of this run has ended yet."
                if dag_id == MARTS_DAG
                else f"Days are the work of {MARTS_DAG}: its runs have a page here."
            )
            return _page(request, "message", title=run_id, lines=[said])
        return _day(request, visitor, found, run_id)

    @app.get("/dags/{dag_id}/tasks/{task_id}")
    def of_task(request: Request, dag_id: str, task_id: str, _: Visitor = looking) -> HTMLResponse:
        today = datetime.now(UTC).date()
        tries = step_tries(_reading(), task_id, today) if dag_id == MARTS_DAG else []
        done = [(row["run_date"], float(row["seconds"])) for row in reversed(tries) if row["state"] == "done"]
        # Of several runs of a day, the last.
        series = day_series(f"Seconds of {task_id}", [*dict(done).items()], today)
        return _page(request, "times", title=task_id, tries=tries, series=series)

    @app.get("/dags/{dag_id}/runs/{run_id}/tasks/{task_id}")
    def of_try(
        request: Request, dag_id: str, run_id: str, task_id: str, _: Visitor = looking
    ) -> RedirectResponse:
        run = f"{_base(request)}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
        return RedirectResponse(f"{run}#step-{quote(task_id, safe='')}")

    @app.middleware("http")
    async def guarded(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    @app.exception_handler(StarletteHTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if error.status_code == 401 and request.method == "GET":
            return RedirectResponse(login_address(str(request.url)), status_code=302)
        return _page(request, "message", error.status_code, title="Not here", lines=[str(error.detail)])

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        known = foreseen(error)
        lines = describe(known) if known else ["The API server's log says more."]
        return _page(request, "message", 503 if known else 500, title="This did not work", lines=lines)

    def _day(request: Request, visitor: Visitor, day: date, run_id: str | None = None) -> HTMLResponse:
        facts = read_day(_reading(), day, run_id)
        return _page(
            request, "day", title=str(day), day=facts, visitor=visitor, before=day - DAY, after=day + DAY
        )

    return app


def _reading() -> Reading:
    from loaders.warehouse.client import warehouse_of

    return Reading(warehouse_of(get_settings()))


def _base(request: Request) -> str:
    return str(request.scope.get("root_path", ""))


def _page(request: Request, template: str, status: int = 200, /, **facts: Any) -> HTMLResponse:
    return HTMLResponse(render(template, base=_base(request), **facts), status)
