"""Creates the offers table and keeps its column families as the contract says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.api_core.exceptions import (
    AlreadyExists,
    DeadlineExceeded,
    GoogleAPIError,
    NotFound,
    ServiceUnavailable,
)
from google.api_core.retry import Retry, if_exception_type
from google.cloud.bigtable_admin_v2 import BaseBigtableTableAdminClient
from google.cloud.bigtable_admin_v2.services.bigtable_table_admin.transports import (
    BigtableTableAdminGrpcTransport,
)
from google.cloud.bigtable_admin_v2.types import (
    ColumnFamily,
    GcRule,
    ModifyColumnFamiliesRequest,
    Table,
)

from loaders.bigtable.errors import LoadCode, LoadError
from segue.settings import Settings
from segue_client.bigtable import schema

_TIMEOUT_SECONDS = 60.0
"""At most; a load, or an erasure, that is given up earlier does not wait for so long."""


def ensure_table(settings: Settings) -> None:
    """Creates the table, or its missing families, or sets their garbage-collection rules right.

    The instance itself is infrastructure and has to be there.

    Raises:
        LoadError: ``NO_TABLE``, with the cause.
    """
    try:
        with admin_client(settings) as client:
            _prepare(client, settings)
    except GoogleAPIError as error:
        raise LoadError(LoadCode.NO_TABLE, f"cannot prepare {table_name(settings)}: {error}") from error


def table_name(settings: Settings) -> str:
    """The offers table's full name."""
    return f"{_instance_name(settings)}/tables/{settings.bigtable_table}"


@contextmanager
def admin_client(settings: Settings) -> Iterator[BaseBigtableTableAdminClient]:
    """A client of the table administration on a connection of its own, closed at the end."""
    if settings.bigtable_emulator_host is None:
        client = BaseBigtableTableAdminClient()
    else:
        channel = grpc.insecure_channel(settings.bigtable_emulator_host)
        client = BaseBigtableTableAdminClient(transport=BigtableTableAdminGrpcTransport(channel=channel))
    try:
        yield client
    finally:
        client.transport.close()


def _prepare(client: BaseBigtableTableAdminClient, settings: Settings) -> None:
    name = table_name(settings)
    timeout = min(_TIMEOUT_SECONDS, settings.bigtable_load_deadline_seconds)
    retry = Retry(if_exception_type(ServiceUnavailable, DeadlineExceeded), timeout=timeout)
    as_is = {"name": name, "view": Table.View.SCHEMA_VIEW}
    wanted = {
        family: ColumnFamily(gc_rule=GcRule(max_num_versions=versions))
        for family, versions in schema.MAX_VERSIONS.items()
    }
    try:
        present = client.get_table(as_is, retry=retry, timeout=timeout)
    except NotFound:
        try:
            client.create_table(
                parent=_instance_name(settings),
                table_id=settings.bigtable_table,
                table=Table(column_families=wanted),
                timeout=timeout,
            )
            return
        except AlreadyExists:  # another load created it in between
            present = client.get_table(as_is, retry=retry, timeout=timeout)
    changes = []
    for family, definition in wanted.items():
        if family not in present.column_families:
            changes.append(ModifyColumnFamiliesRequest.Modification(id=family, create=definition))
        elif present.column_families[family].gc_rule != definition.gc_rule:
            changes.append(ModifyColumnFamiliesRequest.Modification(id=family, update=definition))
    if changes:
        client.modify_column_families(request={"name": name, "modifications": changes}, timeout=timeout)


def _instance_name(settings: Settings) -> str:
    return f"projects/{settings.project_id}/instances/{settings.bigtable_instance}"
