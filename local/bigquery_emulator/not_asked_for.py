"""What the emulator does for each request and each view, and nobody here asks for."""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import Any

from bqemulator.api import middleware
from bqemulator.catalog import ddl_sync
from bqemulator.jobs import executor
from bqemulator.scripting import interpreter
from bqemulator.storage.engine import DuckDBEngine

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


def install() -> None:
    """Put every replacement in its place."""
    for each in (
        middleware.AccessLogMiddleware,
        middleware.CorrelationIdMiddleware,
        middleware.MetricsMiddleware,
    ):
        each.__call__ = pass_on
    DuckDBEngine._apply_session_pragmas = prepare_session
    ddl_sync._column_notnull_map = required_columns
    executor.sync_created_view = interpreter.sync_created_view = register_view
