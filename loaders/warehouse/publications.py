"""What is published, by ``ops.publications``."""

from __future__ import annotations

from datetime import date

from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import literal, ops_table


def newest_published(warehouse: Warehouse, mart: str) -> date | None:
    """The newest day of which a mart is published; None: there is none yet.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    settings = warehouse.settings
    if warehouse.find_table(ops_table(settings, "publications")) is None:
        return None
    [row] = warehouse.run(
        f"select max(partition_date) as day from `{ops_table(settings, 'publications')}` "
        f"where run_date >= {literal(settings.history_start_date)} and mart = {literal(mart)}"
    )
    day: date | None = row.day
    return day
