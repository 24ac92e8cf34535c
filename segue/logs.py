"""Logs of the command line: text for a person at a terminal, an object of JSON a line for what collects them.

In an Airflow task Airflow writes them, as JSON too; what is bound here is in each of its lines.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from typing import Any, Final

import structlog
from structlog.typing import EventDict


def configure_logs() -> None:
    """Have this process log to standard error, as ``SEGUE_LOG_FORMAT`` says.

    Standard output belongs to the answer, which may be JSON. Standard error is looked up at every line,
    because whoever calls the command line from Python may exchange it; so are the settings, which a command
    that logs nothing need not read.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _rendered,
        ],
        # A line in one write, so that lines of several threads do not mix.
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
    )


def logs_are_json() -> bool:
    """Whether a machine reads standard error, as far as the setting or the stream tell."""
    # Who logs has read them; reading them takes the command line a tenth of a second.
    from segue.settings import get_settings

    chosen = get_settings().log_format
    return chosen == "json" or (chosen == "auto" and not sys.stderr.isatty())


def new_run_id() -> str:
    """Of a run by hand; Airflow's runs have ids of their own."""
    return f"by_hand__{datetime.now(UTC).isoformat()}"


def lines_of(run_id: str, day: date, step: str) -> AbstractContextManager[Any]:
    """Have every line that is logged meanwhile say of which run, day and step it is."""
    return structlog.contextvars.bound_contextvars(run_id=run_id, day=day.isoformat(), step=step)


def bound_run_id() -> str | None:
    """The run that this thread works for, as its lines say; None outside of one."""
    run_id: str | None = structlog.contextvars.get_contextvars().get("run_id")
    return run_id


_AS_JSON: Final = structlog.processors.JSONRenderer(ensure_ascii=False)
_AS_TEXT: Final = structlog.dev.ConsoleRenderer(
    colors=False, exception_formatter=structlog.dev.plain_traceback
)
_WITH_TRACEBACK: Final = structlog.processors.format_exc_info


def _rendered(logger: Any, method: str, event: EventDict) -> str:
    if logs_are_json():
        said = _AS_JSON(logger, method, _WITH_TRACEBACK(logger, method, event))
        return said if isinstance(said, str) else said.decode()
    return _AS_TEXT(logger, method, event)
