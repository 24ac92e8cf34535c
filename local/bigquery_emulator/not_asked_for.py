"""What the emulator does for each request and each view, and nobody here asks for."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from bqemulator.api import middleware
from bqemulator.catalog import ddl_sync
from bqemulator.catalog.duckdb_repository import CATALOG_SCHEMA, DuckDBCatalogRepository
from bqemulator.jobs import executor
from bqemulator.scripting import interpreter
from bqemulator.storage.engine import DuckDBEngine
from fastapi.dependencies import utils as dependencies

THREADS = "SEGUE_BQEMULATOR_THREADS"
"""On small data a second thread only costs: a fifth of DuckDB's time. Without this variable DuckDB takes all
cores."""

_prepare_session = DuckDBEngine._apply_session_pragmas
_required_columns = ddl_sync._column_notnull_map
_register_view = ddl_sync.sync_created_view
_is_view: ContextVar[bool] = ContextVar("is_view", default=False)


async def pass_on(self: Any, scope: Any, receive: Any, send: Any) -> None:
    """A request without a log line, a metric and an id of its own: each a task with streams in between."""
    await self.app(scope, receive, send)


async def call_here(function: Callable[..., Any], *values: Any, **named: Any) -> Any:
    """``run_in_threadpool``: what a route depends on is looked up, and a thread was woken for each."""
    return function(*values, **named)


def prepare_session(self: Any) -> None:
    """``DuckDBEngine._apply_session_pragmas``, with as many threads as are asked for."""
    _prepare_session(self)
    if os.environ.get(THREADS):
        self.connection.execute(f"set threads = {int(os.environ[THREADS])}")


def register_view(bq_sql: str, project_id: str, ctx: Any) -> None:
    """``sync_created_view``; no column of a view is required, and looking plans its whole query again."""
    token = _is_view.set(True)
    try:
        _register_view(bq_sql, project_id, ctx)
    finally:
        _is_view.reset(token)


def required_columns(target_ref: str, ctx: Any) -> dict[str, bool]:
    """``_column_notnull_map``."""
    return {} if _is_view.get() else _required_columns(target_ref, ctx)


_UPDATE = f"""
    update "{CATALOG_SCHEMA}"."tables"
    set table_type = ?, metadata_json = ?, creation_time = ?, last_modified_time = ?, num_rows = ?,
        num_bytes = ?, etag = ?
    where project_id = ? and dataset_id = ? and table_id = ?
"""
_INSERT = f"""
    insert into "{CATALOG_SCHEMA}"."tables" (
        table_type, metadata_json, creation_time, last_modified_time, num_rows, num_bytes, etag,
        project_id, dataset_id, table_id
    ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def write_table(self: DuckDBCatalogRepository, table: Any) -> None:
    """``_write_table``: ``insert or replace`` takes DuckDB several times as long as either."""
    values = [
        table.table_type,
        table.model_dump_json(by_alias=True),
        table.creation_time,
        table.last_modified_time,
        table.num_rows,
        table.num_bytes,
        table.etag,
        table.project_id,
        table.dataset_id,
        table.table_id,
    ]
    [changed] = self._engine.execute(_UPDATE, values).fetchone()
    if not changed:
        self._engine.execute(_INSERT, values)


def install() -> None:
    """Put every replacement in its place."""
    DuckDBCatalogRepository._write_table = write_table
    dependencies.run_in_threadpool = call_here  # type: ignore[assignment, attr-defined]
    for each in (
        middleware.AccessLogMiddleware,
        middleware.CorrelationIdMiddleware,
        middleware.MetricsMiddleware,
    ):
        each.__call__ = pass_on
    DuckDBEngine._apply_session_pragmas = prepare_session
    ddl_sync._column_notnull_map = required_columns
    executor.sync_created_view = interpreter.sync_created_view = register_view
