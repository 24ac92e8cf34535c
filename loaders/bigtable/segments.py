"""From BigQuery's published segments to a published generation, with a row in the run ledger."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

from google.api_core.exceptions import GoogleAPIError

from loaders.bigtable.begin import Begun, begin
from loaders.bigtable.connection import open_table
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.load import leaving_nothing_when_overtaken, load_generation
from loaders.bigtable.manifest import LoadMode, ShardManifest
from loaders.bigtable.pointer import read_pointer
from loaders.bigtable.publish import publish
from loaders.bigtable.result import LoadOutcome, LoadResult
from loaders.bigtable.shard import load_shard
from loaders.bigtable.source import SEGMENTS_TABLE, WarehouseSource, latest_segment_date
from loaders.bigtable.table import ensure_table
from loaders.warehouse.client import Warehouse, WarehouseError, warehouse_of
from loaders.warehouse.ops import append_rows, literal, ops_table
from segue.settings import Settings
from segue.telemetry import present_step

LEDGER_STEP = "bigtable_load"


def load_segments(
    settings: Settings, segment_date: date, mode: LoadMode | None = None, *, allow_empty: bool = False
) -> LoadResult:
    """Loads the published segments of ``segment_date`` and makes them what readers see.

    Loading a published day again makes a new generation of it. A day older than the published one is not
    loaded: its outcome is ``SUPERSEDED``. Nor is a day on which nobody has an offer while nothing is online:
    ``NOBODY``; with something online only ``allow_empty`` loads it. The ledger has rows of what was loaded.
    ``mode`` is by default the settings'.

    Raises:
        LoadError: nothing was published and what was published before stays. Its code names the cause.
            Except ``LEDGER``: the generation is published, but the run ledger could not be written.
    """
    source = WarehouseSource(settings)
    result = load_generation(settings, segment_date, source, mode, allow_empty=allow_empty)
    if result.outcome is LoadOutcome.PUBLISHED:
        _record(settings, result)
    return result


def begin_segments(
    settings: Settings, segment_date: date, mode: LoadMode | None = None, *, allow_empty: bool = False
) -> Begun | LoadResult:
    """The first of the three steps of ``load_segments``, for an orchestrator; raises as it does."""
    return begin(settings, segment_date, WarehouseSource(settings), mode, allow_empty=allow_empty)


def load_segments_shard(settings: Settings, generation: int, shard: int) -> ShardManifest:
    """The second step, once for every shard of a begun generation (milliseconds), in any order."""
    with leaving_nothing_when_overtaken(settings, generation, shard):
        return load_shard(settings, generation, shard, WarehouseSource(settings))


def publish_segments(settings: Settings, generation: int) -> LoadResult:
    """The last step, when every shard is loaded; may be repeated."""
    with leaving_nothing_when_overtaken(settings, generation):
        result = publish(settings, generation, WarehouseSource(settings))
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


def _count(result: LoadResult) -> None:
    """What was loaded, for who watches the step."""
    step = present_step()
    for outcome, accounts in (
        ("written", result.written),
        ("unchanged", result.unchanged),
        ("removed", result.tombstoned),
        ("dead_lettered", result.dead_lettered),
        ("erased", result.rows_erased),
    ):
        step.count("segue.load.rows", accounts, outcome=outcome)
    step.count("segue.load.generation", float(result.generation_ms or 0))


def _record(settings: Settings, result: LoadResult) -> None:
    _count(result)
    detail = {
        "generation_ms": result.generation_ms,
        "attempt": result.attempt,
        "written": result.written,
        "unchanged": result.unchanged,
        "tombstoned": result.tombstoned,
        "discarded": result.discarded,
        "checksum": result.checksum,
        "seconds": round(result.seconds, 3),
    }
    row = {
        "run_date": result.segment_date.isoformat(),
        "step": LEDGER_STEP,
        "table_name": SEGMENTS_TABLE,
        "rows_in": result.rows_in + result.rows_erased,
        "rows_out": result.rows_out,
        "rows_quarantined": result.dead_lettered,
        "rows_erased": result.rows_erased,
        "detail": json.dumps(detail),
        "finished_at": datetime.now(UTC).isoformat(),
    }
    try:
        warehouse = warehouse_of(settings)
        if not _is_recorded(warehouse, result):
            append_rows(warehouse, "run_ledger", [row])
    except (GoogleAPIError, WarehouseError) as error:
        raise LoadError(
            LoadCode.LEDGER,
            f"generation {result.generation_ms} is published, but the run ledger is not written: {error}",
        ) from error


def _is_recorded(warehouse: Warehouse, result: LoadResult) -> bool:
    """Whether an earlier try of the same step came this far."""
    settings = warehouse.settings
    table = ops_table(settings, "run_ledger")
    if warehouse.find_table(table) is None:
        return False
    [row] = warehouse.run(
        f"select count(*) as found from `{table}` where run_date = {literal(result.segment_date)} "
        f"and step = {literal(LEDGER_STEP)} "
        f"and json_value(detail, '$.generation_ms') = {literal(str(result.generation_ms))}",
    )
    return bool(row.found)
