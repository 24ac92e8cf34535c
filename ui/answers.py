"""What every address answers with, and by what it asks."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from loaders.warehouse.client import warehouse_of
from segue.settings import Settings, get_settings
from ui.reading import Reading
from ui.rendering import render


def settings_of(request: Request) -> Settings:
    """The settings of the process, with the bound on what a page's statement may read; a test gives the
    application others."""
    chosen: Settings | None = getattr(request.app.state, "settings", None)
    settings = chosen or get_settings()
    return settings.model_copy(update={"bigquery_max_bytes_billed": settings.pages_max_bytes})


def reading_of(request: Request) -> Reading:
    """The questions of the page that is asked for."""
    return Reading(warehouse_of(settings_of(request)))


def base_of(request: Request) -> str:
    """The path that the pages lie below."""
    return str(request.scope.get("root_path", ""))


def page(request: Request, template: str, status: int = 200, /, **facts: Any) -> HTMLResponse:
    """A page of the template with these facts."""
    return HTMLResponse(render(template, base=base_of(request), **facts), status)


def message(request: Request, title: str, *lines: str, status: int = 200) -> HTMLResponse:
    """A page of a few sentences."""
    return page(request, "message", status, title=title, lines=lines)
