"""A client of the pages without Airflow: the application itself, looked at by whom a test says."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import HTTPException
from fastapi.testclient import TestClient

from segue.settings import Settings
from ui.app import make_app
from ui.visitor import Visitor

Browser = Callable[[Visitor | None], TestClient]
"""Looks as somebody, or as nobody who is logged in."""


def browser_of(settings: Settings) -> Browser:
    """Pages of the warehouse that the settings describe."""

    def look(visitor: Visitor | None) -> TestClient:
        def visitor_of() -> Visitor:
            if visitor is None:
                raise HTTPException(401, "Not authenticated")
            return visitor

        app = make_app(visitor_of, lambda wanted: f"/auth/login?next={wanted}", settings)
        return TestClient(app, follow_redirects=False, raise_server_exceptions=False)

    return look
