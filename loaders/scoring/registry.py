"""The table ``ops.model_registry``: every decision about a trained model, only ever added to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import append_rows, literal, ops_table
from scoring.registry import ModelDecision, ModelState, states

TABLE = "model_registry"


def record(warehouse: Warehouse, decisions: Sequence[ModelDecision]) -> None:
    """Add decisions, all of them or none; those of one day count in the order of their ``decided_at``.

    Raises:
        WarehouseError: BigQuery did not take them.
    """
    rows = [
        {
            "run_date": each.day,
            "model_name": each.model,
            "model_version": each.version,
            "artifact": each.artifact,
            "artifact_uri": each.artifact_uri,
            "decision": each.decision,
            "reasons": list(each.reasons),
            "metrics": json.dumps(each.metrics, sort_keys=True, allow_nan=False),
            "data_digest": each.data_digest,
            "decided_at": each.decided_at.isoformat(),
            "decided_by": each.decided_by,
        }
        for each in decisions
    ]
    if rows:
        append_rows(warehouse, TABLE, rows)


def decisions(warehouse: Warehouse, day: date, model: str | None = None) -> list[ModelDecision]:
    """Those that count by the end of ``day``, the oldest first; of one model, or of all.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    settings = warehouse.settings
    table = ops_table(settings, TABLE)
    if warehouse.find_table(table) is None:
        return []
    of_model = "" if model is None else f" and model_name = {literal(model)}"
    rows = warehouse.run(
        "select run_date, model_name, model_version, artifact, artifact_uri, decision, reasons, metrics, "
        f"data_digest, decided_at, decided_by from `{table}` where run_date between "
        f"{literal(settings.history_start_date)} and {literal(day)}{of_model} "
        "order by run_date, decided_at, model_name"
    )
    return [
        ModelDecision(
            model=row.model_name,
            version=int(row.model_version),
            artifact=row.artifact,
            artifact_uri=row.artifact_uri,
            decision=row.decision,
            reasons=tuple(row.reasons),
            day=row.run_date,
            decided_at=row.decided_at,
            decided_by=row.decided_by,
            metrics=json.loads(row.metrics),
            data_digest=row.data_digest,
        )
        for row in rows
    ]


def states_on(warehouse: Warehouse, day: date) -> dict[str, ModelState]:
    """By model, what is in use and what in shadow at the end of ``day``, whatever was decided for later days.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    return states(decisions(warehouse, day), day)
