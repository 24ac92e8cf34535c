"""The application that serves the pages; who looks is for whoever mounts it to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from runs.failures import describe, foreseen
from segue.settings import Settings
from ui.answers import message
from ui.data_docs import STATIC
from ui.routes.catalogue import catalogue_router
from ui.routes.days import days_router
from ui.routes.offers import offers_router
from ui.visitor import Visitor

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'self'"


def make_app(
    visitor_of: Callable[..., Visitor], login_address: Callable[[str], str], settings: Settings | None = None
) -> FastAPI:
    """The pages.

    ``visitor_of`` is the dependency that tells who looks, or refuses; ``login_address`` is where somebody
    logs in to come back to an address; ``settings`` are those of the process, unless given.
    """
    app = FastAPI(title="Segue", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.settings = settings
    looking = Depends(visitor_of)
    app.include_router(days_router(looking))
    app.include_router(catalogue_router(looking))
    app.include_router(offers_router(looking))
    # Libraries that anybody can have; pages and what they show are behind the login.
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.middleware("http")
    async def guarded(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if error.status_code == 401 and request.method == "GET":
            return RedirectResponse(login_address(str(request.url)), status_code=302)
        return message(request, "Not here", str(error.detail), status=error.status_code)

    @app.exception_handler(RequestValidationError)
    async def misspelt(request: Request, error: RequestValidationError) -> Response:
        # Never what was typed: it may be an account.
        said = [f"{each['loc'][-1]}: {each['msg']}" for each in error.errors()]
        return message(request, "Not here", *said, status=422)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        known = foreseen(error)
        lines = describe(known) if known else ["The API server's log says more."]
        return message(request, "This did not work", *lines, status=503 if known else 500)

    return app
