"""Days of a candidate in shadow, as the step that scores leaves them in the ledger."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import append_rows
from scoring.registry import ModelDecision
from segue.settings import Settings


def scored_in_shadow(
    settings: Settings, candidate: ModelDecision, first: date, last: date, failed: str | None = None
) -> None:
    """The candidate has scored every day from ``first`` to ``last``, or has ``failed`` on each."""
    detail = {"version": candidate.version} | ({"failed": failed} if failed else {})
    rows = [
        {
            "run_date": first + timedelta(days=place),
            "step": "score",
            "table_name": f"{candidate.model}__shadow",
            "rows_in": 10,
            "rows_out": 10,
            "rows_quarantined": 0,
            "content_hash": candidate.artifact,
            "detail": json.dumps(detail),
            "finished_at": datetime(2026, 4, 1, tzinfo=UTC),
        }
        for place in range((last - first).days + 1)
    ]
    append_rows(warehouse_of(settings), "run_ledger", rows)
