"""The one way to BigQuery: who makes clients, and how long and how often is tried.

The stock client repeats HTTP 500 for ten minutes; here a statement is repeated only when repeating can help:
another transaction changed the same table, or the service was briefly away.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import TypeAlias

import google.auth
import grpc
import pyarrow as pa
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import Conflict, GoogleAPICallError, ServiceUnavailable
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryReadClient, types
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport
from google.cloud.exceptions import NotFound
from requests.exceptions import ConnectionError as HttpConnectionError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from segue.errors import SegueError
from segue.settings import Settings

QueryParameter: TypeAlias = bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter

_CONFLICT_MARKS = ("concurrent update", "transaction is aborted", "transactioncontext", "conflict")
_ATTEMPTS = 6
_BRIEFLY = bigquery.DEFAULT_RETRY.with_timeout(60)
"""Of loads: the stock client repeats an HTTP 500 for ten minutes."""

LoadJob: TypeAlias = bigquery.LoadJob


class WarehouseError(SegueError):
    """A statement or load job failed; the message is the warehouse's reason, on one line."""

    code = "warehouse"
    hint = "the message is BigQuery's own; nothing was changed by the statement that failed"


def is_transient(error: BaseException) -> bool:
    """Whether doing the same again may succeed: a transaction conflict or a service that was away."""
    if isinstance(error, ConnectionError | HttpConnectionError | ServiceUnavailable):
        return True
    message = str(error).lower()
    return isinstance(error, GoogleAPICallError) and any(mark in message for mark in _CONFLICT_MARKS)


def reason(error: BaseException) -> str:
    """The first sentence of a BigQuery error that says what is wrong, on one line."""
    text = str(getattr(error, "message", None) or error)
    return " ".join(text.split("; reason:")[0].split())


