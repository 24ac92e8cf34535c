"""Which partitions of the history a run has to build, and which it may read as published.

A partition of the history is a pure function of the raw rows that had arrived by its day and of the code. It
is fresh while neither has changed since it was published: landing remembers when the rows of a day last
changed, a publication what its run had read of them, by the last landing before it, and what the code was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from google.cloud import bigquery

from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.ledger_time import reading_time
from loaders.warehouse.ops import literal, ops_table
from runs.history_models import HistoryModel, checkpoint_day, history_models, partition_days
from segue.settings import Settings
from segue.window import DAY, HistoryWindow, first_of_next_month

READ_AS_PUBLISHED = ("fct_experiment_decision",)
"""Marts of which later runs read earlier days: what was decided then is what was served, whatever the rules
say now, so that it is no part of the history that a run can build anew."""

Landed = Mapping[str, Mapping[date, datetime]]
"""Raw table → arrival day → when the day's rows last changed."""


def history_window(settings: Settings, as_of_date: date) -> HistoryWindow:
    """What a run that knows the arrivals up to ``as_of_date`` must build of the history.

    Raises:
        WarehouseError: the operational tables cannot be read.
    """
    warehouse = warehouse_of(settings)
    # Before any question: what lands from now on makes what this run builds look stale, never the reverse.
    raw_read_at = reading_time(warehouse)
    manifest = settings.dbt_manifest
    models = history_models(manifest)
    ensure_history_tables(warehouse, models)
    version = code_version(manifest)
    landed = _landed(warehouse, models, as_of_date)
    published = _publications(warehouse, models, version)
    checkpoint = checkpoint_day(settings, as_of_date)
    first_days: dict[str, date] = {}
    goes_on_from = _firsts_of_months(settings.history_start_date, checkpoint)
    for model in models:
        days = _partitions(model, landed, checkpoint, as_of_date)
        changed_at = _last_changes(model, landed, days)
        stale = {day for day in days if published.get((model.name, day), _NEVER) < changed_at[day]}
        # What is built anew is built anew in all that is made of it.
        rebuilt = min((first_days[name] for name in model.follows), default=as_of_date + DAY)
        stale |= {day for day in days if day >= rebuilt}
        first_days[model.name] = min(stale, default=as_of_date + DAY)
        if model.goes_on:
            changed_at = _last_changes(model, landed, goes_on_from)
            goes_on_from = [
                day
                for day in goes_on_from
                if day < rebuilt and published.get((model.name, day), _NEVER) >= changed_at[day]
            ]
    return HistoryWindow(
        first_days=first_days,
        raw_read_at=raw_read_at,
        code_version=version,
        goes_on_from=max(goes_on_from, default=None),
        published_marts=tuple(
            name
            for name in READ_AS_PUBLISHED
            if warehouse.find_table(warehouse.table(settings.marts_dataset, name)) is not None
        ),
    )


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def _partitions(model: HistoryModel, landed: Landed, checkpoint: date, as_of_date: date) -> list[date]:
    if model.partitions == "arrival_days":
        return sorted({day for feed in model.feeds_of_day for day in landed.get(feed, ())})
    return partition_days(model.partitions, checkpoint, checkpoint, as_of_date)


def _firsts_of_months(first: date, until: date) -> list[date]:
    """Of the months after that of ``first``, those before ``until``."""
    found, day = [], first_of_next_month(first)
    while day < until:
        found.append(day)
        day = first_of_next_month(day)
    return found


def _last_changes(model: HistoryModel, landed: Landed, days: Iterable[date]) -> dict[date, datetime]:
    """When what the partition of each day is made of last changed."""
    earlier = sorted(change for feed in model.feeds_until_day for change in landed.get(feed, {}).items())
    changes, latest, place = {}, _NEVER, 0
    for day in days:
        while place < len(earlier) and earlier[place][0] <= day:
            latest = max(latest, earlier[place][1])
            place += 1
        changes[day] = max(
            [latest, *(landed[feed].get(day, _NEVER) for feed in model.feeds_of_day if feed in landed)]
        )
    return changes


