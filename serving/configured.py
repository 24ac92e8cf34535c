"""Readers of the table and clients of the service, as the settings describe them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from segue.errors import SettingsError
from segue.settings import Settings
from segue_client.bigtable.read_rows import TableAddress
from segue_client.bigtable.reader import AsyncOfferReader, OfferReader
from segue_client.remote import OfferServiceClient


def open_reader(settings: Settings, **arguments: Any) -> AbstractContextManager[OfferReader]:
    """A blocking reader of the offers table; arguments as for ``AsyncOfferReader``."""
    return OfferReader.open(
        _table_address(settings), emulator_host=settings.bigtable_emulator_host, **arguments
    )


def open_async_reader(
    settings: Settings, kind: type[AsyncOfferReader] = AsyncOfferReader, **arguments: Any
) -> AbstractAsyncContextManager[AsyncOfferReader]:
    """A reader of the offers table for the running event loop; arguments as for ``AsyncOfferReader``."""
    return kind.open(_table_address(settings), emulator_host=settings.bigtable_emulator_host, **arguments)


def open_service_client(settings: Settings) -> OfferServiceClient:
    """A client of the service at ``service_address``.

    Raises:
        SettingsError: with these settings there can be none.
    """
    token = settings.service_token
    try:
        return OfferServiceClient(
            settings.service_address,
            token=None if token is None else token.get_secret_value(),
            timeout_seconds=settings.lookup_timeout_seconds,
            ca_file=settings.service_ca_file,
            client_certificate_file=settings.service_client_certificate_file,
            client_key_file=settings.service_client_key_file,
        )
    except ValueError as error:
        raise SettingsError(f"no client of the lookup service: {error}") from error


def _table_address(settings: Settings) -> TableAddress:
    return TableAddress.of(
        settings.project_id,
        settings.bigtable_instance,
        settings.bigtable_table,
        settings.bigtable_read_app_profile,
    )
