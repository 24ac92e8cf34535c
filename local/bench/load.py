"""How fast the loader writes, against the official client and against requests that were built beforehand.

Machines differ, so what counts are ratios between writers that took turns in one run, and CPU time of this
process a row. Writers and emulator have a core each, where there are two: the ceiling is what the store can
take, not what is left of a client's core. The rows are made up: their sizes are those of the demo's segments.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from google.cloud.bigtable.data import RowMutationEntry, SetCell, Table

from loaders.bigtable.connection import open_table
from loaders.bigtable.load import load_generation
from loaders.bigtable.manifest import LoadMode
from loaders.bigtable.mutations import set_offers
from loaders.bigtable.rows import encode_rows, tail
from loaders.bigtable.scan import KeyRange, key_range
from loaders.bigtable.source import Staged
from loaders.bigtable.table import ensure_table
from loaders.bigtable.writer import Entries, RowWriter
from local.bench.bigtable import empty_bigtable
from local.bench.cores import pinned, two_cores
from local.segment_rows import MadeUpSegments
from segue.settings import Settings
from segue_client.bigtable import schema
from segue_client.bigtable.row_key import row_key

DAY: Final = date(2026, 1, 31)
_WRITERS: Final = ("bulk_mutate_rows", "prebuilt bytes", "segue")
_BATCH_ROWS: Final = 20_000


@dataclass(frozen=True)
class Writer:
    """One way to write; the figures are medians over the rounds."""

    name: str
    rows: int
    rows_per_second: float
    client_cpu_us_per_row: float


@dataclass(frozen=True)
class Memory:
    """A whole load (write, verify, publish) in a process of its own."""

    rows: int
    peak_mb: float
    seconds: float
    client_cpu_us_per_row: float


@dataclass(frozen=True)
class LoadReport:
    """The figures that the aims are about, and what they are made of."""

    rows: int
    payload_bytes: float
    rounds: int
    writers: list[Writer]
    times_bulk_mutate_rows: float
    share_of_ceiling: float
    client_cpu_us_per_row: float
    memory: list[Memory]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def bench_load(
    settings: Settings, rows: int = 200_000, rounds: int = 9, memory_rows: Sequence[int] = ()
) -> LoadReport:
    """Measures on an emulator of its own; ``memory_rows`` are the sizes of whole loads to measure."""
    store, client = two_cores() or (None, None)
    with empty_bigtable(settings, store, collects_rarely=True) as world, pinned(client):
        ensure_table(world)
        with open_table(world) as table:
            report = _writers(table, rows, rounds)
    memory = [_whole_load(size) for size in memory_rows]
    return LoadReport(**(report | {"memory": memory}))


def _writers(table: Table, rows: int, rounds: int) -> dict[str, Any]:
    batches = list(synthetic_rows(rows))
    few = batches[0].slice(0, max(1, rows // 20))
    speeds: dict[str, list[float]] = {name: [] for name in _WRITERS}
    cpu: dict[str, list[float]] = {name: [] for name in _WRITERS}
    for turn in range(rounds + 1):
        # every write adds a version to each row: the same work for the server, whoever writes
        official = _official_entries(few, 3 * turn + 1)
        prebuilt = [_entries(batch, 3 * turn + 2) for batch in batches]
        ways: dict[str, tuple[int, Callable[[], object]]] = {
            "bulk_mutate_rows": (len(few), partial(table.bulk_mutate_rows, official)),
            "prebuilt bytes": (
                rows,
                partial(_writer(table).write, prebuilt),
            ),
            "segue": (rows, partial(_write, table, batches, 3 * turn + 3)),
        }
        # by turns, so that none always finds the table as the same other one left it
        for name in _WRITERS if turn % 2 else reversed(_WRITERS):
            count, write = ways[name]
            started, used = time.perf_counter(), time.process_time()
            write()
            seconds, busy = time.perf_counter() - started, time.process_time() - used
            if turn > 0:  # the first round warms up
                speeds[name].append(count / seconds)
                cpu[name].append(busy / count * 1e6)
    writers = [
        Writer(
            name,
            len(few) if name == "bulk_mutate_rows" else rows,
            round(median(speeds[name])),
            round(median(cpu[name]), 2),
        )
        for name in _WRITERS
    ]

    def ratio(other: str) -> float:
        paired = zip(speeds["segue"], speeds[other], strict=True)
        return round(median(ours / theirs for ours, theirs in paired), 2)

    sizes = pc.binary_length(encode_rows(batches[0]).contents)
    return {
        "rows": rows,
        "payload_bytes": round(pc.mean(sizes).as_py() + len(tail(DAY, 1)), 1),
        "rounds": rounds,
        "writers": writers,
        "times_bulk_mutate_rows": ratio("bulk_mutate_rows"),
        "share_of_ceiling": ratio("prebuilt bytes"),
        "client_cpu_us_per_row": next(each.client_cpu_us_per_row for each in writers if each.name == "segue"),
    }


def _entries(batch: pa.RecordBatch, generation: int) -> Entries:
    rows = encode_rows(batch)
    return Entries(rows.keys, set_offers(rows.keys, rows.contents, generation, tail(DAY, generation)))


def _writer(table: Table) -> RowWriter:
    return RowWriter(table, deadline_at=time.monotonic() + 120)


def _write(table: Table, batches: Sequence[pa.RecordBatch], generation: int) -> None:
    RowWriter(table, deadline_at=time.monotonic() + 120).write(
        _entries(batch, generation) for batch in batches
    )


def _official_entries(batch: pa.RecordBatch, generation: int) -> list[RowMutationEntry]:
    """The same cells for the official client, made before the clock starts."""
    rows = encode_rows(batch)
    cells = [content + tail(DAY, generation) for content in rows.contents.to_pylist()]
    return [
        RowMutationEntry(
            key,
            SetCell(schema.OFFERS_FAMILY, schema.OFFERS_QUALIFIER, cell, timestamp_micros=generation * 1_000),
        )
        for key, cell in zip(rows.keys.to_pylist(), cells, strict=True)
    ]


def synthetic_rows(rows: int) -> Iterator[pa.RecordBatch]:
    """Segments with one or two offers each, in batches."""
    rng = np.random.default_rng(7)
    for start in range(0, rows, _BATCH_ROWS):
        yield _batch(range(start, min(start + _BATCH_ROWS, rows)), rng)


def _batch(numbers: range, rng: np.random.Generator) -> pa.RecordBatch:
    size = len(numbers)
    ids = [f"account-{number:09d}" for number in numbers]
    counts = 1 + (rng.random(size) < 0.3)
    offers = int(counts.sum())

    def choice(values: list[str | None]) -> pa.Array:
        return pa.array(values, pa.string()).take(pa.array(rng.integers(0, len(values), offers)))

    until = pa.array(np.full(offers, 1_770_336_000_000_000), pa.timestamp("us", tz="UTC"))
    offer = pa.StructArray.from_arrays(
        [
            choice(["trial-30-days", "winback-3-months", "annual-switch"]),
            choice(["trial_for_engaged_free", "winback_lapsed", "annual_switch"]),
            pa.array(np.ones(offers, np.int64)),
            pa.array(rng.integers(1, 5, offers) * 10),
            pa.array(rng.random(offers).round(4)),
            choice(["ENGAGED_FREE_LISTENER", "LAPSED_PAYER", "LOYAL_MONTHLY_PAYER"]),
            choice([None, None, "exp-1"]),
            choice([None, None, "b"]),
            pa.array(rng.random(offers) < 0.05),
            choice(["trial-30-days", "winback-3-months", "annual-switch"]),
            pa.array(np.ones(offers, np.int64)),
            until,
            choice(["de-DE", "sv-SE", "en-US"]),
        ],
        names=[
            "offer_id", "rule_id", "rule_version", "priority", "score", "reason_code", "experiment_id",
            "variant", "is_control", "content_id", "content_version", "valid_until_at",
            "content_locale",
        ],
    )  # fmt: skip
    offsets = np.zeros(size + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    return pa.RecordBatch.from_pydict(
        {
            "row_key": pa.array([row_key(each).decode() for each in ids]),
            "account_id": pa.array(ids),
            "offers": pa.ListArray.from_arrays(pa.array(offsets), offer),
            "held_back": pa.nulls(size, pa.list_(offer.type)),
            "suppressed_reason": pa.nulls(size, pa.string()),
            "valid_until_at": until.slice(0, size),
            "market": pa.array(["DE", "SE", "JP", "US"]).take(pa.array(rng.integers(0, 4, size))),
        }
    )


class SyntheticSource(MadeUpSegments):
    """As many made-up segments as asked for, staged by shard in files: memory holds a batch."""

    def __init__(self, rows: int, shards: int, folder: Path) -> None:
        """Writes the files, before any clock starts: with a warehouse, staging is BigQuery's work."""
        self._rows = rows
        ranges = [key_range(shard, shards) for shard in range(shards)]
        self._files = {each.first: folder / f"{each.first.decode()}.arrow" for each in ranges}
        with ExitStack() as stack:
            writers: list[Any] = []
            for batch in synthetic_rows(rows):
                if not writers:
                    files = [str(self._files[each.first]) for each in ranges]
                    writers = [stack.enter_context(pa.ipc.new_file(file, batch.schema)) for file in files]
                keys = batch.column("row_key")
                for writer, each in zip(writers, ranges, strict=True):
                    first, after = each.first.decode(), each.after.decode()
                    inside = pc.and_(pc.greater_equal(keys, first), pc.less(keys, after))
                    writer.write_batch(batch.filter(inside))

    def fingerprint(self, _segment_date: date) -> str:
        return str(self._rows)

    def stage(self, _segment_date: date, _generation: int) -> Staged:
        return Staged("synthetic", self._rows)

    def is_staged(self, name: str) -> bool:
        return name == "synthetic"

    def rows(self, _name: str, accounts: KeyRange) -> Iterator[pa.RecordBatch]:
        with pa.OSFile(str(self._files[accounts.first])) as file:
            reader = pa.ipc.open_file(file)
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)


def _whole_load(rows: int) -> Memory:
    """In a process of its own, whose peak memory is that of the load."""
    done = subprocess.run(
        [sys.executable, "-m", "local.bench.load", str(rows)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"a load of {rows} rows failed:\n{done.stderr[-2000:]}")
    return Memory(**json.loads(done.stdout.splitlines()[-1]))


def main(rows: int) -> None:
    """Loads ``rows`` made-up rows whole and prints a ``Memory`` as JSON."""
    from segue.settings import get_settings

    with empty_bigtable(get_settings()) as world, TemporaryDirectory() as folder:
        shards = math.ceil(rows / world.bigtable_rows_per_shard)
        source = SyntheticSource(rows, shards, Path(folder))
        started, used = time.perf_counter(), time.process_time()
        load_generation(world, DAY, source, LoadMode.DELTA)
        seconds, busy = time.perf_counter() - started, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(asdict(Memory(rows, round(peak, 1), round(seconds, 1), round(busy / rows * 1e6, 2)))))


if __name__ == "__main__":
    main(int(sys.argv[1]))
