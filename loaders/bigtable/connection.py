"""Opens the Bigtable data client that the settings describe: Google Cloud, or an emulator's address."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigtable.data import BigtableDataClient, Table
from google.cloud.bigtable.data._sync_autogen._swappable_channel import SwappableChannel

from segue.settings import Settings
from segue_client.keepalive import KEEPALIVE


class _ConfiguredDataClient(BigtableDataClient):  # type: ignore[misc]
    """The official client, told its emulator by the settings.

    Its constructor asks the environment (BIGTABLE_EMULATOR_HOST) and offers no argument for it. One
    process may serve several worlds, and a variable left over in a shell must not redirect production.
    """

    def __init__(self, emulator_host: str | None, **arguments: Any) -> None:
        self._configured_host = emulator_host
        super().__init__(**arguments)

    def _build_grpc_channel(self, *arguments: Any, **named: Any) -> SwappableChannel:
        """As the stock client does, which does not notice that a connection has died."""
        if self._configured_host is not None:
            return SwappableChannel(
                partial(grpc.insecure_channel, self._configured_host, options=list(KEEPALIVE))
            )
        named["options"] = [*named.get("options", ()), *KEEPALIVE]
        return super()._build_grpc_channel(*arguments, **named)

    @property
    def _emulator_host(self) -> str | None:
        return self._configured_host

    @_emulator_host.setter
    def _emulator_host(self, _from_environment: str | None) -> None:
        pass


def data_client(settings: Settings) -> BigtableDataClient:
    """A new data client; the caller closes it (it is a context manager).

    Raises:
        google.auth.exceptions.DefaultCredentialsError: no emulator is set and there are no credentials.
    """
    if settings.bigtable_emulator_host is None:
        return _ConfiguredDataClient(None, project=settings.project_id)
    with warnings.catch_warnings():
        # "Connecting to Bigtable emulator" is what was asked for
        warnings.simplefilter("ignore", RuntimeWarning)
        return _ConfiguredDataClient(
            settings.bigtable_emulator_host, project=settings.project_id, credentials=AnonymousCredentials()
        )


@contextmanager
def open_table(settings: Settings) -> Iterator[Table]:
    """The offers table as the loader reads and writes it, on a connection of its own, closed at the end."""
    with (
        data_client(settings) as client,
        client.get_table(
            settings.bigtable_instance, settings.bigtable_table, settings.bigtable_load_app_profile
        ) as table,
    ):
        yield table
