"""Opens a channel to Bigtable for ``grpc.aio``: to Google Cloud, or to an emulator."""

from __future__ import annotations

from typing import Final

import grpc
from google.cloud.bigtable_v2.services.bigtable.transports import BigtableGrpcAsyncIOTransport

from segue_client.keepalive import KEEPALIVE

_CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    *KEEPALIVE,
)


def async_channel(emulator_host: str | None = None) -> grpc.aio.Channel:
    """A new channel for the running event loop, to an emulator at host:port if told; the caller closes it.

    Raises:
        google.auth.exceptions.DefaultCredentialsError: no emulator is named and there are no credentials.
    """
    if emulator_host is not None:
        return grpc.aio.insecure_channel(emulator_host, options=_CHANNEL_OPTIONS)
    return BigtableGrpcAsyncIOTransport.create_channel(options=_CHANNEL_OPTIONS)
