"""Which partitions of the subscription history a run has to build, and which it may read as published.

A partition of the history is a pure function of the raw rows that had arrived by its day and of the code. It
is fresh while neither has changed since it was published: landing remembers when the rows of a day last
changed, a publication when its run had begun to read them and what the code was.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from google.cloud import bigquery

from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.ops import literal, ops_table
from segue.settings import Settings
from segue.window import DAY, HistoryWindow, days_between

EVENTS = "int_subscription_events"
VERSIONS = "int_subscription_versions"


def checkpoint_day(settings: Settings, as_of_date: date) -> date:
    """The first of the as-of day's month, whose partition of the version log holds every subscription."""
    return max(as_of_date.replace(day=1), settings.history_start_date)


def history_window(settings: Settings, as_of_date: date) -> HistoryWindow:
    """What a run that knows the arrivals up to ``as_of_date`` must build of the history.

    Raises:
        WarehouseError: the operational tables cannot be read.
    """
    # Before any question: what lands from now on makes what this run builds look stale, never the reverse.
    raw_read_at = datetime.now(UTC)
    warehouse = warehouse_of(settings)
    manifest = settings.dbt_manifest
    ensure_history_tables(warehouse, manifest)
    version = code_version(manifest)
    changes = _changes(warehouse, as_of_date)
    published = _publications(warehouse, version)
    arrivals = [day for day in changes if day <= as_of_date]
    stale_events = [day for day in arrivals if published.get((EVENTS, day), _NEVER) < changes[day]]
    events_from = min(stale_events, default=as_of_date + DAY)
    first = checkpoint_day(settings, as_of_date)
    stale_versions = [
        day
        for day in days_between(first, as_of_date)
        if published.get((VERSIONS, day), _NEVER)
        < max((changed for arrival, changed in changes.items() if arrival <= day), default=_NEVER)
    ]
    versions_from = min([*stale_versions, *(max(day, first) for day in stale_events)], default=None)
    return HistoryWindow(
        events_from_date=events_from,
        versions_from_date=versions_from or as_of_date + DAY,
        raw_read_at=raw_read_at,
        code_version=version,
    )


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def _changes(warehouse: Warehouse, as_of_date: date) -> dict[date, datetime]:
    """When what an arrival day's events mean last changed: their rows, or the catalogue as known by then."""
    from loaders.landing.contracts import CATALOGUE_TABLES, EVENT_TABLES

    events = _landing_changes(warehouse, as_of_date, EVENT_TABLES)
    catalogue = _landing_changes(warehouse, as_of_date, CATALOGUE_TABLES)
    changes, latest = {}, _NEVER
    for day in sorted({*events, *catalogue}):
        latest = max(latest, catalogue.get(day, _NEVER))
        if day in events:
            changes[day] = max(events[day], latest)
    return changes


def _landing_changes(warehouse: Warehouse, as_of_date: date, among: tuple[str, ...]) -> dict[date, datetime]:
    """When the rows of each arrival day last changed, over some tables."""
    settings = warehouse.settings
    tables = ", ".join(literal(table) for table in among)
    rows = warehouse.run(
        f"select run_date, max(changed_at) as changed_at from `{ops_table(settings, 'run_ledger')}` "
        f"where step = 'land' and table_name in ({tables}) and run_date between "
        f"date '{settings.history_start_date}' and date '{as_of_date}' group by run_date",
    )
    return {row.run_date: row.changed_at for row in rows}


def _publications(warehouse: Warehouse, version: str) -> dict[tuple[str, date], datetime]:
    """When raw was read for each history partition that is as the present code makes it.

    Only a partition's last publication says what is in it: that this code published it once says nothing,
    when another code has replaced it since.
    """
    settings = warehouse.settings
    rows = warehouse.run(
        f"select mart, partition_date, raw_read_at from ("
        f"select mart, partition_date, raw_read_at, code_version, row_number() over "
        f"(partition by mart, partition_date order by published_at desc, raw_read_at desc) as newest "
        f"from `{ops_table(settings, 'publications')}` "
        f"where run_date >= date '{settings.history_start_date}' and mart in ('{EVENTS}', '{VERSIONS}')) "
        f"where newest = 1 and code_version = {literal(version)}"
    )
    return {(row.mart, row.partition_date): row.raw_read_at for row in rows}


def ensure_history_tables(warehouse: Warehouse, manifest: Path) -> None:
    """Create the published history tables that are missing, with the columns of their dbt contracts."""
    settings = warehouse.settings
    warehouse.ensure_dataset(settings.history_dataset)
    for node in _nodes(manifest).values():
        if node["resource_type"] != "model" or node["name"] not in (EVENTS, VERSIONS):
            continue
        table_id = f"{settings.project_id}.{settings.history_dataset}.{node['name']}"
        if warehouse.find_table(table_id) is None:
            warehouse.ensure_table(
                table_id,
                [_schema_field(column) for column in node["columns"].values()],
                partition_field=node["config"]["partition_by"]["field"],
                clustering=node["config"]["cluster_by"],
                description=node["description"],
            )


def _schema_field(column: dict[str, Any]) -> bigquery.SchemaField:
    kind, _, arguments = column["data_type"].upper().partition("(")
    precision, scale = (int(part) for part in arguments.rstrip(")").split(",")) if arguments else (None, None)
    return bigquery.SchemaField(
        column["name"], kind, description=column["description"], precision=precision, scale=scale
    )


def _nodes(manifest: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(manifest.read_text())
    return dict(content["nodes"])


@lru_cache(maxsize=4)
def _code_version(manifest: Path, modified_ns: int) -> str:  # noqa: ARG001 - the time is the cache's key
    content = json.loads(manifest.read_text())
    nodes, parents = content["nodes"], content["parent_map"]
    wanted: set[str] = set()
    queue = [key for key, node in nodes.items() if node.get("name") in (EVENTS, VERSIONS)]
    while queue:
        key = queue.pop()
        if key in nodes and key not in wanted:
            wanted.add(key)
            queue += parents.get(key, [])
    sources = [nodes[key]["raw_code"] for key in sorted(wanted)]
    sources += [
        macro["macro_sql"]
        for key, macro in sorted(content["macros"].items())
        if macro["package_name"] == "segue" and not key.startswith("macro.segue.test_")
    ]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def code_version(manifest: Path) -> str:
    """Digest of the models that the history is built by, what they read, and the project's macros."""
    return _code_version(manifest, manifest.stat().st_mtime_ns)
