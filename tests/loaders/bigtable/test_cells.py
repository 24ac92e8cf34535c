"""A scan that breaks goes on where the server was, whether or not it had found anything on the way there."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.cloud.bigtable.data.row_filters import PassAllFilter
from google.cloud.bigtable_v2.types import bigtable as messages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders.bigtable.cells import read_cells
from loaders.bigtable.connection import open_table
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.scan import sampled_ranges
from loaders.bigtable.table import ensure_table
from segue.settings import Settings
from segue_client.bigtable.row_key import AFTER_ACCOUNT_KEYS, FIRST_ACCOUNT_KEY, row_key

ReadRowsRequest: Any = messages.ReadRowsRequest.meta.pb
ReadRowsResponse: Any = messages.ReadRowsResponse.meta.pb
KEYS = sorted(row_key(f"account-{number}") for number in range(200))


class ScanningServer(grpc.GenericRpcHandler):
    """Looks at ``rows_per_stream`` rows a stream and breaks it off; only some rows are ``found``."""

    def __init__(self) -> None:
        self.found: set[bytes] = set()
        self.rows_per_stream = 7
        self.tells_how_far = True
        self.looked_at = 0

    def service(self, _details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_stream_rpc_method_handler(self._read)

    def _read(self, raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        [wanted] = ReadRowsRequest.FromString(raw).rows.row_ranges
        rest = [
            key
            for key in KEYS
            if (key > wanted.start_key_open if wanted.start_key_open else key >= wanted.start_key_closed)
            and key < wanted.end_key_open
        ]
        for key in rest[: self.rows_per_stream]:
            self.looked_at += 1
            response = ReadRowsResponse()
            if key in self.found:
                response.chunks.add(row_key=key, value=b"v" + key, commit_row=True)
                yield response.SerializeToString()
        if len(rest) <= self.rows_per_stream:
            return
        if self.tells_how_far:
            last = rest[self.rows_per_stream - 1]
            yield ReadRowsResponse(last_scanned_row_key=last).SerializeToString()
        context.abort(grpc.StatusCode.UNAVAILABLE, "moved to another server")


@pytest.fixture(scope="module")
def scanned() -> Iterator[tuple[ScanningServer, Settings]]:
    server = grpc.server(ThreadPoolExecutor(4))
    scanning = ScanningServer()
    server.add_generic_rpc_handlers((scanning,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield scanning, Settings(_env_file=None, bigtable_emulator_host=f"127.0.0.1:{port}")
    server.stop(0).wait()


def read(
    settings: Settings, first: bytes = FIRST_ACCOUNT_KEY, after: bytes = AFTER_ACCOUNT_KEYS
) -> list[tuple[bytes, bytes]]:
    deadline_at = time.monotonic() + 20
    with open_table(settings) as table:
        return [
            cell
            for keys, values in read_cells(table, PassAllFilter(True), first, after, deadline_at=deadline_at)
            for cell in zip(keys, values, strict=True)
        ]


def test_a_scan_that_finds_nothing_looks_at_every_row_once(
    scanned: tuple[ScanningServer, Settings],
) -> None:
    server, world = scanned
    server.found, server.rows_per_stream, server.tells_how_far, server.looked_at = set(), 20, True, 0
    assert read(world) == []
    assert server.looked_at == len(KEYS)


def test_a_server_that_never_comes_further_is_given_up(
    scanned: tuple[ScanningServer, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, world = scanned
    monkeypatch.setattr("loaders.bigtable.cells._ATTEMPTS_WITHOUT_PROGRESS", 2)
    server.found, server.rows_per_stream, server.tells_how_far = set(), 20, False
    with pytest.raises(LoadError, match="moved to another server") as caught:
        read(world)
    assert caught.value.code is LoadCode.UNACKNOWLEDGED


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.0, 0.02, 0.3, 1.0]), rows=st.integers(9, 60))
def test_wherever_streams_break_every_cell_of_the_range_comes_once_and_in_order(
    scanned: tuple[ScanningServer, Settings], seed: int, share: float, rows: int
) -> None:
    server, world = scanned
    draw = random.Random(seed)
    server.found = {key for key in KEYS if draw.random() < share}
    server.rows_per_stream, server.tells_how_far = rows, True
    first, after = sorted(draw.sample(KEYS, 2))
    # a range whose last row is the last before its end leaves nothing between the two
    after = draw.choice([after, after + b"\x00"])
    assert read(world, first, after) == [
        (key, b"v" + key) for key in KEYS if key in server.found and first <= key < after
    ]


def test_sampled_ranges_cover_every_account_once(bigtable_world: Settings) -> None:
    ensure_table(bigtable_world)
    with open_table(bigtable_world) as table:
        ranges = sampled_ranges(table)
    assert [each.first for each in ranges] == [FIRST_ACCOUNT_KEY, *[each.after for each in ranges[:-1]]]
    assert ranges[-1].after == AFTER_ACCOUNT_KEYS
