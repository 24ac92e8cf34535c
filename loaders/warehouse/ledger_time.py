"""The time of the ledger: what is recorded later is later, whatever any clock says.

What has to be built again is found by comparing moments: a correction landed after a run had begun to read
raw, an account was erased after it. Workers' clocks are apart, and are set back. So such moments are taken
from BigQuery's clock, which is one for all, and never lie before what has been recorded already: should that
clock go back, as the embedded one's may, the order of what happened stays.

A reading is recorded long after it was made, or never, so that no clock could tell what came after it. It is
dated by what it saw: the last landing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import ensure_ops_tables, literal, ops_table
from segue.settings import Settings

_LANDED: Final = (
    ("run_ledger", "changed_at"),
    ("corrections", "corrected_at"),
    # Of landings as well, but for those that were dated by a clock.
    ("publications", "raw_read_at"),
)
_RECORDED: Final = (
    *_LANDED,
    ("publications", "published_at"),
    ("verdicts", "judged_at"),
    ("erasures", "recorded_at"),
)
_NOTHING_LANDED: Final = datetime(1970, 1, 1, tzinfo=UTC)


def ledger_time(warehouse: Warehouse) -> datetime:
    """The present moment in UTC, for what is about to be recorded.

    It is later than each that landings, verdicts, publications and erasures have recorded.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    _ensure_tables(warehouse, _RECORDED)
    [row] = warehouse.run(f"select {ledger_time_expression(warehouse.settings)} as moment")
    moment: datetime = row.moment
    return moment


def ledger_time_expression(settings: Settings) -> str:
    """The same as an expression, for a transaction that records it: once another has committed, what is tried
    again is later than that one. The operational tables have to be there."""
    return (
        "(select greatest(current_timestamp(), coalesce(timestamp_add(max(moment), interval 1 microsecond), "
        f"current_timestamp())) from ({_moments(settings, _RECORDED)}))"
    )


def reading_time(warehouse: Warehouse) -> datetime:
    """The moment of what is read from now on: that of the last landing.

    Each landing that has been read was recorded then or earlier, each later one is recorded later; so is each
    erasure that is proved later. Nothing else counts: it could be recorded while a landing that has taken its
    moment already is about to commit.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    _ensure_tables(warehouse, _LANDED)
    [row] = warehouse.run(f"select max(moment) as moment from ({_moments(warehouse.settings, _LANDED)})")
    moment: datetime | None = row.moment
    return moment or _NOTHING_LANDED


def _ensure_tables(warehouse: Warehouse, columns: Iterable[tuple[str, str]]) -> None:
    ensure_ops_tables(warehouse, dict.fromkeys(table for table, _ in columns))


def _moments(settings: Settings, columns: Iterable[tuple[str, str]]) -> str:
    """A query of the last moment of each column, with its constant partition filter."""
    since = literal(settings.history_start_date)
    return " union all ".join(
        f"select max({column}) as moment from `{ops_table(settings, table)}` where run_date >= {since}"
        for table, column in columns
    )
