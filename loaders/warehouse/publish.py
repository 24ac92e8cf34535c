"""Publication: all marts of a run become visible to analysts in one transaction.

A run publishes the days it built. A partition that another run has already published from newer knowledge (a
later ``as_of_date``) is left alone, so that backfills may overlap and run backwards and still end the same.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import structlog
from google.cloud import bigquery

from loaders.warehouse.client import (
    WarehouseError,
    bigquery_client,
    ensure_dataset,
    ensure_table,
    get_table,
    run,
)
from loaders.warehouse.ops import ensure_ops_tables, literal, ops_table
from segue.settings import Settings

log = structlog.get_logger(__name__)

_NEWER = "newer knowledge was published meanwhile"
_ATTEMPTS = 5


class PublishError(RuntimeError):
    """Nothing of this run was published; what analysts see is as before."""


@dataclass(frozen=True)
class PublishedMart:
    """A model that the dbt project marks with ``meta.published``."""

    name: str
    day_column: str
    restates_days: int
    description: str


@dataclass(frozen=True)
class Publication:
    """What one run made visible: (mart, day) → rows."""

    publication_id: str
    start_date: date
    end_date: date
    as_of_date: date
    rows: dict[tuple[str, date], int]
    skipped: int

    def summary(self) -> str:
        """One line for a log."""
        marts = len({mart for mart, _ in self.rows})
        newer = f", {self.skipped} partitions left to newer knowledge" if self.skipped else ""
        return (
            f"{sum(self.rows.values()):,} rows of {marts} marts for {self.start_date}..{self.end_date}, "
            f"known as of {self.as_of_date}{newer}"
        )


def published_marts(manifest: Path) -> list[PublishedMart]:
    """The published models of a dbt manifest, by name.

    Raises:
        PublishError: a published model has no day partition.
    """
    nodes = json.loads(manifest.read_text())["nodes"].values()
    marts = []
    for node in nodes:
        config = node.get("config", {})
        if node["resource_type"] != "model" or not config.get("meta", {}).get("published"):
            continue
        partition = config.get("partition_by")
        if not partition:
            raise PublishError(f"{node['name']} is published but not partitioned by day")
        marts.append(
            PublishedMart(
                name=node["name"],
                day_column=partition["field"],
                restates_days=int(config["meta"].get("restates_days", 0)),
                description=node.get("description", ""),
            )
        )
    return sorted(marts, key=lambda mart: mart.name)


def publish(
    settings: Settings,
    start_date: date,
    end_date: date,
    as_of_date: date,
    marts: Iterable[PublishedMart] | None = None,
) -> Publication:
    """Move the partitions [start_date − restated days, end_date] of every mart from audit to published.

    Raises:
        PublishError: a mart was not built, or its columns changed in a way that is no widening.
        WarehouseError: the transaction failed; nothing has changed.
    """
    client = bigquery_client(settings)
    wanted = list(marts or published_marts(settings.dbt_target_dir / "manifest.json"))
    ensure_dataset(client, settings, settings.marts_dataset)
    ensure_ops_tables(client, settings)
    columns = {mart.name: _prepare(client, settings, mart, end_date) for mart in wanted}
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            publication = _publish_once(client, settings, wanted, columns, start_date, end_date, as_of_date)
            log.info("published", detail=publication.summary())
            return publication
        except WarehouseError as error:
            if _NEWER not in str(error) or attempt == _ATTEMPTS:
                raise
            log.info("publication_repeated", reason=_NEWER)
    raise AssertionError("unreachable")  # pragma: no cover


def drop_audit(settings: Settings, end_date: date) -> None:
    """Remove the audit dataset of the run that ends on ``end_date``, if there is one."""
    client = bigquery_client(settings)
    dataset = f"{settings.project_id}.{settings.audit_dataset(end_date)}"
    client.delete_dataset(dataset, delete_contents=True, not_found_ok=True, retry=None)


def _prepare(client: bigquery.Client, settings: Settings, mart: PublishedMart, end_date: date) -> list[str]:
    """Create or widen the published table after the audited one; returns the columns to copy."""
    audited = get_table(client, f"{settings.project_id}.{settings.audit_dataset(end_date)}.{mart.name}")
    if audited is None:
        raise PublishError(
            f"{mart.name} was not built for {end_date}: no table in {settings.audit_dataset(end_date)}"
        )
    published = f"{settings.project_id}.{settings.marts_dataset}.{mart.name}"
    try:
        ensure_table(
            client,
            published,
            audited.schema,
            partition_field=mart.day_column,
            clustering=audited.clustering_fields,
            description=mart.description or audited.description,
        )
    except WarehouseError as error:
        raise PublishError(str(error)) from error
    return [field.name for field in audited.schema]


def _publish_once(
    client: bigquery.Client,
    settings: Settings,
    marts: list[PublishedMart],
    columns: dict[str, list[str]],
    start_date: date,
    end_date: date,
    as_of_date: date,
) -> Publication:
    newer = _days_known_better(client, settings, as_of_date)
    publication_id = str(uuid.uuid4())
    now = datetime.now(UTC)
    statements, days_of = [], {}
    skipped = 0
    for mart in marts:
        first = max(start_date - timedelta(days=mart.restates_days), settings.history_start_date)
        every = [first + timedelta(days=n) for n in range((end_date - first).days + 1)]
        days = [day for day in every if (mart.name, day) not in newer]
        skipped += len(every) - len(days)
        days_of[mart.name] = days
        if days:
            statements += _replace(settings, mart, columns[mart.name], days, end_date)
            statements.append(_record(settings, mart, days, end_date, as_of_date, publication_id, now))
    if not statements:
        return Publication(publication_id, start_date, end_date, as_of_date, {}, skipped)
    guard = (
        f"select if((select count(*) from ({_newer_query(settings, as_of_date)})) <> {len(newer)}, "
        f"error('{_NEWER}'), 1)"
    )
    run(
        client,
        ";\n".join(["begin transaction", guard, *statements, "commit transaction"]) + ";",
        settings=settings,
        labels={"step": "publish"},
    )
    counted = client.query_and_wait(
        f"select mart, partition_date, row_count from `{ops_table(settings, 'publications')}` "
        f"where run_date = date '{end_date}' and publication_id = '{publication_id}'",
        retry=None,
    )
    rows = {(row.mart, row.partition_date): int(row.row_count) for row in counted}
    return Publication(publication_id, start_date, end_date, as_of_date, rows, skipped)


def _newer_query(settings: Settings, as_of_date: date) -> str:
    """(mart, partition_date) that were published from later arrivals than ``as_of_date``.

    A run never reads past the arrivals it knows, so such a publication belongs to a run of a later day:
    the filter on run_date prunes, and loses nothing.
    """
    return (
        f"select distinct mart, partition_date from `{ops_table(settings, 'publications')}` "
        f"where run_date >= date '{settings.history_start_date}' and as_of_date > date '{as_of_date}'"
    )


def _days_known_better(
    client: bigquery.Client, settings: Settings, as_of_date: date
) -> set[tuple[str, date]]:
    rows = client.query_and_wait(_newer_query(settings, as_of_date), retry=None)
    return {(row.mart, row.partition_date) for row in rows}


def _days_filter(column: str, days: list[date]) -> str:
    """A constant filter: a range when the days are consecutive, else a list."""
    if (days[-1] - days[0]).days + 1 == len(days):
        return f"{column} between date '{days[0]}' and date '{days[-1]}'"
    return f"{column} in ({', '.join(literal(day) for day in days)})"


def _replace(
    settings: Settings, mart: PublishedMart, columns: list[str], days: list[date], end_date: date
) -> list[str]:
    """Delete the days' partitions of a mart and fill them from audit."""
    published = f"`{settings.project_id}.{settings.marts_dataset}.{mart.name}`"
    audited = f"`{settings.project_id}.{settings.audit_dataset(end_date)}.{mart.name}`"
    these_days = _days_filter(mart.day_column, days)
    names = ", ".join(f"`{column}`" for column in columns)
    return [
        f"delete from {published} where {these_days}",
        f"insert into {published} ({names}) select {names} from {audited} where {these_days}",
    ]


def _record(
    settings: Settings,
    mart: PublishedMart,
    days: list[date],
    end_date: date,
    as_of_date: date,
    publication_id: str,
    now: datetime,
) -> str:
    """A row in ops.publications for every day, also for a day without rows."""
    audited = f"`{settings.project_id}.{settings.audit_dataset(end_date)}.{mart.name}`"
    listed = ", ".join(literal(day) for day in days)
    return (
        f"insert into `{ops_table(settings, 'publications')}` (run_date, publication_id, mart, "
        "partition_date, row_count, as_of_date, is_final, published_at)\n"
        f"select {literal(end_date)}, {literal(publication_id)}, {literal(mart.name)}, day, "
        f"coalesce(counted.row_count, 0), {literal(as_of_date)}, "
        f"date_add(day, interval {settings.restatement_days + mart.restates_days} day) <= "
        f"{literal(as_of_date)}, {literal(now)}\n"
        f"from unnest([{listed}]) as day\n"
        f"left join (select {mart.day_column} as counted_day, count(*) as row_count from {audited} "
        f"where {_days_filter(mart.day_column, days)} group by {mart.day_column}) as counted "
        "on counted.counted_day = day"
    )
