"""Scratch: accepted rows as Parquet beside the landing files, from which BigQuery load jobs read them.

They are collected in files without a name: what a killed landing had of anybody's rows is gone with it.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core.exceptions import GoogleAPIError
from google.cloud import bigquery

from loaders.landing.listing import landing_store
from loaders.objects.store import ABSENT, ObjectStore, ObjectStoreError
from loaders.warehouse.client import LoadJob, Warehouse

SCRATCH_FOLDER = "_scratch"
"""Beside the landing files; landing ignores names that begin so."""
_KEPT = timedelta(days=1)


@dataclass(frozen=True)
class _Rows:
    """A Parquet file that is being written."""

    file: IO[bytes]
    writer: pq.ParquetWriter


def part_of(landing: str, name: str, part: str) -> str:
    """The name of a landing's scratch object; a load job reads all parts of ``name``."""
    return f"{SCRATCH_FOLDER}/{landing}.{name}.{part}.parquet"


class ScratchRows:
    """Rows on their way to scratch objects, by name."""

    def __init__(self) -> None:
        self._rows: dict[str, _Rows] = {}

    def write(self, name: str, rows: pa.Table) -> None:
        """Append rows to the Parquet file of ``name``."""
        if name not in self._rows:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by put() or close()
            self._rows[name] = _Rows(file, pq.ParquetWriter(file, rows.schema))
        self._rows[name].writer.write_table(rows)

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    @property
    def names(self) -> list[str]:
        """Of what was written and not put yet."""
        return list(self._rows)

    def put(self, store: ObjectStore, name: str, stored: str) -> None:
        """Make the file of ``name`` an object.

        Raises:
            ObjectStoreError: it cannot be written.
        """
        rows = self._rows.pop(name)
        with rows.file:
            rows.writer.close()
            store.write(stored, rows.file, replacing=ABSENT)

    def close(self) -> None:
        """Forget what was not put."""
        for rows in self._rows.values():
            # On a full disk its end cannot be written either, and what comes after has to be removed as well.
            with suppress(OSError), rows.file:
                rows.writer.close()


class Scratch:
    """Objects and tables of one landing; ``close`` removes them, a killed run's are removed later."""

    def __init__(self, warehouse: Warehouse) -> None:
        settings = warehouse.settings
        self._settings = settings
        self._warehouse = warehouse
        self.id = uuid.uuid4().hex
        self.rows = ScratchRows()
        """What this process has read."""
        self._store = landing_store(settings)
        self._parts: set[str] = set()
        self._tables: list[str] = []
        self._jobs: dict[str, LoadJob] = {}
        self._dataset = f"{settings.raw_dataset}_scratch"
        self._remove_leftovers()
        warehouse.ensure_dataset(self._dataset)

    def load(self, name: str, schema: Sequence[bigquery.SchemaField]) -> str:
        """Begin to load what was written for ``name`` into a scratch table; returns the table's full name.

        Load jobs run side by side: ``wait`` says when the tables are filled.

        Raises:
            ObjectStoreError: the rows cannot be put where BigQuery reads them.
            WarehouseError: the load job was refused.
        """
        stored = part_of(self.id, name, "*" if name in self._parts else "0")
        if name in self.rows:
            self.rows.put(self._store, name, part_of(self.id, name, "0"))
        self._parts.discard(name)
        table_id = f"{self._settings.project_id}.{self._dataset}.{name}_{self.id}"
        self._tables.append(table_id)
        # A run that is killed leaves its table behind: BigQuery itself removes it.
        self._jobs[name] = self._warehouse.begin_load(
            f"{self._settings.landing_uri}/{stored}",
            table_id,
            schema,
            datetime.now(UTC) + _KEPT,
        )
        return table_id

    def wait(self) -> None:
        """Wait for every load that was begun.

        Raises:
            WarehouseError: a load job failed, or did not end within the configured deadline.
        """
        while self._jobs:
            _, job = self._jobs.popitem()
            self._warehouse.finish_load(job)

    def has(self, name: str) -> bool:
        """Whether rows were written for ``name`` and not loaded yet."""
        return name in self.rows or name in self._parts

    def add_part(self, name: str) -> None:
        """Another process has put an object of ``name``, as ``part_of`` calls it."""
        self._parts.add(name)

    def close(self) -> None:
        """Remove the objects and the tables."""
        self.rows.close()
        for table in self._tables:
            with suppress(GoogleAPIError):
                self._warehouse.drop_table(table)
        with suppress(ObjectStoreError):
            # Also of processes that did not end well.
            for left in self._store.objects(f"{SCRATCH_FOLDER}/", start=f"{SCRATCH_FOLDER}/{self.id}."):
                if left.base_name.startswith(f"{self.id}."):
                    self._store.delete(left.name)

    def _remove_leftovers(self) -> None:
        long_ago = datetime.now(UTC) - _KEPT
        for left in self._store.objects(f"{SCRATCH_FOLDER}/"):
            if left.updated_at < long_ago:
                with suppress(ObjectStoreError):
                    self._store.delete(left.name)
