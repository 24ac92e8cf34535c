"""Rows that could not be loaded, kept in BigQuery where a person can find them, with code and reason.

BigQuery runs two statements at a time that delete from one table, queues twenty and fails the rest, and a
load may have a thousand shards. So ``begin`` deletes once for all of them, and a shard only adds.
https://cloud.google.com/bigquery/docs/data-manipulation-language#dml-limitations
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from google.cloud import bigquery

from loaders.bigtable.manifest import GenerationManifest
from loaders.bigtable.rows import Refused
from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import append_rows, literal, ops_table


def forget(warehouse: Warehouse, manifest: GenerationManifest, complete: Collection[int]) -> None:
    """Removes what earlier attempts at a generation kept, but for its shards that are ``complete``.

    Raises:
        WarehouseError, google.api_core.exceptions.GoogleAPIError: BigQuery did not do it.
    """
    _delete(
        warehouse,
        manifest,
        "shard not in unnest(@complete)",
        bigquery.ArrayQueryParameter("complete", "INT64", sorted(complete)),
    )


def keep(
    warehouse: Warehouse,
    manifest: GenerationManifest,
    shard: int,
    refused: Sequence[Refused],
    *,
    instead: bool,
) -> None:
    """Keeps a shard's refused rows, ``instead`` of those that an earlier attempt at it may have kept.

    Raises:
        WarehouseError, google.api_core.exceptions.GoogleAPIError: BigQuery did not take it.
    """
    if instead:
        _delete(warehouse, manifest, "shard = @shard", bigquery.ScalarQueryParameter("shard", "INT64", shard))
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


def _delete(
    warehouse: Warehouse,
    manifest: GenerationManifest,
    shards: str,
    parameter: bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter,
) -> None:
    table = ops_table(warehouse.settings, "dead_letters")
    found = warehouse.find_table(table)
    # Usually nothing was ever refused, which the table's metadata tells without a statement.
    if found is None or found.num_rows == 0:
        return
    warehouse.run(
        f"delete from `{table}` where run_date = {literal(manifest.segment_date)} "
        f"and generation_ms = {manifest.generation_ms} and {shards}",
        parameters=[parameter],
    )
