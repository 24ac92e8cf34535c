"""From BigQuery's published segments to a published generation, with a row in the run ledger."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

from google.api_core.exceptions import GoogleAPIError

from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.load import load_generation
from loaders.bigtable.result import LoadOutcome, LoadResult
from loaders.bigtable.source import SEGMENTS_TABLE, latest_segment_date, read_segments
from loaders.bigtable.table import ensure_table
from loaders.warehouse.client import WarehouseError, bigquery_client
from loaders.warehouse.ops import RUN_LEDGER, append_rows
from segue.settings import Settings
from serving.connection import open_table
from serving.pointer import read_pointer

LEDGER_STEP = "bigtable_load"


def load_segments(settings: Settings, segment_date: date) -> LoadResult:
    """Loads the published segments of ``segment_date`` and makes them what readers see.

    Loading a published day again makes a new generation of it. A day older than the published one is not
    loaded: its outcome is ``SUPERSEDED``, and the ledger has no row for it.

    Raises:
        LoadError: nothing was published and what was published before stays. Its code names the cause.
            Except ``LEDGER``: the generation is published, but the run ledger could not be written.
    """
    result = load_generation(settings, segment_date, read_segments)
    if result.outcome is LoadOutcome.PUBLISHED:
        _record(settings, result)
    return result


def republish(settings: Settings) -> LoadResult | None:
    """Loads the newest published day unless it is loaded already; ``None`` when no day is published.

    For an emulator, which forgets everything when it stops.

    Raises:
        LoadError: as ``load_segments``.
    """
    newest = latest_segment_date(settings)
    if newest is None:
        return None
    ensure_table(settings)
    with open_table(settings) as table:
        current = read_pointer(table)
    if current is not None and current.segment_date >= newest:
        return LoadResult(LoadOutcome.CURRENT, newest, current.generation_ms)
    return load_segments(settings, newest)


def _record(settings: Settings, result: LoadResult) -> None:
    row = {
        "run_date": result.segment_date.isoformat(),
        "step": LEDGER_STEP,
        "table_name": SEGMENTS_TABLE,
        "rows_in": result.rows_in,
        "rows_out": result.rows_out,
        "rows_quarantined": result.dead_lettered,
        "detail": json.dumps(
            {
                "generation_ms": result.generation_ms,
                "attempt": result.attempt,
                "tombstoned": result.tombstoned,
                "discarded": result.discarded,
                "checksum": result.checksum,
            }
        ),
        "finished_at": datetime.now(UTC).isoformat(),
    }
    try:
        append_rows(bigquery_client(settings), settings, "run_ledger", RUN_LEDGER, [row])
    except (GoogleAPIError, WarehouseError) as error:
        raise LoadError(
            LoadCode.LEDGER,
            f"generation {result.generation_ms} is published, but the run ledger is not written: {error}",
        ) from error
