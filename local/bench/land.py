"""How fast landing checks notifications: by columns and msgspec against pydantic row by row, in one run.

Machines differ, so what counts are ratios between readers that took turns on the same files. The
notifications are a generated company's, of all providers, repeated under ids of their own. Measured is what
landing does with a file: reading it, checking every row, and the accepted rows as Parquet; not the load job.
"""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from loaders.landing.check import split
from loaders.landing.contracts import CONTRACTS
from loaders.landing.errors import Refusal
from loaders.landing.files import LandingFile, read_batches
from loaders.landing.row import LandingRow
from local.bench.row_by_row import read_and_split
from local.company import CompanySpec, generate

DAY: Final = date(2026, 1, 31)
FORMATS: Final = ("parquet", "ndjson", "csv")
_NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
_TABLES: Final = ("google_play_notifications", "app_store_notifications", "stripe_events")
_COMPANY: Final = CompanySpec(accounts=6_000, days=60, seed=3, end_date=DAY)

_Read = Callable[[type[LandingRow], Path], Iterator[tuple[pa.Table, list[Refusal]]]]


@dataclass(frozen=True)
class Compared:
    """One format; the figures are medians over the rounds.

    Row by row, kinds and payers are told too, which 0c5a7a6 did not: ``times_row_by_row`` is not times that.
    """

    format: str
    rows: int
    bytes_per_row: float
    rows_per_second: float
    cpu_us_per_row: float
    row_by_row_cpu_us_per_row: float
    times_row_by_row: float


@dataclass(frozen=True)
class Memory:
    """One file checked in a process of its own."""

    format: str
    rows: int
    peak_mb: float
    seconds: float


@dataclass(frozen=True)
class LandReport:
    """The figures of one run."""

    refused_share: float
    formats: list[Compared]
    memory: list[Memory]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def bench_land(
    rows: int = 30_000, rounds: int = 5, refused_share: float = 0.001, memory_rows: Sequence[int] = ()
) -> LandReport:
    """Measure every format over ``rows`` notifications, a third of each provider's.

    ``refused_share`` of them are broken; ``memory_rows`` are the sizes of files to measure memory with.
    """
    with TemporaryDirectory() as folder:
        told = _told(Path(folder) / "company")
        formats = [_compare(Path(folder), told, each, rows, rounds, refused_share) for each in FORMATS]
        memory = [
            _alone(Path(folder), told, each, size, refused_share) for each in FORMATS for size in memory_rows
        ]
    return LandReport(refused_share, formats, memory)


def _told(folder: Path) -> dict[str, pa.Table]:
    generate(_COMPANY, folder)
    found = {}
    for table in _TABLES:
        files = sorted((folder / "landing" / table).glob("*/*.parquet"))
        notifications = pa.concat_tables([pq.read_table(file) for file in files])
        # Without the dirt that the company puts in: the bench breaks as many as it is asked to.
        batches = _columns(CONTRACTS[table], _at_noon(notifications), folder / "told.parquet")
        found[table] = pa.concat_tables([accepted for accepted, _ in batches]).select(
            notifications.column_names
        )
    return found


def _columns(contract: type[LandingRow], rows: pa.Table, path: Path) -> list[tuple[pa.Table, list[Refusal]]]:
    pq.write_table(rows, path)
    return list(_by_columns(contract, path))


def _at_noon(rows: pa.Table) -> pa.Table:
    for name in ("occurred_at", "ingested_at"):
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, name, pa.repeat(pa.scalar(_NOON, pa.timestamp("us", "UTC")), len(rows)))
    return rows


def _write(folder: Path, table: str, told: pa.Table, kind: str, rows: int, refused_share: float) -> Path:
    """A file of so many notifications, in pieces: the company's over and over, under ids of their own."""
    path = folder / f"{table}.{kind}"
    id_column = CONTRACTS[table].key[0]
    place = told.schema.get_field_index(id_column)
    broken_every = round(1 / refused_share) if refused_share else rows + 1
    with _Writer(path, kind, told.schema) as write:
        for start in range(0, rows, len(told)):
            piece = told.slice(0, min(len(told), rows - start))
            # An empty id breaks the contract.
            ids = [f"{n:012d}" if n % broken_every else "" for n in range(start + 1, start + 1 + len(piece))]
            write(piece.set_column(place, id_column, pa.array(ids)))
    return path