def _landed(warehouse: Warehouse, models: Sequence[HistoryModel], as_of_date: date) -> Landed:
    settings = warehouse.settings
    tables = ", ".join(literal(feed) for feed in sorted({feed for model in models for feed in model.feeds}))
    rows = warehouse.run(
        f"select table_name, run_date, max(changed_at) as changed_at "
        f"from `{ops_table(settings, 'run_ledger')}` "
        f"where step = 'land' and table_name in ({tables}) and run_date between "
        f"date '{settings.history_start_date}' and date '{as_of_date}' group by table_name, run_date",
    )
    landed: dict[str, dict[date, datetime]] = {}
    for row in rows:
        landed.setdefault(row.table_name, {})[row.run_date] = row.changed_at
    return landed


def _publications(
    warehouse: Warehouse, models: Sequence[HistoryModel], version: str
) -> dict[tuple[str, date], datetime]:
    """Up to which landing raw was read for each history partition that is as the present code makes it.

    Only a partition's last publication says what is in it: that this code published it once says nothing,
    when another code has replaced it since.
    """
    settings = warehouse.settings
    names = ", ".join(literal(model.name) for model in models)
    rows = warehouse.run(
        f"select mart, partition_date, raw_read_at from ("
        f"select mart, partition_date, raw_read_at, code_version, row_number() over "
        f"(partition by mart, partition_date order by published_at desc, raw_read_at desc) as newest "
        f"from `{ops_table(settings, 'publications')}` "
        f"where run_date >= date '{settings.history_start_date}' and mart in ({names})) "
        f"where newest = 1 and code_version = {literal(version)}"
    )
    return {(row.mart, row.partition_date): row.raw_read_at for row in rows}


def ensure_history_tables(warehouse: Warehouse, models: Sequence[HistoryModel]) -> None:
    """Create the published history tables that are missing, with the columns of their dbt contracts."""
    settings = warehouse.settings
    warehouse.ensure_dataset(settings.history_dataset)
    for model in (each.model for each in models):
        table_id = warehouse.table(settings.history_dataset, model.name)
        if warehouse.find_table(table_id) is None:
            warehouse.ensure_table(
                table_id,
                [_schema_field(column) for column in model.columns],
                partition_field=model.day_column,
                clustering=list(model.clustering),
                description=model.description,
            )


def _schema_field(column: Mapping[str, Any]) -> bigquery.SchemaField:
    return _field(column["name"], column["data_type"].upper(), column["description"])


def _field(name: str, kind: str, description: str = "", mode: str = "NULLABLE") -> bigquery.SchemaField:
    if kind.startswith("ARRAY<"):
        return _field(name, kind[len("ARRAY<") : -1], description, "REPEATED")
    if kind.startswith("STRUCT<"):
        members = [each.split() for each in kind[len("STRUCT<") : -1].split(", ")]
        fields = [_field(member.lower(), of_member) for member, of_member in members]
        return bigquery.SchemaField(name, "RECORD", mode, description=description, fields=fields)
    kind, _, arguments = kind.partition("(")
    precision, scale = (int(part) for part in arguments.rstrip(")").split(",")) if arguments else (None, None)
    return bigquery.SchemaField(name, kind, mode, description=description, precision=precision, scale=scale)


def project_vars(manifest: Path) -> Path:
    """Where the parsed project's vars are kept, beside its manifest, which does not hold them."""
    return manifest.with_name("vars.json")


@lru_cache(maxsize=4)
def _code_version(manifest: Path, modified_ns: int) -> str:  # noqa: ARG001 - the time is the cache's key
    content = json.loads(manifest.read_text())
    nodes, macros = content["nodes"], content["macros"]
    wanted: set[str] = set()
    queue = [
        key for key, node in nodes.items() if node["config"].get("meta", {}).get("published") == "arrivals"
    ]
    while queue:
        key = queue.pop()
        found = nodes.get(key) or macros.get(key)
        if found is not None and found["package_name"] == "segue" and key not in wanted:
            wanted.add(key)
            queue += found["depends_on"].get("nodes", []) + found["depends_on"]["macros"]
    sources = [nodes[key]["raw_code"] if key in nodes else macros[key]["macro_sql"] for key in sorted(wanted)]
    sources.append(project_vars(manifest).read_text())
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def code_version(manifest: Path) -> str:
    """Digest of the models that the history is built by, what they read, their macros, and the windows."""
    return _code_version(manifest, manifest.stat().st_mtime_ns)
