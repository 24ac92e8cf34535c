"""Creates the offers table and keeps its column families as the contract says."""

from __future__ import annotations

import grpc
from google.api_core.exceptions import AlreadyExists, GoogleAPIError, NotFound
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
from serving import schema

_TIMEOUT_SECONDS = 60.0


def ensure_table(settings: Settings) -> None:
    """Creates the table, or its missing families, or sets their garbage-collection rules right.

    The instance itself is infrastructure and has to be there.

    Raises:
        LoadError: ``NO_TABLE``, with the cause.
    """
    client = _admin_client(settings)
    instance = f"projects/{settings.project_id}/instances/{settings.bigtable_instance}"
    name = f"{instance}/tables/{settings.bigtable_table}"
    wanted = {
        family: ColumnFamily(gc_rule=GcRule(max_num_versions=versions))
        for family, versions in schema.MAX_VERSIONS.items()
    }
    try:
        try:
            present = client.get_table(
                request={"name": name, "view": Table.View.SCHEMA_VIEW}, timeout=_TIMEOUT_SECONDS
            )
        except NotFound:
            try:
                client.create_table(
                    parent=instance,
                    table_id=settings.bigtable_table,
                    table=Table(column_families=wanted),
                    timeout=_TIMEOUT_SECONDS,
                )
                return
            except AlreadyExists:  # another load created it in between
                present = client.get_table(
                    request={"name": name, "view": Table.View.SCHEMA_VIEW}, timeout=_TIMEOUT_SECONDS
                )
        changes = []
        for family, definition in wanted.items():
            if family not in present.column_families:
                changes.append(ModifyColumnFamiliesRequest.Modification(id=family, create=definition))
            elif present.column_families[family].gc_rule != definition.gc_rule:
                changes.append(ModifyColumnFamiliesRequest.Modification(id=family, update=definition))
        if changes:
            client.modify_column_families(
                request={"name": name, "modifications": changes}, timeout=_TIMEOUT_SECONDS
            )
    except GoogleAPIError as error:
        raise LoadError(LoadCode.NO_TABLE, f"cannot prepare {name}: {error}") from error
    finally:
        client.transport.close()


def _admin_client(settings: Settings) -> BaseBigtableTableAdminClient:
    if settings.bigtable_emulator_host is None:
        return BaseBigtableTableAdminClient()
    channel = grpc.insecure_channel(settings.bigtable_emulator_host)
    return BaseBigtableTableAdminClient(transport=BigtableTableAdminGrpcTransport(channel=channel))
