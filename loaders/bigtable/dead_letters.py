"""Rows that could not be loaded, kept in BigQuery where a person can find them, with code and reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from loaders.bigtable.manifest import GenerationManifest
from loaders.bigtable.rows import Refused
from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import append_rows, literal, ops_table


def replace(
    warehouse: Warehouse,
    manifest: GenerationManifest,
    shard: int,
    refused: Sequence[Refused],
) -> None:
    """Keeps a shard's refused rows instead of those that an earlier attempt at it kept.

    Raises:
        WarehouseError, google.api_core.exceptions.GoogleAPIError: BigQuery did not take it.
    """
    settings = warehouse.settings
    table = ops_table(settings, "dead_letters")
    if warehouse.find_table(table) is not None:
        warehouse.run(
            f"delete from `{table}` where run_date = {literal(manifest.segment_date)} "
            f"and generation_ms = {manifest.generation_ms} and shard = {shard}",
        )
    if not refused:
        return
    now = datetime.now(UTC).isoformat()
    append_rows(
        warehouse,
        "dead_letters",
        [
            {
                "run_date": manifest.segment_date.isoformat(),
                "generation_ms": manifest.generation_ms,
                "shard": shard,
                "account_id": row.account_id,
                "code": row.code,
                "reason": row.reason,
                "refused_at": now,
            }
            for row in refused
        ],
    )
