"""Pages of what there is: marts, dbt's documentation, results of the gate, experiments and models."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response

from loaders.scoring.registry import states_on
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.dbt_models import DbtProject, dbt_project
from runs.experiment_readouts import NothingToReadError, declared_experiments, experiment_page
from runs.model_pages import model_page
from runs.training import UnknownModelError
from scoring.artifact import ArtifactError
from segue.settings import Settings
from ui import data_docs, dbt_docs
from ui.answers import base_of, message, page, reading_of, settings_of
from ui.catalogue import entries
from ui.history import newest_day
from ui.lineage import lineage
from ui.visitor import Visitor

_KEPT_SECONDS: Final = 600


def catalogue_router(looking: Any) -> APIRouter:
    """``looking`` is the dependency that says who looks."""
    router = APIRouter()

    @router.get("/catalogue")
    def catalogue(request: Request, _: Visitor = looking) -> HTMLResponse:
        found = entries(reading_of(request), _project(settings_of(request)))
        return page(request, "catalogue", title="Catalogue", entries=found)

    @router.get("/catalogue/{mart}")
    def mart_page(request: Request, mart: str, _: Visitor = looking) -> HTMLResponse:
        project = _project(settings_of(request))
        found = entries(reading_of(request), project, mart)
        if not found:
            raise HTTPException(404, f"there is no mart {mart}")
        return page(
            request, "mart", title=mart, entry=found[0], lineage=lineage(project, mart), project=project
        )

    @router.get("/checks/{attempt}/{path:path}")
    def checks(request: Request, attempt: str, path: str, visitor: Visitor = looking) -> Response:
        if not visitor.sees_accounts:
            raise HTTPException(403, "these results show keys of accounts, which your role may not see")
        kept = data_docs.kept_page(settings_of(request), attempt, path, base_of(request))
        if kept is None:
            raise HTTPException(404, f"{attempt} has left no such page")
        content, kind = kept
        return Response(content, media_type=kind, headers={"Content-Security-Policy": data_docs.POLICY})

    @router.get("/dbt/index.html")
    def docs(_: Visitor = looking) -> FileResponse:
        return FileResponse(dbt_docs.docs_page(), headers={"Content-Security-Policy": dbt_docs.POLICY})

    @router.get("/dbt/manifest.json")
    def docs_manifest(request: Request, _: Visitor = looking) -> FileResponse:
        return FileResponse(settings_of(request).dbt_manifest)

    @router.get("/dbt/catalog.json")
    def docs_catalogue(request: Request, _: Visitor = looking) -> JSONResponse:
        return JSONResponse(_catalogue(settings_of(request), int(time.monotonic() / _KEPT_SECONDS)))

    @router.get("/experiments")
    def experiments(request: Request, _: Visitor = looking) -> HTMLResponse:
        day = newest_day(reading_of(request))
        declared = [] if day is None else declared_experiments(settings_of(request))[0].values()
        return page(request, "experiments", title="Experiments", experiments=declared, day=day)

    @router.get("/experiments/{experiment_id}")
    def experiment(request: Request, experiment_id: str, _: Visitor = looking) -> HTMLResponse:
        try:
            return HTMLResponse(experiment_page(settings_of(request), experiment_id))
        except NothingToReadError as error:
            return message(request, experiment_id, str(error))

    @router.get("/models")
    def models(request: Request, _: Visitor = looking) -> HTMLResponse:
        reading = reading_of(request)
        day = newest_day(reading)
        states = {} if day is None else states_on(reading.warehouse, day)
        return page(request, "models", title="Models", states=states, day=day)

    @router.get("/models/{name}")
    def model(request: Request, name: str, _: Visitor = looking) -> HTMLResponse:
        try:
            return HTMLResponse(model_page(settings_of(request), name).html)
        except (UnknownModelError, ArtifactError) as error:
            return message(request, name, str(error))

    return router


def _project(settings: Settings) -> DbtProject:
    if not settings.dbt_manifest.exists():
        raise HTTPException(503, "the dbt project has not been parsed here: `segue parse` at deployment does")
    return dbt_project(settings.dbt_manifest)


@lru_cache(maxsize=2)
def _catalogue(settings: Settings, _: int) -> dict[str, Any]:
    """Asked anew every ten minutes: it looks at every table."""
    return dbt_docs.docs_catalogue(warehouse_of(settings), _project(settings))