class Warehouse:
    """BigQuery as the settings describe it: one client, one deadline, one way to repeat and to label."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def client(self) -> bigquery.Client:
        """The stock client, for libraries that want one; with an endpoint, without credentials."""
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
        if self.settings.bigquery_storage_endpoint:
            channel = grpc.insecure_channel(
                self.settings.bigquery_storage_endpoint, options=[("grpc.max_receive_message_length", -1)]
            )
            return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))
        credentials, _ = google.auth.default()
        return BigQueryReadClient(credentials=credentials)

    def table(self, dataset: str, name: str) -> str:
        """Full name of a table of the project, unquoted."""
        return f"{self.settings.project_id}.{dataset}.{name}"

    def run(
        self,
        sql: str,
        *,
        labels: Mapping[str, str] | None = None,
        parameters: Sequence[QueryParameter] = (),
    ) -> bigquery.table.RowIterator:
        """Execute a statement or a script and wait for its end; what a person typed comes as a parameter.

        Transaction conflicts are repeated a few times with growing, random waits; a script that failed has
        been rolled back, so repeating it is safe.

        Raises:
            WarehouseError: the statement failed, or did not finish within the configured deadline.
        """
        deadline = self.settings.bigquery_deadline_seconds
        config = bigquery.QueryJobConfig(labels=dict(labels or {}), query_parameters=list(parameters))
        try:
            for attempt in Retrying(
                retry=retry_if_exception(is_transient),
                stop=stop_after_attempt(_ATTEMPTS),
                wait=wait_random_exponential(multiplier=0.5, max=20),
                reraise=True,
            ):
                with attempt:
                    job = self.client.query(
                        sql, job_config=config, retry=None, job_retry=None, timeout=deadline
                    )
                    return job.result(retry=None, job_retry=None, timeout=deadline)
        except (GoogleAPICallError, ConnectionError, HttpConnectionError, TimeoutError) as error:
            raise WarehouseError(reason(error)) from error
        raise AssertionError("tenacity returned without a result")  # pragma: no cover

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
        job = self.client.load_table_from_file(
            io.BytesIO(lines.encode()),
            table_id,
            job_config=bigquery.LoadJobConfig(
                source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
                write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
                schema=list(schema),
            ),
        )
        try:
            job.result(timeout=self.settings.bigquery_deadline_seconds)
        except GoogleAPICallError as error:
            raise WarehouseError(reason(error)) from error

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
        try:
            self.client.create_table(table, retry=_BRIEFLY)
            return self.client.load_table_from_uri(
                uri,
                table_id,
                job_config=bigquery.LoadJobConfig(
                    source_format=bigquery.SourceFormat.PARQUET,
                    write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
                ),
                retry=_BRIEFLY,
            )
        except (GoogleAPICallError, HttpConnectionError) as error:
            raise WarehouseError(f"load of {table_id}: {reason(error)}") from error

    def finish_load(self, job: LoadJob) -> None:
        """Wait for a load that was begun.

        Raises:
            WarehouseError: it failed, or did not end within the configured deadline.
        """
        try:
            job.result(retry=_BRIEFLY, timeout=self.settings.bigquery_deadline_seconds)
        except (GoogleAPICallError, HttpConnectionError, TimeoutError) as error:
            raise WarehouseError(f"load of {job.destination.table_id}: {reason(error)}") from error

    def datasets(self) -> list[str]:
        """Names of the project's datasets."""
        return [each.dataset_id for each in self.client.list_datasets(retry=None)]

    def table_names(self, dataset: str) -> set[str]:
        """Names of a dataset's tables and views; none when the dataset does not exist."""
        try:
            listed = self.client.list_tables(f"{self.settings.project_id}.{dataset}", retry=None)
            return {each.table_id for each in listed}
        except NotFound:
            return set()

    def tables(self, dataset: str) -> list[bigquery.Table]:
        """The tables of a dataset with their schemas, no views; none when the dataset does not exist."""
        try:
            listed = list(self.client.list_tables(f"{self.settings.project_id}.{dataset}", retry=None))
        except NotFound:
            return []
        return [
            self.client.get_table(each.reference, retry=None) for each in listed if each.table_type == "TABLE"
        ]

    def find_table(self, table_id: str) -> bigquery.Table | None:
        """The table's metadata, None when it does not exist."""
        try:
            return self.client.get_table(table_id, retry=None)
        except NotFound:
            return None

    def columns(self, table_id: str) -> Sequence[bigquery.SchemaField]:
        """The columns of a table that has to be there.

        Raises:
            google.cloud.exceptions.NotFound: it is not.
        """
        return tuple(self.client.get_table(table_id, retry=None).schema)

    def ensure_dataset(self, dataset: str, *, tables_expire_after: timedelta | None = None) -> None:
        """Create the dataset when it is missing; BigQuery removes each of its tables at the given age."""
        wanted = bigquery.Dataset(f"{self.settings.project_id}.{dataset}")
        wanted.location = self.settings.location
        if tables_expire_after is not None:
            wanted.default_table_expiration_ms = int(tables_expire_after.total_seconds() * 1000)
        self.client.create_dataset(wanted, exists_ok=True, retry=None)

    def drop_dataset(self, dataset: str) -> None:
        """Remove a dataset with its tables, if there is one."""
        self.client.delete_dataset(
            f"{self.settings.project_id}.{dataset}", delete_contents=True, not_found_ok=True, retry=None
        )

    def drop_table(self, table_id: str) -> None:
        """Remove a table, if there is one."""
        self.client.delete_table(table_id, not_found_ok=True, retry=None)

    def expire_table(self, table_id: str, at: datetime) -> None:
        """Have BigQuery remove a table at ``at``, should nobody do it before."""
        table = self.client.get_table(table_id, retry=None)
        table.expires = at
        self.client.update_table(table, ["expires"], retry=None)

    def ensure_table(
        self,
        table_id: str,
        schema: Sequence[bigquery.SchemaField],
        *,
        partition_field: str | None = None,
        clustering: Sequence[str] | None = None,
        description: str | None = None,
    ) -> None:
        """Create the table when it is missing; widen it by columns that are new and may be null.

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
                self.client.create_table(table, exists_ok=True, retry=None)
            except Conflict:
                # Another process was faster, with the same definition.
                return
            return
        added = _added_columns(table_id, existing.schema, schema)
        if added:
            self._add_columns(table_id, added)

    def _add_columns(self, table_id: str, fields: Sequence[bigquery.SchemaField]) -> None:
        """Add by DDL, then describe in the metadata, which the embedded BigQuery keeps apart."""
        for field in fields:
            self.run(f"alter table `{table_id}` add column if not exists `{field.name}` {_sql_type(field)}")
        table = self.client.get_table(table_id, retry=None)
        shown = {field.name: field for field in table.schema}
        wanted = {field.name: field for field in fields}
        merged = [wanted.get(name, field) for name, field in shown.items()]
        merged += [field for field in fields if field.name not in shown]
        table.schema = merged
        self.client.update_table(table, ["schema"], retry=None)


@lru_cache(maxsize=8)
def warehouse_of(settings: Settings) -> Warehouse:
    """The warehouse that the settings describe, made once in a process."""
    return Warehouse(settings)


def _added_columns(
    table_id: str, existing: Sequence[bigquery.SchemaField], wanted: Sequence[bigquery.SchemaField]
) -> list[bigquery.SchemaField]:
    present = {field.name: field for field in existing}
    added = []
    for field in wanted:
        if field.name not in present:
            added.append(field)
        elif _sql_type(present[field.name]) != _sql_type(field):
            raise WarehouseError(
                f"{table_id}: column {field.name} is {present[field.name].field_type}, "
                f"this code writes {field.field_type}"
            )
    for field in added:
        if field.mode == "REQUIRED":
            raise WarehouseError(f"{table_id}: the new column {field.name} must be nullable")
    return added


_STANDARD_NAMES = {"INTEGER": "INT64", "BOOLEAN": "BOOL", "FLOAT": "FLOAT64"}
"""The API answers with legacy names for columns that were created with standard ones."""


def _sql_type(field: bigquery.SchemaField) -> str:
    """The column's type as GoogleSQL writes it."""
    name = _STANDARD_NAMES.get(field.field_type, field.field_type)
    if name in {"RECORD", "STRUCT"}:
        name = f"STRUCT<{', '.join(f'`{part.name}` {_sql_type(part)}' for part in field.fields)}>"
    elif name == "NUMERIC":
        # Precision is spelled out because the embedded BigQuery's bare NUMERIC has three decimal places.
        name = "NUMERIC(38, 9)"
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else name
