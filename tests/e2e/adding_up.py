"""Whether what was landed and published adds up, by the operational tables."""

from __future__ import annotations

from collections import Counter

from loaders.warehouse.client import warehouse_of
from segue.settings import Settings


def not_as_counted(settings: Settings) -> list[tuple[str, str]]:
    """(table, day) of which raw or quarantine hold other rows than the ledger says, or that do not add up."""
    warehouse = warehouse_of(settings)
    places = (settings.raw_dataset, settings.quarantine_dataset)
    counted = " union all ".join(
        f"select '{place}' as place, '{table}' as name, arrival_date as day, count(*) as n "
        f"from `{place}.{table}` where arrival_date >= '2000-01-01' group by day"
        for place in places
        for table in warehouse.table_names(place)
    )
    held = Counter({(row.place, row.name, row.day): row.n for row in warehouse.run(counted)})
    lost = []
    for row in warehouse.run(
        "select table_name as name, run_date as day, rows_in, rows_out, rows_quarantined, "
        "coalesce(rows_erased, 0) + coalesce(rows_ignored, 0) as left_out from ops.run_ledger "
        "where step = 'land'"
    ):
        found = tuple(held.pop((place, row.name, row.day), 0) for place in places)
        if found != (row.rows_out, row.rows_quarantined) or row.rows_in != sum(found) + row.left_out:
            lost.append((row.name, str(row.day)))
    return lost + [(name, str(day)) for _, name, day in held]


def badly_published(settings: Settings) -> list[str]:
    """Attempts that were published twice, or of which a mart's day was."""
    rows = warehouse_of(settings).run(
        "select attempt, count(distinct publication_id) as publications, "
        "count(*) - count(distinct concat(mart, string(partition_date))) as twice "
        "from ops.publications where attempt is not null group by attempt"
    )
    return [row.attempt for row in rows if (row.publications, row.twice) != (1, 0)]
