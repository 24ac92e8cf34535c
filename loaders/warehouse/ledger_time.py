"""The time of the ledger: what is recorded later is later, whatever any clock says.

What has to be built again is found by comparing moments: a correction landed after a run had begun to read
raw, an account was erased after it. Workers' clocks are apart, and are set back. So such moments are taken
from BigQuery's clock, which is one for all, and never lie before what has been recorded already: should that
clock go back, as the embedded one's may, the order of what happened stays.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import ensure_ops_tables, literal, ops_table

_RECORDED: Final = (
    ("run_ledger", "changed_at"),
    ("corrections", "corrected_at"),
    ("publications", "raw_read_at"),
    ("publications", "published_at"),
)


def ledger_time(warehouse: Warehouse) -> datetime:
    """The present moment in UTC; later than each that landings, corrections and publications have recorded.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    ensure_ops_tables(warehouse, {table for table, _ in _RECORDED})
    since = literal(warehouse.settings.history_start_date)
    recorded = " union all ".join(
        f"select max({column}) as moment from `{ops_table(warehouse.settings, table)}` "
        f"where run_date >= {since}"
        for table, column in _RECORDED
    )
    [row] = warehouse.run(
        "select greatest(current_timestamp(), coalesce(timestamp_add(max(moment), interval 1 microsecond), "
        f"current_timestamp())) as moment from ({recorded})"
    )
    moment: datetime = row.moment
    return moment
