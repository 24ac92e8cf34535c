"""A long range of days built again in chunks: what may be, how far back, and what that takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from loaders.landing.arrivals import Arrivals
from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.ops import OF_MARTS, ensure_ops_tables, literal, ops_table
from runs.dbt import ensure_parsed
from runs.published import PublishedMart, published_marts
from runs.waiting import arrivals_awaited
from segue.settings import Settings
from segue.window import ImpossibleDaysError, RunWindow, refuse_impossible_days

_NAMED: Final = 3
"""So many of the files that have not come are named."""


@dataclass(frozen=True)
class BackfillLimit:
    """How far back something may be built again, and why no further; ``first_day`` is None where never."""

    what: str
    reach: str
    why: str
    first_day: Callable[[Settings, Arrivals], date | None]


def _history_start(settings: Settings, _: Arrivals) -> date:
    return settings.history_start_date


def _first_arrival(settings: Settings, arrivals: Arrivals) -> date:
    return max(arrivals.first_day or settings.history_start_date, settings.history_start_date)


def _never(_settings: Settings, _arrivals: Arrivals) -> None:
    return None


LIMITS: Final[Mapping[str, BackfillLimit]] = {
    "days": BackfillLimit(
        "marts of which each day knows all",
        "`SEGUE_HISTORY_START_DATE`",
        "no model reads arrivals before it; days before the first arrival are built from what that tells",
        _history_start,
    ),
    "known_then": BackfillLimit(
        "marts of which a day is as it was known then",
        "the first arrival day",
        "before it nothing was known, so that there is nothing to say",
        _first_arrival,
    ),
    "raw": BackfillLimit(
        "landed rows, quarantine and ledger",
        "the first arrival day",
        "a day is landed from its files; where they are no longer in the landing, it stays as it landed",
        _first_arrival,
    ),
    "arrivals": BackfillLimit(
        "the history that runs read (`history`)",
        "the first arrival day",
        "a run builds what it lacks by itself; it follows raw and the code, and is never asked for",
        _first_arrival,
    ),
    "whole": BackfillLimit(
        "tables that are published whole (`dim_…`)",
        "never",
        "they have no days; every run builds them as they are known by its last day",
        _never,
    ),
    "online": BackfillLimit(
        "offers in Bigtable",
        "never",
        "readers see the newest published day; an older one is never loaded over it",
        _never,
    ),
    "content": BackfillLimit(
        "content of the CMS",
        "never",
        "a content system tells what is there now; what it held on an earlier day nobody can ask",
        _never,
    ),
    "records": BackfillLimit(
        "verdicts, publications, incidents, erasures (`ops`)",
        "never",
        "they say what has happened",
        _never,
    ),
}
"""What may be built again, by name; docs/operate.md has the same table."""


def limit_of(mart: PublishedMart) -> BackfillLimit:
    """The limit that holds for a published mart."""
    return LIMITS["known_then" if mart.as_known_then else mart.kind]


@dataclass(frozen=True)
class Chunk:
    """Days that one dbt run builds, and one transaction publishes."""

    start_date: date
    end_date: date

    def to_dict(self) -> dict[str, str]:
        """For the task of another worker."""
        return {"start_date": self.start_date.isoformat(), "end_date": self.end_date.isoformat()}


@dataclass(frozen=True)
class RangePlan:
    """What a range would do: its chunks, the partitions by mart, and the bytes that are read and replaced.

    ``published_before`` counts the partitions that replace one. Bytes are BigQuery's own estimate of one read
    of what a chunk may read (raw and history) and of what is replaced; the emulator says 0. ``limits`` are
    sentences: what is never built again, or not as far back as the range goes.
    """

    chunks: tuple[Chunk, ...]
    partitions: Mapping[str, int]
    published_before: int
    bytes_read: int
    bytes_replaced: int
    limits: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """For a log, before anything starts."""
        first, last = self.chunks[0].start_date, self.chunks[-1].end_date
        days = (last - first).days + 1
        spans = ", ".join(f"{each.start_date}..{each.end_date}" for each in self.chunks)
        partitions = sum(self.partitions.values())
        return [
            f"{days} days in {len(self.chunks)} chunks, each built and published by itself: {spans}",
            f"{partitions:,} partitions of {len(self.partitions)} marts, {self.published_before:,} of them "
            "published before: " + ", ".join(f"{mart} {count}" for mart, count in self.partitions.items()),
            f"reads {self.bytes_read:,} bytes of raw and history, were each read once; replaces "
            f"{self.bytes_replaced:,} bytes of marts",
            *self.limits,
        ]


def chunks_of(first: date, last: date, chunk_days: int) -> tuple[Chunk, ...]:
    """[first, last] in chunks of so many days, the oldest first; the last one may be shorter."""
    starts = [first + timedelta(days=n) for n in range(0, (last - first).days + 1, chunk_days)]
    return tuple(Chunk(start, min(start + timedelta(days=chunk_days - 1), last)) for start in starts)


def plan_range(settings: Settings, first: date, last: date, chunk_days: int) -> RangePlan:
    """What building [first, last] again would do; nothing is changed.

    Raises:
        ImpossibleDaysError: the days are in the wrong order, lie further back than the marts may be built, or
            have not arrived yet.
        WarehouseError: BigQuery did not answer.
    """
    refuse_impossible_days(settings, first, last)
    arrivals, now = Arrivals.read(settings), datetime.now(UTC)
    refuse_unknown_days(settings, arrivals, first, last, now.date())
    if awaited := arrivals_awaited(settings, RunWindow.whole(settings, last, last), now):
        raise ImpossibleDaysError(f"{last} has not arrived whole: {'; '.join(awaited[:_NAMED])}")
    ensure_parsed(settings)
    warehouse = warehouse_of(settings)
    chunks = chunks_of(first, last, chunk_days)
    published = published_marts(settings.dbt_manifest)
    marts = [mart for mart in published if mart.kind == "days"]
    days = {mart: _days(settings, mart, chunks) for mart in marts}
    return RangePlan(
        chunks=chunks,
        partitions={mart.name: len(of_mart) for mart, of_mart in days.items()},
        published_before=_published_before(warehouse, days),
        bytes_read=_bytes_read(warehouse, first - timedelta(days=settings.restatement_days), last),
        bytes_replaced=_bytes_replaced(warehouse, days),
        limits=tuple(_limits(settings, arrivals, published, first)),
    )


def tell_published(settings: Settings, first: date, last: date, asked_at: datetime) -> None:
    """Say that what was wrong of days of [first, last] is over, once each chunk of them is published.

    What was wrong of days before or after them as well is not. A run of ``daily_marts`` for more days than
    those of a chunk is ended by no chunk's own publication, but by all of them, if it had failed before the
    range was ``asked_at``.
    """
    from runs.incidents import recovered

    recovered(settings, "restated", "every chunk is published", lambda each: each.lies_within(first, last))
    recovered(
        settings,
        "published",
        f"{first}..{last} was published in chunks",
        lambda each: each.lies_within(first, last) and each.since < asked_at,
    )


def _limits(
    settings: Settings, arrivals: Arrivals, marts: Sequence[PublishedMart], first: date
) -> Iterator[str]:
    for limit in LIMITS.values():
        names = [mart.name for mart in marts if limit_of(mart) is limit]
        earliest = limit.first_day(settings, arrivals)
        if names and (earliest is None or earliest > first):
            reach = limit.reach if earliest is None else f"from {earliest} on"
            yield f"{limit.what} are built again {reach}: {limit.why} ({', '.join(names)})"


def refuse_unknown_days(settings: Settings, arrivals: Arrivals, first: date, last: date, today: date) -> None:
    """Say so when the days lie before what may be built, or after what has arrived; ``today`` is the UTC day.

    Raises:
        ImpossibleDaysError: they do.
    """
    limit = LIMITS["days"]
    earliest = limit.first_day(settings, arrivals)
    if earliest is not None and first < earliest:
        raise ImpossibleDaysError(f"{first} is before {limit.reach}, {earliest}: {limit.why}")
    if last >= today:
        # Content is there from its first hour on.
        raise ImpossibleDaysError(f"{last} is not over: what arrives on it is not yet known")
    arrived = [*arrivals.landed, *(day for days in arrivals.files.values() for day in days)]
    newest = max(arrived, default=None)
    if newest is None or last > newest:
        raise ImpossibleDaysError(f"{last} has not arrived: the newest arrival day is {newest or 'none'}")


def _days(settings: Settings, mart: PublishedMart, chunks: Sequence[Chunk]) -> list[date]:
    """The partitions that the chunks replace, each once."""
    days = {
        day
        for chunk in chunks
        for day in mart.days(settings, RunWindow.whole(settings, chunk.start_date, chunk.end_date))
    }
    return sorted(days)


def _published_before(warehouse: Warehouse, days: Mapping[PublishedMart, Sequence[date]]) -> int:
    ensure_ops_tables(warehouse, ["publications"])
    settings = warehouse.settings
    rows = warehouse.run(
        f"select distinct mart, partition_date from `{ops_table(settings, 'publications')}` "
        f"where run_date >= {literal(settings.history_start_date)} and {OF_MARTS}"
    )
    published = {(row.mart, row.partition_date) for row in rows}
    return sum((mart.name, day) in published for mart, of_mart in days.items() for day in of_mart)


def _bytes_replaced(warehouse: Warehouse, days: Mapping[PublishedMart, Sequence[date]]) -> int:
    dataset = warehouse.settings.marts_dataset
    there = warehouse.table_names(dataset)
    return sum(
        _bytes_of(warehouse, f"{dataset}.{mart.name}", mart.day_column, of_mart[0], of_mart[-1])
        for mart, of_mart in days.items()
        if mart.name in there and of_mart
    )


def _bytes_read(warehouse: Warehouse, first: date, last: date) -> int:
    settings = warehouse.settings
    return sum(
        _bytes_of(warehouse, f"{dataset}.{table.table_id}", table.time_partitioning.field, first, last)
        for dataset in (settings.raw_dataset, settings.history_dataset)
        for table in warehouse.tables(dataset)
        if table.time_partitioning
    )


def _bytes_of(warehouse: Warehouse, table: str, day_column: str, first: date, last: date) -> int:
    """What BigQuery would read of these partitions; asking costs nothing."""
    asked = f"select * from `{table}` where {day_column} between {literal(first)} and {literal(last)}"
    return int(warehouse.dry_run(asked).total_bytes_processed or 0)