class _Writer:
    """Writes tables in one of the formats; payloads are objects in NDJSON, as receivers write them."""

    def __init__(self, path: Path, kind: str, schema: pa.Schema) -> None:
        self._kind, self._path, self._schema = kind, path, schema

    def __enter__(self) -> Callable[[pa.Table], None]:
        if self._kind == "parquet":
            self._parquet = pq.ParquetWriter(self._path, self._schema)
            return lambda table: self._parquet.write_table(table)
        self._text = self._path.open("w", newline="")
        if self._kind == "ndjson":
            return self._lines
        self._csv = csv.DictWriter(self._text, self._schema.names)
        self._csv.writeheader()
        return lambda table: self._csv.writerows(table.to_pylist())

    def _lines(self, table: pa.Table) -> None:
        for row in table.to_pylist():
            objects = {name: json.loads(row[name]) for name in ("payload", "purchase") if row.get(name)}
            self._text.write(json.dumps(row | objects, default=str) + "\n")

    def __exit__(self, *_: object) -> None:
        (self._parquet if self._kind == "parquet" else self._text).close()


def _file(path: Path) -> LandingFile:
    return LandingFile(path.name, pa.OSFile(str(path)))


def _by_columns(contract: type[LandingRow], path: Path) -> Iterator[tuple[pa.Table, list[Refusal]]]:
    for batch in read_batches(contract, _file(path)):
        yield split(contract, batch, DAY, path.name)


def _row_by_row(contract: type[LandingRow], path: Path) -> Iterator[tuple[pa.Table, list[Refusal]]]:
    yield from read_and_split(contract, _file(path), DAY)


def _land(read: _Read, contract: type[LandingRow], path: Path, out: Path) -> int:
    """Check a file and write what is accepted; returns the number of rows, accepted or refused."""
    writer = None
    rows = 0
    for accepted, refused in read(contract, path):
        rows += len(accepted) + len(refused)
        writer = writer or pq.ParquetWriter(out, accepted.schema)
        writer.write_table(accepted)
    if writer:
        writer.close()
    return rows


def _compare(
    folder: Path, told: dict[str, pa.Table], kind: str, rows: int, rounds: int, refused_share: float
) -> Compared:
    files = {
        table: _write(folder, table, told[table], kind, rows // len(_TABLES), refused_share)
        for table in _TABLES
    }
    size = sum(file.stat().st_size for file in files.values())
    ways: dict[str, _Read] = {"columns": _by_columns, "rows": _row_by_row}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    count = 0
    for turn in range(rounds + 1):
        for name in ways if turn % 2 else reversed(ways):
            started, used = time.perf_counter(), time.process_time()
            count = sum(
                _land(ways[name], CONTRACTS[table], file, folder / "accepted.parquet")
                for table, file in files.items()
            )
            if turn:  # the first round warms up
                seconds[name].append(time.perf_counter() - started)
                cpu[name].append((time.process_time() - used) / count * 1e6)
    paired = zip(seconds["rows"], seconds["columns"], strict=True)
    return Compared(
        kind,
        count,
        round(size / count, 1),
        round(count / median(seconds["columns"])),
        round(median(cpu["columns"]), 2),
        round(median(cpu["rows"]), 2),
        round(median(slow / fast for slow, fast in paired), 2),
    )


def _alone(folder: Path, told: dict[str, pa.Table], kind: str, rows: int, refused_share: float) -> Memory:
    """Stripe's notifications, the largest, in a process whose peak memory is that of the check."""
    file = _write(folder, "stripe_events", told["stripe_events"], kind, rows, refused_share)
    done = subprocess.run(
        [sys.executable, "-m", "local.bench.land", str(file)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"checking {rows} rows failed:\n{done.stderr[-2000:]}")
    return Memory(kind, **json.loads(done.stdout.splitlines()[-1]))


def main(path: Path) -> None:
    """Check one file of Stripe's events; prints rows, peak memory and seconds as JSON."""
    started = time.perf_counter()
    rows = _land(_by_columns, CONTRACTS["stripe_events"], path, path.with_suffix(".accepted"))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "peak_mb": round(peak, 1), "seconds": round(seconds, 1)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
