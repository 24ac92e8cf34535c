"""A read that a broken connection has cut off goes on where it was; the emulator begins anew.

The client asks for the offset up to which it has rows, and adds what it is given to them.
https://docs.cloud.google.com/bigquery/docs/reference/storage/rpc/google.cloud.bigquery.storage.v1#readrowsrequest
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bqemulator.grpc_api.read_servicer import BigQueryReadHandler
from google.cloud.bigquery_storage_v1 import types

_read_rows = BigQueryReadHandler._handle_read_rows


def read_rows(self: Any, request: bytes, context: Any) -> Iterator[bytes]:
    """Without the messages that came before the offset: a client has had whole ones."""
    missing = types.ReadRowsRequest.deserialize(request).offset
    for answer in _read_rows(self, request, context):
        if missing <= 0:
            yield answer
        else:
            missing -= types.ReadRowsResponse.deserialize(answer).row_count


def install() -> None:
    """Put the replacement in its place."""
    BigQueryReadHandler._handle_read_rows = read_rows
