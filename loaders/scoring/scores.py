"""Scores of accounts as files of the landing contract ``scores``: predicted and written batch by batch."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import IO, TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.landing.completeness import end_of
from loaders.landing.contracts import Score
from loaders.landing.listing import OWN_FILES
from loaders.landing.schema import arrow_schema
from loaders.objects.store import ObjectStore, StoredObject
from segue.errors import SegueError

if TYPE_CHECKING:
    from scoring.model import Model

POINTS: Final = 10_000
ROWS_A_FILE: Final = 5_000_000
"""Landing reads files side by side: a day of a large company is several."""
ROWS_A_BATCH: Final = 65_536
NOBODY: Final = "segue:nobody"
"""In the place of an account, in the one row of a scoring of nobody: a file without rows would leave no trace
in raw, and who was scored before would keep the score."""
SHADOW: Final = "__shadow"
"""Ends the name under which a candidate's scores land: no rule asks for it."""


class ScoringError(SegueError):
    """A model cannot score a day's accounts; they keep the scores that they had."""

    code = "scoring"
    hint = "earlier scores count within their age; `segue models rollback` brings back the model before"


@dataclass(frozen=True)
class DayOfScores:
    """Which scores: of which model's version, for which day."""

    model: str
    version: int
    day: date

    @property
    def files(self) -> str:
        """What the names of its files in the landing begin with; a later try replaces them."""
        return f"{Score.table}/{self.day}/{OWN_FILES}{self.model}."


def instant(day: date) -> datetime:
    """When a day's scores were made, for all that reads them: its end knows them, and no earlier moment."""
    return end_of(day) - timedelta(microseconds=1)


def points_of(model: Model, rows: pa.RecordBatch | pa.Table, what: str) -> npt.NDArray[np.int64]:
    """Scores as the rules have them, in whole ten-thousandths, one per row.

    Raises:
        ScoringError: a score is no number in [0, 1].
        OutsideFileError: a feature is not there, or is not what the model has learned it to be.
    """
    # A run without a model need not load what models need.
    from scoring.columns import encoded
    from scoring.training_examples import as_learned

    table = pa.table(rows) if isinstance(rows, pa.RecordBatch) else rows
    scores = model.shares(encoded(as_learned(table), model.features, what))
    if not np.all((scores >= 0) & (scores <= 1)):
        raise ScoringError(f"{what}: a score is no number between 0 and 1")
    return np.rint(scores * POINTS).astype(np.int64)


def score_batches(
    model: Model, batches: Iterable[pa.RecordBatch], what: str, threads: int
) -> Iterator[tuple[pa.Array, npt.NDArray[np.int64]]]:
    """Account ids with their points, in the batches' order; so many batches are predicted at a time.

    LightGBM predicts without Python's lock. Memory holds two batches a thread.

    Raises:
        ScoringError, OutsideFileError: as ``points_of``.
    """

    def predicted(batch: pa.RecordBatch) -> tuple[pa.Array, npt.NDArray[np.int64]]:
        return batch.column("account_id"), points_of(model, batch, what)

    smaller = (
        batch.slice(start, ROWS_A_BATCH)
        for batch in batches
        for start in range(0, batch.num_rows, ROWS_A_BATCH)
    )
    if threads < 2:
        yield from map(predicted, smaller)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[tuple[pa.Array, npt.NDArray[np.int64]]]] = deque()
        try:
            for batch in smaller:
                waiting.append(pool.submit(predicted, batch))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()


