"""The only place that makes BigQuery clients and decides how long and how often to try.

The stock client repeats HTTP 500 for ten minutes; here a statement is repeated only when repeating can help:
another transaction changed the same table, or the service was briefly away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from segue.settings import Settings

_CONFLICT_MARKS = ("concurrent update", "transaction is aborted", "transactioncontext", "conflict")
_ATTEMPTS = 6


class WarehouseError(RuntimeError):
    """A statement or load job failed; the message is the warehouse's reason, on one line."""


def bigquery_client(settings: Settings) -> bigquery.Client:
    """A client for the configured project; with an endpoint, without credentials."""
    if settings.bigquery_endpoint:
        return bigquery.Client(
            project=settings.project_id,
            location=settings.location,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=settings.bigquery_endpoint),
        )
    return bigquery.Client(project=settings.project_id, location=settings.location)


def read_client(settings: Settings) -> BigQueryReadClient:
    """A Storage Read API client: Arrow streams, forty times as fast as pages over REST."""
    if settings.bigquery_storage_endpoint:
        channel = grpc.insecure_channel(
            settings.bigquery_storage_endpoint, options=[("grpc.max_receive_message_length", -1)]
        )
        return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))
    credentials, _ = google.auth.default()
    return BigQueryReadClient(credentials=credentials)


def is_transient(error: BaseException) -> bool:
    """Whether doing the same again may succeed: a transaction conflict or a service that was away."""
    if isinstance(error, ConnectionError | ServiceUnavailable):
        return True
    message = str(error).lower()
    return isinstance(error, GoogleAPICallError) and any(mark in message for mark in _CONFLICT_MARKS)


def reason(error: BaseException) -> str:
    """The first sentence of a BigQuery error that says what is wrong, on one line."""
    text = str(getattr(error, "message", None) or error)
    return " ".join(text.split("; reason:")[0].split())


def run(
    client: bigquery.Client,
    sql: str,
    *,
    settings: Settings | None = None,
    labels: dict[str, str] | None = None,
) -> bigquery.table.RowIterator:
    """Execute a statement or a script and wait for its end.

    Transaction conflicts are repeated a few times with growing, random waits; a script that failed has been
    rolled back, so repeating it is safe.

    Raises:
        WarehouseError: the statement failed, or did not finish within the configured deadline.
    """
    deadline = settings.bigquery_deadline_seconds if settings else 600
    config = bigquery.QueryJobConfig(labels=labels or {})
    try:
        for attempt in Retrying(
            retry=retry_if_exception(is_transient),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.5, max=20),
            reraise=True,
        ):
            with attempt:
                job = client.query(sql, job_config=config, retry=None, job_retry=None, timeout=deadline)
                return job.result(retry=None, job_retry=None, timeout=deadline)
    except (GoogleAPICallError, ConnectionError, TimeoutError) as error:
        raise WarehouseError(reason(error)) from error
    raise AssertionError("tenacity returned without a result")  # pragma: no cover


def fetch_arrow(client: bigquery.Client, settings: Settings, sql: str) -> pa.Table:
    """The result of a query as an Arrow table, in pages over REST: for results, not for whole tables.

    Raises:
        WarehouseError: the query failed.
    """
    return run(client, sql, settings=settings).to_arrow(create_bqstorage_client=False)


def read_table(
    settings: Settings, table_id: str, columns: Sequence[str] = (), row_restriction: str = ""
) -> Iterator[pa.RecordBatch]:
    """Rows of a table as Arrow record batches over the Storage Read API, in bounded memory.

    ``table_id`` is project.dataset.table; ``row_restriction`` a filter in GoogleSQL, which prunes partitions.
    """
    client = read_client(settings)
    project, dataset, table = table_id.split(".")
    session = client.create_read_session(
        parent=f"projects/{settings.project_id}",
        read_session=types.ReadSession(
            table=f"projects/{project}/datasets/{dataset}/tables/{table}",
            data_format=types.DataFormat.ARROW,
            read_options=types.ReadSession.TableReadOptions(
                selected_fields=list(columns), row_restriction=row_restriction
            ),
        ),
    )
    for stream in session.streams:
        for page in client.read_rows(stream.name).rows(session).pages:
            yield page.to_arrow()


def ensure_dataset(client: bigquery.Client, settings: Settings, dataset: str) -> None:
    """Create the dataset when it is missing."""
    wanted = bigquery.Dataset(f"{settings.project_id}.{dataset}")
    wanted.location = settings.location
    client.create_dataset(wanted, exists_ok=True, retry=None)


def get_table(client: bigquery.Client, table_id: str) -> bigquery.Table | None:
    """The table's metadata, None when it does not exist."""
    try:
        return client.get_table(table_id, retry=None)
    except NotFound:
        return None


def ensure_table(
    client: bigquery.Client,
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
    existing = get_table(client, table_id)
    if existing is None:
        table = bigquery.Table(table_id, schema=list(schema))
        if partition_field:
            table.time_partitioning = bigquery.TimePartitioning(field=partition_field)
        table.clustering_fields = list(clustering) if clustering else None
        table.description = description
        try:
            client.create_table(table, exists_ok=True, retry=None)
        except Conflict:
            # Another process was faster, with the same definition.
            return
        return
    present = {field.name: field for field in existing.schema}
    added = []
    for field in schema:
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
    if added:
        _add_columns(client, table_id, added)


def _add_columns(client: bigquery.Client, table_id: str, fields: Sequence[bigquery.SchemaField]) -> None:
    """Add by DDL, then describe in the metadata, which the embedded BigQuery keeps apart from its tables."""
    for field in fields:
        run(client, f"alter table `{table_id}` add column if not exists `{field.name}` {_sql_type(field)}")
    table = client.get_table(table_id, retry=None)
    shown = {field.name: field for field in table.schema}
    wanted = {field.name: field for field in fields}
    merged = [wanted.get(name, field) for name, field in shown.items()]
    merged += [field for field in fields if field.name not in shown]
    table.schema = merged
    client.update_table(table, ["schema"], retry=None)


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
