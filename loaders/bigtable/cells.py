"""Streams cells out of Bigtable with ReadRows over gRPC, resuming where a stream broke.

The stock client builds four objects a row; here a response is two lists, of keys and of values.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.cloud.bigtable.data import Table
from google.cloud.bigtable.data.row_filters import RowFilter
from google.cloud.bigtable_v2.types import bigtable as messages
from grpc.experimental import ChannelOptions
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from loaders.bigtable.errors import LoadCode, LoadError
from segue_client.bigtable.row_key import AFTER_ACCOUNT_KEYS, FIRST_ACCOUNT_KEY
from segue_client.keepalive import KEEPALIVE

METHOD: Final = "/google.bigtable.v2.Bigtable/ReadRows"

_Request: Any = messages.ReadRowsRequest.meta.pb
_Response: Any = messages.ReadRowsResponse.meta.pb
_ATTEMPTS_WITHOUT_PROGRESS: Final = 8
_ROWS_AT_ONCE: Final = 5_000
_RESPONSES_AT_ONCE: Final = 1_000
_BYTES_AT_ONCE: Final = 16_000_000
_TRANSIENT: Final = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
    }
)

Cells = tuple[list[bytes], list[bytes]]
"""Row keys in order and, beside them, one value each."""


def read_cells(
    table: Table,
    row_filter: RowFilter,
    first_key: bytes = FIRST_ACCOUNT_KEY,
    after_key: bytes = AFTER_ACCOUNT_KEYS,
    *,
    deadline_at: float,
) -> Iterator[Cells]:
    """The cells of [first_key, after_key) that the filter leaves, which may be one a row at most.

    Where a stream breaks, the next begins after the last row that the server has looked at, found or not: a
    scan for a few rows among millions would otherwise begin at the beginning each time, and never end.

    Raises:
        LoadError: ``UNACKNOWLEDGED``: Bigtable did not answer before ``deadline_at`` (``time.monotonic``) or
            broke off again and again without having come further.
    """
    profile = table.app_profile_id or ""
    metadata = (to_grpc_metadata([("table_name", table.table_name), ("app_profile_id", profile)]),)
    request = _Request(table_name=table.table_name, app_profile_id=profile, filter=row_filter._to_pb()._pb)
    request.rows.row_ranges.add(start_key_closed=first_key, end_key_open=after_key)
    with _stream_channel(table) as channel:
        yield from _resumed(channel.unary_stream(METHOD), request, metadata, deadline_at)


def _stream_channel(table: Table) -> grpc.Channel:
    """A channel to where the table's client goes, whose streams are read by the thread that asks.

    A server may send a response for each row, and handing responses over between threads, as gRPC does
    otherwise, costs six times as much as reading them.
    """
    options = [
        (ChannelOptions.SingleThreadedUnaryStream, 1),
        ("grpc.max_receive_message_length", -1),
        *KEEPALIVE,
    ]
    transport = table.client.transport
    if table.client._emulator_host:
        return grpc.insecure_channel(table.client._emulator_host, options=options)
    return type(transport).create_channel(transport.host, options=options)


@dataclass(frozen=True)
class _Part:
    """Some of a stream: whole rows, and the last row that the server has looked at, if it says so."""

    keys: list[bytes]
    values: list[bytes]
    scanned_to: bytes

    @property
    def reached(self) -> bytes:
        """Nothing at or before this key has to be asked for again; empty: nothing is known."""
        return max(self.keys[-1], self.scanned_to) if self.keys else self.scanned_to


def _resumed(call: Any, request: Any, metadata: Any, deadline_at: float) -> Iterator[Cells]:
    """One stream after the other, each from where the one before broke."""
    [accounts] = request.rows.row_ranges
    after_key = accounts.end_key_open
    keys: list[bytes] = []
    values: list[bytes] = []
    size = 0
    reached = b""
    while True:
        progress = False
        try:
            for part in _attempted(call, request, metadata, deadline_at):
                keys += part.keys
                values += part.values
                size += sum(map(len, part.values))
                if part.reached > reached:
                    progress = True
                    accounts.start_key_open = reached = part.reached
                # a server may answer row by row, and what is done with columns wants many
                if len(keys) >= _ROWS_AT_ONCE or size >= _BYTES_AT_ONCE:
                    yield keys, values
                    keys, values, size = [], [], 0
            break
        except grpc.RpcError as error:
            # nothing is between the two: the range would be refused for being empty
            if reached and reached + b"\x00" >= after_key:
                break
            late = time.monotonic() >= deadline_at
            if late or not progress or error.code() not in _TRANSIENT:
                raise LoadError(
                    LoadCode.UNACKNOWLEDGED, f"Bigtable did not answer a scan: {error.details()}"
                ) from error
    if keys:
        yield keys, values


def _attempted(call: Any, request: Any, metadata: Any, deadline_at: float) -> Iterator[_Part]:
    """One stream; its first response is waited for through a few attempts."""
    for attempt in Retrying(
        retry=retry_if_exception(_is_transient),
        wait=wait_random_exponential(multiplier=0.1, max=5),
        stop=stop_after_attempt(_ATTEMPTS_WITHOUT_PROGRESS),
        reraise=True,
    ):
        with attempt:
            timeout = max(0.001, deadline_at - time.monotonic())
            parts = _assemble(call(request.SerializeToString(), metadata=metadata, timeout=timeout))
            first = next(parts, None)
    if first is not None:
        yield first
        yield from parts


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, grpc.RpcError) and error.code() in _TRANSIENT


def _assemble(responses: Iterator[bytes]) -> Iterator[_Part]:
    pending = _Pending()
    for raw in _joined(responses):
        response = _Response.FromString(raw)
        chunks = response.chunks
        keys = [chunk.row_key for chunk in chunks]
        values = [chunk.value for chunk in chunks]
        whole = all(chunk.commit_row and not chunk.value_size for chunk in chunks)
        if not whole or not all(keys) or pending:
            keys, values = pending.take(chunks)
        if keys or response.last_scanned_row_key:
            yield _Part(keys, values, response.last_scanned_row_key)


def _joined(responses: Iterator[bytes]) -> Iterator[bytes]:
    """Several responses as one: messages one behind the other are their lists one behind the other.

    Of ``last_scanned_row_key`` the last remains, which is the furthest.
    """
    waiting: list[bytes] = []
    size = 0
    try:
        for raw in responses:
            waiting.append(raw)
            size += len(raw)
            if len(waiting) >= _RESPONSES_AT_ONCE or size >= _BYTES_AT_ONCE:
                yield b"".join(waiting)
                waiting, size = [], 0
    except grpc.RpcError:
        if waiting:
            yield b"".join(waiting)
        raise
    if waiting:
        yield b"".join(waiting)


class _Pending:
    """A row that is spread over several chunks: a large value is, and a server may start a row over."""

    def __init__(self) -> None:
        self._key = b""
        self._parts: list[bytes] = []

    def __bool__(self) -> bool:
        return bool(self._key)

    def take(self, chunks: Any) -> tuple[list[bytes], list[bytes]]:
        keys, values = [], []
        for chunk in chunks:
            if chunk.reset_row:
                self._key, self._parts = b"", []
                continue
            if chunk.row_key:
                self._key = chunk.row_key
            self._parts.append(chunk.value)
            if chunk.commit_row:
                keys.append(self._key)
                values.append(b"".join(self._parts))
                self._key, self._parts = b"", []
        return keys, values
