"""Rows that could not be loaded, kept in BigQuery where a person can find them, with code and reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from google.cloud import bigquery

from loaders.bigtable.manifest import GenerationManifest
from loaders.bigtable.rows import Refused
from loaders.warehouse.client import get_table, run
from loaders.warehouse.ops import DEAD_LETTERS, append_rows, literal, ops_table
from segue.settings import Settings


def replace(
    client: bigquery.Client,
    settings: Settings,
    manifest: GenerationManifest,
    shard: int,
    refused: Sequence[Refused],
) -> None:
    """Keeps a shard's refused rows instead of those that an earlier attempt at it kept.

    Raises:
        WarehouseError, google.api_core.exceptions.GoogleAPIError: BigQuery did not take it.
    """
    table = ops_table(settings, "dead_letters")
    if get_table(client, table) is not None:
        run(
            client,
            f"delete from `{table}` where run_date = {literal(manifest.segment_date)} "
            f"and generation_ms = {manifest.generation_ms} and shard = {shard}",
            settings=settings,
        )
    if not refused:
        return
    now = datetime.now(UTC).isoformat()
    append_rows(
        client,
        settings,
        "dead_letters",
        DEAD_LETTERS,
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