def write_scores(
    store: ObjectStore,
    scores: DayOfScores,
    predicted: Iterable[tuple[pa.Array, npt.NDArray[np.int64]]],
    expected: int,
    still_wanted: Callable[[], object] = lambda: None,
) -> int:
    """Put a day's scores into the landing, once all of them are there; returns in how many files.

    They count for the end of the day, whenever they are made. Where nobody is scored, that is what lands:
    earlier scores by the name are over. ``still_wanted`` is asked with every batch, and
    raises when nobody waits any more.

    Raises:
        ScoringError: they are not as many as ``expected``; nothing was written.
        ObjectStoreError: a file cannot be written.
    """
    with ExitStack() as files:
        parts: list[IO[bytes]] = []
        writer: pq.ParquetWriter | None = None
        rows = in_part = 0

        def next_part() -> pq.ParquetWriter:
            parts.append(files.enter_context(tempfile.TemporaryFile()))
            return pq.ParquetWriter(parts[-1], arrow_schema(Score))

        for accounts, points in predicted:
            still_wanted()
            if writer is None or in_part >= ROWS_A_FILE:
                if writer is not None:
                    writer.close()
                writer, in_part = next_part(), 0
            writer.write_table(_landing_rows(scores, accounts, points))
            rows, in_part = rows + len(points), in_part + len(points)
        if writer is None:
            writer = next_part()
            writer.write_table(_landing_rows(scores, pa.array([NOBODY]), np.zeros(1, np.int64)))
        writer.close()
        if rows != expected:
            raise ScoringError(f"{scores.model}: {rows} scores for {expected} accounts of {scores.day}")
        before = own_files(store, scores)
        names = [f"{scores.files}{number:04d}.parquet" for number in range(len(parts))]
        for name, part in zip(names, parts, strict=True):
            store.write(name, part)
        for each in before:
            if each.name not in names:
                store.delete(each.name)
    return len(names)


def own_files(store: ObjectStore, scores: DayOfScores) -> list[StoredObject]:
    """The files that hold the scores.

    Raises:
        ObjectStoreError: the landing cannot be listed.
    """
    found = store.objects(f"{Score.table}/{scores.day}/", start=scores.files)
    return [each for each in found if each.name.startswith(scores.files)]


def rows_of(store: ObjectStore, scores: DayOfScores) -> int:
    """How many scores the files hold, as their footers say.

    Raises:
        ObjectStoreError: a file cannot be read.
    """
    rows = 0
    for each in own_files(store, scores):
        with store.open(each) as source:
            rows += pq.read_metadata(source).num_rows
    return rows


def take_back(
    store: ObjectStore, day: date, scored: Collection[DayOfScores], landed: Collection[str]
) -> None:
    """Remove what models that failed, and tries that died, have put among the day's scores: it would land.

    Of the platform's own files there stay those of ``scored``, and those of the names that have landed.

    Raises:
        ObjectStoreError: one cannot be removed.
    """
    folder = f"{Score.table}/{day}/"
    whole = tuple(each.files for each in scored)
    for each in store.objects(folder, start=f"{folder}{OWN_FILES}"):
        is_own = each.base_name.startswith(OWN_FILES)
        if is_own and not each.name.startswith(whole) and each.name not in landed:
            store.delete(each.name)


def _landing_rows(scores: DayOfScores, accounts: pa.Array, points: npt.NDArray[np.int64]) -> pa.Table:
    counts = len(points)
    at = pa.scalar(instant(scores.day), pa.timestamp("us", tz="UTC"))
    columns = {
        "model": pa.repeat(pa.scalar(scores.model), counts),
        "model_version": pa.repeat(pa.scalar(scores.version, pa.int64()), counts),
        "account_id": accounts,
        "score": _decimals(points, arrow_schema(Score).field("score").type),
        "scored_at": pa.repeat(at, counts),
        "ingested_at": pa.repeat(at, counts),
    }
    schema = arrow_schema(Score)
    return pa.table([columns[name].cast(schema.field(name).type) for name in schema.names], schema=schema)


def _decimals(points: npt.NDArray[np.int64], kind: pa.Decimal128Type) -> pa.Array:
    """Ten-thousandths as decimals of the kind's scale, without a Python object a row."""
    # A decimal is a whole number of 16 bytes, little end first; these are never negative.
    cells = np.zeros((len(points), 2), np.int64)
    cells[:, 0] = points * (10**kind.scale // POINTS)
    return pa.Array.from_buffers(kind, len(points), [None, pa.py_buffer(cells)])
