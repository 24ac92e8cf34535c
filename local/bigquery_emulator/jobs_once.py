"""A job runs once, whoever sends it how often, and what fails in it is the job's error.

The emulator runs a job again whose id it knows, names uploaded loads itself, and answers a failing script
with HTTP 500 and no job. BigQuery answers HTTP 409 to an id that it knows, and what a job's SQL does wrong is
in the job's status: a client whose answer was lost sends the job again and finds it.
"""

from __future__ import annotations

from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pyarrow as pa
from bqemulator.api.routes import jobs, upload
from bqemulator.catalog.duckdb_repository import DuckDBCatalogRepository
from bqemulator.catalog.models import JobMeta
from bqemulator.domain.errors import (
    DomainError,
    ResourceRef,
    UnsupportedFeatureError,
    ValidationError,
    resource_already_exists,
)
from bqemulator.jobs import executor

_KEPT = timedelta(days=1)
_REFUSALS = (UnsupportedFeatureError, ValidationError)
"""Of the request, not of what the job does: no job is made."""
_REFERENCE = "segueJobId"

_handle_query = jobs._handle_query_job
_handle_load = jobs._handle_load_job_with_async_envelope
_load_configuration = upload._load_configuration_from_envelope
_run_load = upload._run_load
_new_job_id = upload._new_job_id
_write_job = DuckDBCatalogRepository._write_job
_hydrate_jobs = DuckDBCatalogRepository._hydrate_jobs

_running: ContextVar[JobMeta | None] = ContextVar("running", default=None)
_uploaded: ContextVar[str | None] = ContextVar("uploaded", default=None)


def _begin(ctx: Any, project_id: str, job_id: str, kind: Any, config: dict[str, Any]) -> JobMeta:
    """Take the id, or answer 409."""
    if ctx.catalog.get_job(project_id, job_id) is not None:
        raise resource_already_exists(ResourceRef("Job", project_id, resource_id=job_id))
    now = ctx.clock.now()
    begun = JobMeta(
        project_id=project_id,
        job_id=job_id,
        job_type=kind,
        state="RUNNING",
        configuration=config,
        creation_time=now,
        start_time=now,
        etag=f"{job_id} running",
    )
    ctx.catalog.upsert_job(begun)
    return begun


def _failed(ctx: Any, begun: JobMeta, error: Exception) -> JobMeta:
    """The job with the error in its status."""
    reason = error.bq_reason if isinstance(error, DomainError) else "invalidQuery"
    if reason == "internalError":
        reason = "invalidQuery"
    result = {"reason": reason, "message": getattr(error, "message", None) or str(error), "location": "query"}
    failed: JobMeta = jobs._failed_job_meta(
        begun.project_id, begun.job_id, begun.job_type, begun.configuration, result, ctx.clock.now()
    )
    return failed


async def handle_query(
    project_id: str, job_id: str, config: dict[str, Any], *, dry_run: bool, ctx: Any, **more: Any
) -> Any:
    """``_handle_query_job``, once."""
    if dry_run:
        return await _handle_query(project_id, job_id, config, dry_run=True, ctx=ctx, **more)
    begun = _begin(ctx, project_id, job_id, "QUERY", config)
    token = _running.set(begun)
    try:
        done = await _handle_query(project_id, job_id, config, dry_run=False, ctx=ctx, **more)
        # Labels and the like are the job's too.
        query = {**config["query"], **done.configuration.get("query", {})}
        return done.model_copy(update={"configuration": {**config, "query": query}})
    except _REFUSALS:
        ctx.catalog.delete_job(project_id, job_id, not_found_ok=True)
        raise
    except Exception as error:
        return _failed(ctx, begun, error)
    finally:
        _running.reset(token)


async def handle_load(project_id: str, job_id: str, config: dict[str, Any], ctx: Any) -> JobMeta:
    """``_handle_load_job_with_async_envelope``, once."""
    begun = _begin(ctx, project_id, job_id, "LOAD", config)
    try:
        done: JobMeta = await _handle_load(project_id, job_id, config, ctx)
    except Exception as error:
        return _failed(ctx, begun, error)
    return done


def load_configuration(envelope: dict[str, Any]) -> dict[str, Any]:
    """The upload's configuration, with the id that the client has given the job."""
    job_id = envelope.get("jobReference", {}).get("jobId")
    return {**_load_configuration(envelope), _REFERENCE: job_id}


async def run_load(*, project_id: str, configuration: dict[str, Any], media_path: str, ctx: Any) -> Any:
    """``_run_load``, once and under the client's id."""
    config = dict(configuration)
    job_id = config.pop(_REFERENCE) or _new_job_id()
    _begin(ctx, project_id, job_id, "LOAD", config)
    token = _uploaded.set(job_id)
    try:
        return await _run_load(project_id=project_id, configuration=config, media_path=media_path, ctx=ctx)
    except Exception:
        ctx.catalog.delete_job(project_id, job_id, not_found_ok=True)
        raise
    finally:
        _uploaded.reset(token)


def new_job_id() -> str:
    """The id of the upload that is loaded right now."""
    minted: str = _uploaded.get() or _new_job_id()
    return minted


def keep_with_transaction(ctx: Any) -> None:
    """Write into the open transaction that its job is done.

    A client that sends a job again after the emulator was killed learns whether it was committed. Scripts
    have one transaction here.
    """
    begun = _running.get()
    if begun is None or not isinstance(ctx.catalog, DuckDBCatalogRepository):
        return
    done = begun.model_copy(
        update={
            "state": "DONE",
            "configuration": {"query": {"query": "", "useLegacySql": False}},
            "statistics": {"query": {"statementType": "SCRIPT", "totalBytesProcessed": "0"}},
            "end_time": ctx.clock.now(),
        }
    )
    _write_job(ctx.catalog, done)


def find_committed(self: DuckDBCatalogRepository) -> None:
    """After a restart: the jobs whose transactions were committed, whose rows nobody can ask for any more."""
    self._engine.execute(
        'delete from "_bqemulator_catalog"."jobs" where creation_time < now() - to_seconds(?)',
        [int(_KEPT.total_seconds())],
    )
    _hydrate_jobs(self)
    for _, job_id in self._cache._jobs:
        executor.JOB_RESULTS[job_id] = pa.table({})
        executor.JOB_SCHEMAS[job_id] = []


def keep_in_memory(_: DuckDBCatalogRepository, __: JobMeta) -> None:
    """Other jobs are not written to disk, a tenth of the time: a restart forgets their results anyway."""


def install() -> None:
    """Put every replacement in its place."""
    jobs._handle_query_job = handle_query
    jobs._handle_load_job_with_async_envelope = handle_load
    upload._load_configuration_from_envelope = load_configuration
    upload._run_load = run_load
    upload._new_job_id = new_job_id
    # What Google's Python client sends.
    upload._PERMITTED_MEDIA_CONTENT_TYPES += ("*/*",)
    DuckDBCatalogRepository._write_job = keep_in_memory
    DuckDBCatalogRepository._hydrate_jobs = find_committed
