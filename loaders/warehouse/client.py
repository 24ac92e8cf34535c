"""The one way to BigQuery: who makes clients, and which calls are made.

Statements and loads are jobs (``jobs``). Every other call does the same when it is made again, so that it is
repeated while the service is busy or away.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

import grpc
import pyarrow as pa
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import Conflict, PreconditionFailed
from google.api_core.retry import Retry, if_exception_type
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryReadClient, types
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport
from google.cloud.exceptions import NotFound

from loaders.warehouse.connections import notice_dead_connections
from loaders.warehouse.jobs import UNREACHABLE, Jobs, WarehouseError, is_transient, reason
from loaders.warehouse.table_schema import schema_changes, sql_type
from segue.settings import Settings
from segue_client.keepalive import KEEPALIVE

QueryParameter: TypeAlias = bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter

__all__ = [
    "LoadJob",
    "QueryParameter",
    "Warehouse",
    "WarehouseError",
    "is_transient",
    "reason",
    "warehouse_of",
]

LoadJob: TypeAlias = bigquery.LoadJob
_CHANGED_MEANWHILE = Retry(
    predicate=if_exception_type(PreconditionFailed), initial=0.2, maximum=2, timeout=20
)


class Warehouse:
    """BigQuery as the settings describe it: one client, one deadline, one way to repeat and to label."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def client(self) -> bigquery.Client:
        """The stock client, for libraries that want one; with an endpoint, without credentials."""
        notice_dead_connections()
        settings = self.settings
        if settings.bigquery_endpoint:
            return bigquery.Client(
                project=settings.project_id,
                location=settings.location,
                credentials=AnonymousCredentials(),
                client_options=ClientOptions(api_endpoint=settings.bigquery_endpoint),
            )
        return bigquery.Client(project=settings.project_id, location=settings.location)

    @cached_property
    def _reader(self) -> BigQueryReadClient:
        # The stock client's own waits a day for rows that will never come.
        options = [("grpc.max_receive_message_length", -1), *KEEPALIVE]
        if endpoint := self.settings.bigquery_storage_endpoint:
            channel = grpc.insecure_channel(endpoint, options=options)
        else:
            channel = BigQueryReadGrpcTransport.create_channel(options=options)
        return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))

    @cached_property
    def _jobs(self) -> Jobs:
        return Jobs(self.settings, self.client)

    @cached_property
    def _again(self) -> dict[str, Any]:
        """How a call is made that does the same when it is made again."""
        return {"retry": self._jobs.call, "timeout": self.settings.bigquery_request_seconds}

    def step(self, name: str, subject: str) -> AbstractContextManager[None]:
        """All jobs within are a step's: its deadline, its label, and found again by a later try of the same.

        Raises:
            WarehouseError: a job of an earlier try neither ends nor can be cancelled.
        """
        return self._jobs.of_step(name, subject)

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """Each job within has so many seconds, and no more than its step gives it."""
        return self._jobs.within(seconds)

    def table(self, dataset: str, name: str) -> str:
        """Full name of a table of the project, unquoted."""
        return f"{self.settings.project_id}.{dataset}.{name}"

    def run(
        self, sql: str, *, parameters: Sequence[QueryParameter] = (), max_bytes_billed: int | None = None
    ) -> bigquery.table.RowIterator:
        """Execute a statement or a script and wait for its end; what a person typed comes as a parameter.

        It runs once, whatever becomes of requests and answers. Transaction conflicts are repeated a few times
        with growing, random waits; a script that failed has been rolled back, so repeating it is safe.
        BigQuery refuses, at no cost, what would be billed for more than ``max_bytes_billed``, by default
        ``settings.bigquery_max_bytes_billed``.

        Raises:
            WarehouseError: the statement failed, or was not done within the deadline and cancelled.
        """
        config = self._jobs.job_config(bigquery.QueryJobConfig(query_parameters=list(parameters)))
        config.maximum_bytes_billed = max_bytes_billed or self.settings.bigquery_max_bytes_billed

        def send(job_id: str) -> bigquery.QueryJob:
            timeout = self.settings.bigquery_request_seconds
            return self.client.query(
                sql, job_config=config, job_id=job_id, retry=None, job_retry=None, timeout=timeout
            )

        rows: bigquery.table.RowIterator = self._jobs.complete(send)
        return rows

    def dry_run(self, sql: str) -> bigquery.QueryJob:
        """What BigQuery says of a statement that it does not run: its kind, its columns, and the bytes that
        it would read, were nothing of it in a cache.

        Raises:
            WarehouseError: it is no valid statement, or BigQuery could not be reached.
        """
        config = self._jobs.job_config(bigquery.QueryJobConfig(dry_run=True, use_query_cache=False))
        try:
            return self.client.query(sql, job_config=config, job_retry=None, **self._again)
        except UNREACHABLE as error:
            raise WarehouseError(reason(error)) from error

    def fetch_arrow(self, sql: str) -> pa.Table:
        """The result of a query as an Arrow table, in pages over REST: for results, not for whole tables.

        Raises:
            WarehouseError: the query failed.
        """
        return self.run(sql).to_arrow(create_bqstorage_client=False)

    def read_arrow(
        self, table_id: str, columns: Sequence[str] = (), row_restriction: str = ""
    ) -> Iterator[pa.RecordBatch]:
        """Rows of a table as Arrow record batches over the Storage Read API, in bounded memory.

        ``table_id`` is project.dataset.table; ``row_restriction`` a filter in GoogleSQL, which prunes
        partitions. Forty times as fast as pages over REST.
        """
        project, dataset, table = table_id.split(".")
        session = self._reader.create_read_session(
            parent=f"projects/{self.settings.project_id}",
            read_session=types.ReadSession(
                table=f"projects/{project}/datasets/{dataset}/tables/{table}",
                data_format=types.DataFormat.ARROW,
                read_options=types.ReadSession.TableReadOptions(
                    selected_fields=list(columns), row_restriction=row_restriction
                ),
            ),
        )
        for stream in session.streams:
            for page in self._reader.read_rows(stream.name).rows(session).pages:
                yield page.to_arrow()

    def append_json(self, table_id: str, lines: str, schema: Sequence[bigquery.SchemaField]) -> None:
        """Append rows, a JSON object a line, by a load job, which has no quota of statements.

        Raises:
            WarehouseError: the job failed; nothing was appended.
        """
        content = lines.encode()
        config = self._jobs.job_config(
            bigquery.LoadJobConfig(
                source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
                write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
                schema=list(schema),
            )
        )

        def send(job_id: str) -> LoadJob:
            return self.client.load_table_from_file(
                io.BytesIO(content),
                table_id,
                size=len(content),
                num_retries=0,
                job_id=job_id,
                job_config=config,
                timeout=self.settings.bigquery_request_seconds,
            )

        self._jobs.complete(send)

    def begin_load(
        self, uri: str, table_id: str, schema: Sequence[bigquery.SchemaField], expires: datetime
    ) -> LoadJob:
        """Begin to load Parquet files into a new table that BigQuery itself removes at ``expires``.

        Jobs run side by side; ``finish_load`` says when a table is filled.

        Raises:
            WarehouseError: the job was refused.
        """
        table = bigquery.Table(table_id, schema=list(schema))
        table.expires = expires
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
            # More than nine decimal places are an error otherwise.
            decimal_target_types=[
                bigquery.DecimalTargetType.NUMERIC,
                bigquery.DecimalTargetType.BIGNUMERIC,
            ],
        )
        try:
            self.client.create_table(table, exists_ok=True, **self._again)
            return self._jobs.begin(self._loading(uri, table.reference, self._jobs.job_config(config)))
        except (*UNREACHABLE, WarehouseError) as error:
            raise WarehouseError(f"load of {table_id}: {reason(error)}") from error

    def finish_load(self, job: LoadJob) -> None:
        """Wait for a load that was begun.

        Raises:
            WarehouseError: it failed, or was not done within the deadline and cancelled.
        """
        again = self._loading(job.source_uris, job.destination, job.configuration)
        try:
            self._jobs.complete(again, begun=job)
        except WarehouseError as error:
            raise type(error)(f"load of {job.destination.table_id}: {error}") from error

    def _loading(
        self, uris: str | Sequence[str], table: bigquery.TableReference, config: bigquery.LoadJobConfig
    ) -> Callable[[str], LoadJob]:
        def send(job_id: str) -> LoadJob:
            return self.client.load_table_from_uri(
                uris,
                table,
                job_id=job_id,
                job_config=config,
                retry=None,
                timeout=self.settings.bigquery_request_seconds,
            )

        return send

    def datasets(self) -> list[str]:
        """Names of the project's datasets."""
        return [each.dataset_id for each in self.client.list_datasets(**self._again)]

    def table_names(self, dataset: str) -> set[str]:
        """Names of a dataset's tables and views; none when the dataset does not exist."""
        try:
            listed = self.client.list_tables(f"{self.settings.project_id}.{dataset}", **self._again)
            return {each.table_id for each in listed}
        except NotFound:
            return set()

    def tables(self, dataset: str) -> list[bigquery.Table]:
        """The tables of a dataset with their schemas, no views; none when the dataset does not exist."""
        try:
            listed = list(self.client.list_tables(f"{self.settings.project_id}.{dataset}", **self._again))
        except NotFound:
            return []
        return [
            self.client.get_table(each.reference, **self._again)
            for each in listed
            if each.table_type == "TABLE"
        ]

    def find_table(self, table_id: str) -> bigquery.Table | None:
        """The table's metadata, None when it does not exist."""
        try:
            return self.client.get_table(table_id, **self._again)
        except NotFound:
            return None

    def columns(self, table_id: str) -> Sequence[bigquery.SchemaField]:
        """The columns of a table that has to be there.

        Raises:
            google.cloud.exceptions.NotFound: it is not.
        """
        return tuple(self.client.get_table(table_id, **self._again).schema)

    def ensure_dataset(self, dataset: str, *, tables_expire_after: timedelta | None = None) -> None:
        """Create the dataset when it is missing; BigQuery removes each of its tables at the given age."""
        wanted = bigquery.Dataset(f"{self.settings.project_id}.{dataset}")
        wanted.location = self.settings.location
        if tables_expire_after is not None:
            wanted.default_table_expiration_ms = int(tables_expire_after.total_seconds() * 1000)
        self.client.create_dataset(wanted, exists_ok=True, **self._again)

    def drop_dataset(self, dataset: str) -> None:
        """Remove a dataset with its tables, if there is one."""
        self.client.delete_dataset(
            f"{self.settings.project_id}.{dataset}", delete_contents=True, not_found_ok=True, **self._again
        )

    def drop_table(self, table_id: str) -> None:
        """Remove a table, if there is one."""
        self.client.delete_table(table_id, not_found_ok=True, **self._again)

    def expire_table(self, table_id: str, at: datetime) -> None:
        """Have BigQuery remove a table at ``at``, should nobody do it before."""

        def change(table: bigquery.Table) -> None:
            table.expires = at

        self._update_table(table_id, ["expires"], change)

    def _update_table(
        self, table_id: str, fields: Sequence[str], change: Callable[[bigquery.Table], None]
    ) -> None:
        """Read, change and write; anew when it changed meanwhile, as by a write whose answer was lost."""

        def update() -> None:
            table = self.client.get_table(table_id, **self._again)
            change(table)
            self.client.update_table(table, fields, **self._again)

        _CHANGED_MEANWHILE(update)()

    def ensure_table(
        self,
        table_id: str,
        schema: Sequence[bigquery.SchemaField],
        *,
        partition_field: str | None = None,
        clustering: Sequence[str] | None = None,
        description: str | None = None,
    ) -> None:
        """Create the table when it is missing; widen it by columns that are new and may be null, and columns
        of NUMERIC to BIGNUMERIC.

        Raises:
            WarehouseError: an existing column has another type, or a new column is required.
        """
        existing = self.find_table(table_id)
        if existing is None:
            table = bigquery.Table(table_id, schema=list(schema))
            if partition_field:
                table.time_partitioning = bigquery.TimePartitioning(field=partition_field)
            table.clustering_fields = list(clustering) if clustering else None
            table.description = description
            try:
                self.client.create_table(table, exists_ok=True, **self._again)
            except Conflict:
                # Another process was faster, with the same definition.
                return
            return
        added, finer = schema_changes(table_id, existing.schema, schema)
        if added:
            self._add_columns(table_id, added)
        for field in finer:
            self.run(f"alter table `{table_id}` alter column `{field.name}` set data type bignumeric")
        if finer:
            self._describe(table_id, finer)

    def _add_columns(self, table_id: str, fields: Sequence[bigquery.SchemaField]) -> None:
        """Add by DDL, then describe in the metadata, which the embedded BigQuery keeps apart."""
        for field in fields:
            self.run(f"alter table `{table_id}` add column if not exists `{field.name}` {sql_type(field)}")
        self._describe(table_id, fields)

    def _describe(self, table_id: str, fields: Sequence[bigquery.SchemaField]) -> None:
        wanted = {field.name: field for field in fields}

        def describe(table: bigquery.Table) -> None:
            shown = {field.name: field for field in table.schema}
            merged = [wanted.get(name, field) for name, field in shown.items()]
            table.schema = merged + [field for field in fields if field.name not in shown]

        self._update_table(table_id, ["schema"], describe)


@lru_cache(maxsize=8)
def warehouse_of(settings: Settings) -> Warehouse:
    """The warehouse that the settings describe, made once in a process."""
    return Warehouse(settings)
