"""Publication: all marts of a run become visible to analysts in one transaction.

A run publishes the days it built. A partition that another run has already published from newer knowledge (a
later ``as_of_date``) is left alone, so that backfills may overlap and run backwards and still end the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

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
from loaders.warehouse.history import HistoryWindow
from loaders.warehouse.ops import ensure_ops_tables, literal, ops_table
from loaders.warehouse.published import PublishedMart, PublishError, published_marts
from loaders.warehouse.restatements import record_restatements
from segue.settings import Settings

log = structlog.get_logger(__name__)

_NEWER = "newer knowledge was published meanwhile"
_ATTEMPTS = 5


@dataclass(frozen=True)
class Publication:
    """What one run made visible: (mart, day) → rows."""

    publication_id: str
    start_date: date
    end_date: date
    as_of_date: date
    rows: dict[tuple[str, date], int]
    skipped: int

    def rows_of_marts(self) -> dict[str, int]:
        """Rows of each mart, over all its days."""
        rows: dict[str, int] = {}
        for (mart, _), count in sorted(self.rows.items()):
            rows[mart] = rows.get(mart, 0) + count
        return rows

    def summary(self) -> str:
        """One line for a log."""
        marts = len(self.rows_of_marts())
        newer = f", {self.skipped} partitions left to newer knowledge" if self.skipped else ""
        return (
            f"{sum(self.rows.values()):,} rows of {marts} marts for {self.start_date}..{self.end_date}, "
            f"known as of {self.as_of_date}{newer}"
        )


def publish(
    settings: Settings,
    start_date: date,
    end_date: date,
    as_of_date: date,
    marts: Iterable[PublishedMart] | None = None,
    *,
    history: HistoryWindow | None = None,
) -> Publication:
    """Move what a run has built from audit to published, in one transaction.

    Of every mart the partitions [start_date − restated days, end_date], and of the subscription history those
    that ``history`` says were built (none without it). What changes in days that were published before is
    recorded in ``ops.restatements``.

    Raises:
        PublishError: a mart was not built, or its columns changed in a way that is no widening.
        WarehouseError: the transaction failed; nothing has changed.
    """
    client = bigquery_client(settings)
    run_ = _Run(settings, start_date, end_date, as_of_date, history)
    wanted = [mart for mart in marts or published_marts(settings.dbt_manifest) if run_.days_of(mart)]
    for dataset in {mart.dataset(settings) for mart in wanted}:
        ensure_dataset(client, settings, dataset)
    ensure_ops_tables(client, settings)
    columns = {mart.name: _prepare(client, settings, mart, end_date) for mart in wanted}
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            publication = _publish_once(client, run_, wanted, columns)
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


@dataclass(frozen=True)
class _Run:
    """The run that publishes."""

    settings: Settings
    start_date: date
    end_date: date
    as_of_date: date
    history: HistoryWindow | None

    def days_of(self, mart: PublishedMart) -> list[date]:
        return mart.days(self.settings, self.start_date, self.end_date, self.as_of_date, self.history)

    def audited(self, mart: PublishedMart) -> str:
        return f"{self.settings.project_id}.{self.settings.audit_dataset(self.end_date)}.{mart.name}"

    def published(self, mart: PublishedMart) -> str:
        return f"{self.settings.project_id}.{mart.dataset(self.settings)}.{mart.name}"


def _prepare(client: bigquery.Client, settings: Settings, mart: PublishedMart, end_date: date) -> list[str]:
    """Create or widen the published table after the audited one; returns the columns to copy."""
    audited = get_table(client, f"{settings.project_id}.{settings.audit_dataset(end_date)}.{mart.name}")
    if audited is None:
        raise PublishError(
            f"{mart.name} was not built for {end_date}: no table in {settings.audit_dataset(end_date)}"
        )
    try:
        ensure_table(
            client,
            f"{settings.project_id}.{mart.dataset(settings)}.{mart.name}",
            audited.schema,
            partition_field=mart.day_column or None,
            clustering=audited.clustering_fields,
            description=mart.description or audited.description,
        )
    except WarehouseError as error:
        raise PublishError(str(error)) from error
    return [field.name for field in audited.schema]


def _publish_once(
    client: bigquery.Client, run_: _Run, marts: list[PublishedMart], columns: dict[str, list[str]]
) -> Publication:
    settings = run_.settings
    earlier = _earlier_publications(client, run_)
    newer = {key for key, is_newer in earlier.items() if is_newer}
    publication_id = str(uuid.uuid4())
    now = datetime.now(UTC)
    statements = []
    skipped = 0
    for mart in marts:
        every = run_.days_of(mart)
        days = [day for day in every if (mart.name, day) not in newer]
        skipped += len(every) - len(days)
        if not days:
            continue
        audited, published = f"`{run_.audited(mart)}`", f"`{run_.published(mart)}`"
        seen = [day for day in days if (mart.name, day) in earlier]
        if seen and mart.kind == "days":
            statements.append(
                record_restatements(
                    settings,
                    mart,
                    seen,
                    audited=audited,
                    published=published,
                    end_date=run_.end_date,
                    as_of_date=run_.as_of_date,
                    publication_id=publication_id,
                    now=now,
                )
            )
        names = ", ".join(f"`{column}`" for column in columns[mart.name])
        statements += [
            f"delete from {published} where {mart.filter(days)}",
            f"insert into {published} ({names}) select {names} from {audited} where {mart.filter(days)}",
            _record(run_, mart, days, publication_id, now),
        ]
    if not statements:
        return Publication(publication_id, run_.start_date, run_.end_date, run_.as_of_date, {}, skipped)
    guard = (
        f"select if((select count(*) from ({_earlier_query(run_)}) where is_newer) <> {len(newer)}, "
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
        f"where run_date = date '{run_.end_date}' and publication_id = '{publication_id}'",
        retry=None,
    )
    rows = {(row.mart, row.partition_date): int(row.row_count) for row in counted}
    return Publication(publication_id, run_.start_date, run_.end_date, run_.as_of_date, rows, skipped)


def _earlier_query(run_: _Run) -> str:
    """(mart, partition_date, is_newer) of what was published before, newer when from later knowledge.

    Later knowledge of a mart's day are later arrivals; a partition of the history knows its own day's
    arrivals and no others, so there it is a later reading of raw.
    """
    newer = f"(raw_read_at is null and as_of_date > date '{run_.as_of_date}')"
    if run_.history is not None:
        newer += f" or raw_read_at > {literal(run_.history.raw_read_at)}"
    return (
        f"select mart, partition_date, logical_or({newer}) as is_newer "
        f"from `{ops_table(run_.settings, 'publications')}` "
        f"where run_date >= date '{run_.settings.history_start_date}' group by mart, partition_date"
    )


def _earlier_publications(client: bigquery.Client, run_: _Run) -> dict[tuple[str, date], bool]:
    rows = client.query_and_wait(_earlier_query(run_), retry=None)
    return {(row.mart, row.partition_date): bool(row.is_newer) for row in rows}


def _record(run_: _Run, mart: PublishedMart, days: list[date], publication_id: str, now: datetime) -> str:
    """A row in ops.publications for every day, also for a day without rows."""
    settings, history = run_.settings, run_.history
    read_at, version = literal(None), literal(None)
    if mart.kind == "arrivals" and history is not None:
        read_at, version = literal(history.raw_read_at), literal(history.code_version)
    final = "true"
    if mart.kind == "days":
        final = (
            f"date_add(day, interval {settings.restatement_days + mart.restates_days} day) <= "
            f"{literal(run_.as_of_date)}"
        )
    return (
        f"insert into `{ops_table(settings, 'publications')}` (run_date, publication_id, mart, "
        "partition_date, row_count, as_of_date, is_final, published_at, raw_read_at, code_version)\n"
        f"select {literal(run_.end_date)}, {literal(publication_id)}, {literal(mart.name)}, day, "
        f"coalesce(counted.row_count, 0), {literal(run_.as_of_date)}, {final}, {literal(now)}, "
        f"cast({read_at} as timestamp), cast({version} as string)\n"
        f"from unnest({mart.array(days)}) as day\n"
        f"left join (select {mart.day_expression} as counted_day, count(*) as row_count "
        f"from `{run_.audited(mart)}` where {mart.filter(days)} group by 1) as counted "
        "on counted.counted_day = day"
    )
