"""Publication: all marts of a run become visible to analysts in one transaction.

A run publishes the days it built, and of those what the gate judged and let through: the transaction itself
looks. A partition that another run has already published from newer knowledge (a
later ``as_of_date``) is left alone, so that backfills may overlap and run backwards and still end the same.
Whoever was erased since the run began to read raw is taken out of what it built before it is published.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import structlog
from google.cloud import bigquery

from loaders.warehouse.client import Warehouse, WarehouseError, warehouse_of
from loaders.warehouse.ledger_time import ledger_time
from loaders.warehouse.ops import OF_MARTS, ensure_ops_tables, literal, ops_table, this_run
from runs.erased import TakenOut, erased_count, take_out
from runs.published import PublishedMart, PublishError, published_marts
from runs.restated_movements import (
    CLOSES,
    MOVEMENTS,
    NOT_RESTATED,
    Version,
    following_days,
    make_follow,
    published_version,
    restated_rows,
    told,
)
from runs.restatements import record_restatements, restated
from runs.verdict import NotBuiltError, difference, refuse_unjudged, unjudged_count
from segue.settings import Settings
from segue.window import RunWindow

log = structlog.get_logger(__name__)

_NEWER = "newer knowledge was published meanwhile"
_ERASED = "accounts were erased meanwhile"
_UNJUDGED = "this is not what the gate has passed"
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
    rows_erased: int = 0
    """Left out because their accounts were erased while the run was under way."""
    is_repeated: bool = False
    """It had been made before, and was only looked up."""

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
        erased = f", {self.rows_erased:,} rows of erased accounts left out" if self.rows_erased else ""
        repeated = ", published before" if self.is_repeated else ""
        return (
            f"{sum(self.rows.values()):,} rows of {marts} marts for {self.start_date}..{self.end_date}, "
            f"known as of {self.as_of_date}{newer}{erased}{repeated}"
        )


def publish(
    settings: Settings, window: RunWindow, marts: Iterable[PublishedMart] | None = None
) -> Publication:
    """Move what an attempt has built from audit to published, in one transaction.

    Of every mart the partitions [start_date − restated days, end_date], and of the subscription history those
    that the window says were built, less the rows of accounts that were erased since the run began to read
    raw. What changes in days that were published before is recorded in ``ops.restatements``. An attempt that
    has been published is left as it is: its publication is returned again.

    Raises:
        NotBuiltError: a mart was not built, or the audit dataset is gone.
        UnjudgedError: the gate has refused the attempt, has not judged it, or has judged other rows.
        PublishError: the columns of a mart changed in a way that is no widening.
        WarehouseError: the transaction failed; nothing has changed.
    """
    warehouse = warehouse_of(settings)
    ensure_ops_tables(warehouse)
    recorded = _recorded(warehouse, window)
    if recorded is not None:
        return recorded
    refuse_unjudged(warehouse, window)
    wanted = marts_of(settings, window, marts)
    for dataset in {mart.dataset(settings) for mart in wanted}:
        warehouse.ensure_dataset(dataset)
    columns = {mart.name: _prepare(warehouse, mart, window) for mart in wanted}
    taken_out, attempt = TakenOut(), 1
    while True:
        try:
            publication, erased = _publish_once(warehouse, window, wanted, columns, taken_out)
            # Who was erased after the transaction had begun is taken out by publishing again.
            if erased == taken_out.subjects:
                log.info("published", detail=publication.summary())
                return publication
        except WarehouseError as error:
            if _UNJUDGED in str(error):
                raise difference(warehouse, window, wanted) from error
            if _NEWER in str(error) and attempt < _ATTEMPTS:
                attempt += 1
                log.info("publication_repeated", reason=_NEWER)
                continue
            if _ERASED not in str(error):
                raise
        taken_out = take_out(warehouse, window, wanted, columns, taken_out)


def _recorded(warehouse: Warehouse, window: RunWindow) -> Publication | None:
    """The attempt's publication, if nothing is left to do about it.

    While what it was built in is there, a publication may have been cut off before it looked who was erased
    during its transaction: it is made again then.
    """
    erased = erased_count(warehouse, window)
    query = _recorded_query(warehouse.settings, window, "attempt", window.audit_dataset, erased)
    found = list(warehouse.run(f"{query} order by published_at desc"))
    if not found:
        return None
    last = [row for row in found if row.publication_id == found[0].publication_id]
    if last[0].erased != last[0].subjects_erased and warehouse.table_names(window.audit_dataset):
        return None
    return replace(_publication(window, last), is_repeated=True)


def marts_of(
    settings: Settings, window: RunWindow, marts: Iterable[PublishedMart] | None = None
) -> list[PublishedMart]:
    """The marts of which the run has built a partition."""
    return [mart for mart in marts or published_marts(settings.dbt_manifest) if mart.days(settings, window)]


def _prepare(warehouse: Warehouse, mart: PublishedMart, window: RunWindow) -> list[bigquery.SchemaField]:
    """Create or widen the published table after the audited one; returns the columns to copy."""
    settings = warehouse.settings
    audited = warehouse.find_table(warehouse.table(window.audit_dataset, mart.name))
    if audited is None:
        raise NotBuiltError(
            f"{mart.name} was not built for {window.end_date}: no table in {window.audit_dataset}"
        )
    try:
        warehouse.ensure_table(
            warehouse.table(mart.dataset(settings), mart.name),
            [mart.described(column) for column in audited.schema],
            partition_field=mart.day_column or None,
            clustering=audited.clustering_fields,
            description=mart.description or audited.description,
        )
    except WarehouseError as error:
        raise PublishError(str(error)) from error
    return list(audited.schema)


def _publish_once(
    warehouse: Warehouse,
    window: RunWindow,
    marts: list[PublishedMart],
    columns: dict[str, list[bigquery.SchemaField]],
    taken_out: TakenOut,
) -> tuple[Publication, int]:
    """The publication, and how many ids were erased that the run may have read, counted after it."""
    settings = warehouse.settings
    earlier = _earlier_publications(warehouse, window)
    newer = {key for key, is_newer in earlier.items() if is_newer}
    publication_id = str(uuid.uuid4())
    now = ledger_time(warehouse)
    restatements, moves, records = [], [], []
    published_now: dict[str, list[date]] = {}
    skipped = 0
    for mart in marts:
        every = mart.days(settings, window)
        days = [day for day in every if (mart.name, day) not in newer]
        skipped += len(every) - len(days)
        if not days:
            continue
        audited = window.table(mart.name)
        published = f"`{warehouse.table(mart.dataset(settings), mart.name)}`"
        seen = [day for day in days if (mart.name, day) in earlier]
        if seen and mart.kind == "days":
            restatements.append(
                restated(
                    mart,
                    seen,
                    audited=audited,
                    published=published,
                    window=window,
                    publication_id=publication_id,
                    now=now,
                    where=NOT_RESTATED if mart.name == MOVEMENTS else "true",
                )
            )
        names = ", ".join(f"`{column.name}`" for column in columns[mart.name])
        moves += [
            f"delete from {published} where {mart.filter(days)}",
            f"insert into {published} ({names}) select {names} from {audited} where {mart.filter(days)}",
        ]
        records.append(_published_days(settings, window, mart, days, publication_id, now, taken_out))
        published_now[mart.name] = days
    if not moves:
        nothing = Publication(
            publication_id, window.start_date, window.end_date, window.as_of_date, {}, skipped
        )
        return nothing, taken_out.subjects
    days = published_now.get(MOVEMENTS, [])
    before = {day for name, day in earlier if name == CLOSES}
    following = following_days(days, before) if CLOSES in published_now else []
    if following:
        stays = published_version(settings, before - {*days})
        built = Version(window.table(CLOSES), window.table(MOVEMENTS), {*days})
        missing = restated_rows(following, [built, stays])
        restatements.append(told(following, missing, stays.movements, window, publication_id, now))
        moves += make_follow(missing, stays.movements, [day for day in following if day not in days])
    erased = erased_count(warehouse, window)
    # Another run may have published the day before, or after, meanwhile: also a day that nobody had before.
    seen_days = newer | {(CLOSES, day) for day in before}
    guard = (
        f"select if((select count(*) from ({_earlier_query(settings, window)}) "
        f"where is_newer or mart = {literal(CLOSES)}) <> {len(seen_days)} "
        f"or {_is_overtaken(settings, now)}, error('{_NEWER}'), "
        f"if({erased} <> {taken_out.subjects}, error('{_ERASED}'), "
        f"if({unjudged_count(settings, window, marts)} > 0, error('{_UNJUDGED}'), 1)))"
    )
    # Few statements: BigQuery takes a second for each of a transaction's.
    statements = [
        guard,
        *([record_restatements(settings, restatements)] if restatements else []),
        *moves,
        f"insert into `{ops_table(settings, 'publications')}` (run_date, publication_id, mart, "
        "partition_date, row_count, as_of_date, is_final, published_at, raw_read_at, code_version, "
        "rows_erased, subjects_erased, attempt, project_digest, override_reason, run_id)\n"
        + "\nunion all\n".join(records),
    ]
    warehouse.run(";\n".join(["begin transaction", *statements, "commit transaction"]) + ";")
    query = _recorded_query(settings, window, "publication_id", publication_id, erased)
    found = list(warehouse.run(query))
    return replace(_publication(window, found), skipped=skipped), int(found[0].erased)


def _recorded_query(settings: Settings, window: RunWindow, column: str, value: str, erased: str) -> str:
    """The recorded rows of a run of the same end date, and how many ids are ``erased`` by now."""
    return (
        "select publication_id, mart, partition_date, row_count, rows_erased, subjects_erased, "
        f"{erased} as erased from `{ops_table(settings, 'publications')}` "
        f"where run_date = {literal(window.end_date)} and {column} = {literal(value)}"
    )


def _publication(window: RunWindow, recorded: Sequence[Any]) -> Publication:
    return Publication(
        recorded[0].publication_id,
        window.start_date,
        window.end_date,
        window.as_of_date,
        {(row.mart, row.partition_date): int(row.row_count) for row in recorded},
        skipped=0,
        rows_erased=sum(int(row.rows_erased) for row in recorded),
    )


def _earlier_query(settings: Settings, window: RunWindow) -> str:
    """(mart, partition_date, is_newer) of what was published before, newer when from later knowledge.

    Later knowledge of a mart's day are later arrivals; a partition of the history knows its own day's
    arrivals and no others, so there it is a later reading of raw.
    """
    newer = (
        f"({OF_MARTS} and as_of_date > date '{window.as_of_date}') "
        f"or (not ({OF_MARTS}) and raw_read_at > {literal(window.history.raw_read_at)})"
    )
    return (
        f"select mart, partition_date, logical_or({newer}) as is_newer "
        f"from `{ops_table(settings, 'publications')}` "
        f"where run_date >= date '{settings.history_start_date}' group by mart, partition_date"
    )


def _is_overtaken(settings: Settings, now: datetime) -> str:
    """A condition: another publication has a later moment than this one, and would count as the last."""
    return (
        f"(select coalesce(max(published_at) >= {literal(now)}, false) "
        f"from `{ops_table(settings, 'publications')}` "
        f"where run_date >= {literal(settings.history_start_date)})"
    )


def _earlier_publications(warehouse: Warehouse, window: RunWindow) -> dict[tuple[str, date], bool]:
    rows = warehouse.run(_earlier_query(warehouse.settings, window))
    return {(row.mart, row.partition_date): bool(row.is_newer) for row in rows}


def _published_days(
    settings: Settings,
    window: RunWindow,
    mart: PublishedMart,
    days: list[date],
    publication_id: str,
    now: datetime,
    taken_out: TakenOut,
) -> str:
    """The query of a row for ops.publications for every day, also for a day without rows."""
    history = window.history
    version = literal(history.code_version if mart.kind == "arrivals" else None)
    final = "true"
    if mart.kind == "days" and not mart.as_known_then:
        final = (
            f"date_add(day, interval {settings.restatement_days + mart.restates_days} day) <= "
            f"{literal(window.as_of_date)}"
        )
    erased = taken_out.rows_of(mart)
    return (
        f"select {literal(window.end_date)}, {literal(publication_id)}, {literal(mart.name)}, day, "
        f"coalesce(counted.row_count, 0), {literal(window.as_of_date)}, {final}, {literal(now)}, "
        f"{literal(history.raw_read_at)}, cast({version} as string), "
        f"{'coalesce(erased.rows_erased, 0)' if erased else 0}, {taken_out.subjects}, "
        f"{literal(window.audit_dataset)}, "
        f"{literal(window.project_digest)}, cast({literal(window.override_reason)} as string), {this_run()}\n"
        f"from unnest({mart.array(days)}) as day\n"
        f"left join (select {mart.day_expression} as counted_day, count(*) as row_count "
        f"from {window.table(mart.name)} where {mart.filter(days)} group by 1) as counted "
        "on counted.counted_day = day"
        + (f" left join ({erased}) as erased on erased.erased_day = day" if erased else "")
    )
