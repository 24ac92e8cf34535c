"""An Airflow plugin: Segue's pages, and where the UI leads to them.

Every component of Airflow loads its plugins; what pages are made with is loaded when somebody looks at one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

PREFIX: Final = "/segue"


class PagesWhenAsked:
    """The application of the pages, made at the first request."""

    def __init__(self) -> None:
        self._made: FastAPI | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI applications do."""
        if self._made is None:
            from ui.access import login_address, visitor_of
            from ui.app import make_app

            self._made = make_app(visitor_of, login_address)
        await self._made(scope, receive, send)


def _view(name: str, destination: str, path: str) -> dict[str, Any]:
    """A place in the UI that shows a page; Airflow fills in what stands in braces."""
    below = urlsplit(conf.get("api", "base_url", fallback="/")).path.rstrip("/")
    return {
        "name": name,
        "destination": destination,
        "href": f"{below}{PREFIX}{path}",
        "url_route": f"segue-{destination}-{name.lower().replace(' ', '-')}",
    }


class UiPlugin(AirflowPlugin):
    """Found by its entry point."""

    name = "segue_ui"
    fastapi_apps = [{"app": PagesWhenAsked(), "url_prefix": PREFIX, "name": "Segue"}]  # noqa: RUF012 - as Airflow reads it
    external_views = [  # noqa: RUF012 - as Airflow reads it
        _view("Segue days", "nav", "/days"),
        _view("Segue catalogue", "nav", "/catalogue"),
        _view("Segue offers", "nav", "/offers"),
        _view("Segue days", "dag", "/dags/{DAG_ID}"),
        _view("Segue day", "dag_run", "/dags/{DAG_ID}/runs/{RUN_ID}"),
        _view("Segue times", "task", "/dags/{DAG_ID}/tasks/{TASK_ID}"),
        _view("Segue day", "task_instance", "/dags/{DAG_ID}/runs/{RUN_ID}/tasks/{TASK_ID}"),
    ]
