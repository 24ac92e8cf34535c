"""Scratch: accepted rows as Parquet beside the landing files, from which BigQuery load jobs read them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import bigquery

from loaders.landing.files import landing_root
from loaders.warehouse.client import LoadJob, Warehouse

SCRATCH_FOLDER = "_scratch"
"""Beside the landing files; landing ignores names that begin so."""
_KEPT = timedelta(days=1)


class Scratch:
    """A folder and tables of one landing; ``close`` removes them, a killed run's are removed later."""

    def __init__(self, warehouse: Warehouse) -> None:
        settings = warehouse.settings
        self._settings = settings
        self._warehouse = warehouse
        self._id = uuid.uuid4().hex
        self._filesystem, self._root = landing_root(settings)
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._tables: list[str] = []
        self._jobs: dict[str, LoadJob] = {}
        self._dataset = f"{settings.raw_dataset}_scratch"
        self._remove_leftovers()
        warehouse.ensure_dataset(self._dataset)

    def write(self, name: str, rows: pa.Table) -> None:
        """Append rows to the Parquet file of ``name``."""
        if name not in self._writers:
            folder = f"{self._root}/{SCRATCH_FOLDER}/{self._id}/{name}"
            self._filesystem.create_dir(folder)
            self._writers[name] = pq.ParquetWriter(
                f"{folder}/rows.parquet", rows.schema, filesystem=self._filesystem
            )
        self._writers[name].write_table(rows)

    def load(self, name: str, schema: Sequence[bigquery.SchemaField]) -> str:
        """Begin to load what was written for ``name`` into a scratch table; returns the table's full name.

        Load jobs run side by side: ``wait`` says when the tables are filled.

        Raises:
            WarehouseError: the load job was refused.
        """
        self._writers.pop(name).close()
        table_id = f"{self._settings.project_id}.{self._dataset}.{name}_{self._id}"
        self._tables.append(table_id)
        # A run that is killed leaves its table behind: BigQuery itself removes it.
        self._jobs[name] = self._warehouse.begin_load(
            f"{self._settings.landing_uri}/{SCRATCH_FOLDER}/{self._id}/{name}/*.parquet",
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
        return name in self._writers

    def close(self) -> None:
        """Remove the folder and the tables."""
        for writer in self._writers.values():
            writer.close()
        for table in self._tables:
            with suppress(GoogleAPICallError):
                self._warehouse.drop_table(table)
        with suppress(OSError):
            self._filesystem.delete_dir(f"{self._root}/{SCRATCH_FOLDER}/{self._id}")

    def _remove_leftovers(self) -> None:
        selector = pafs.FileSelector(f"{self._root}/{SCRATCH_FOLDER}", allow_not_found=True, recursive=True)
        long_ago = datetime.now(UTC) - _KEPT
        for info in self._filesystem.get_file_info(selector):
            if info.is_file and info.mtime and info.mtime < long_ago:
                with suppress(OSError):
                    self._filesystem.delete_file(info.path)
