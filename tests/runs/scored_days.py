"""Days that a model has scored, as the step that scores leaves them in the ledger."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import append_rows
from scoring.registry import ModelDecision
from segue.settings import Settings


def scored(
    settings: Settings, name: str, artifact: str, first: date, last: date | None = None, *, failed: str = ""
) -> None:
    """The step's entries of a model that scored every day from ``first`` to ``last``, or could not."""
    days = range(((last or first) - first).days + 1)
    entries = [
        {
            "run_date": first + timedelta(days=place), "step": "score", "table_name": name, "rows_in": 1,
            "rows_out": 1, "rows_quarantined": 0, "content_hash": artifact,
            "detail": json.dumps({"version": 1} | ({"failed": failed} if failed else {"max_age_days": 14})),
            "finished_at": datetime.now(UTC),
        }
        for place in days
    ]  # fmt: skip
    append_rows(warehouse_of(settings), "run_ledger", entries)


def scored_in_shadow(
    settings: Settings, candidate: ModelDecision, first: date, last: date, failed: str = ""
) -> None:
    """The same of a candidate, whose scores no rule asks for."""
    scored(settings, f"{candidate.model}__shadow", candidate.artifact, first, last, failed=failed)
