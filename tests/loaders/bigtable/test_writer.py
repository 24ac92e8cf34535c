"""Every entry is acknowledged or the write fails: whatever the server does."""

from __future__ import annotations

import threading
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2

from loaders.bigtable import scan
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.table import ensure_table
from loaders.bigtable.writer import RowWriter, delete_offers, set_offers
from segue.settings import Settings
from serving.connection import open_table
from serving.row_key import row_key
from tests.bigtable_fixture import FaultyBigtable, MutateRowsResponse

GENERATION = 1_769_817_600_001
ROWS = {row_key(f"account-{number}"): f"payload {number}".encode() for number in range(1_000)}


def entries() -> Any:
    return (set_offers(key, payload, GENERATION) for key, payload in ROWS.items())


def stored(settings: Settings) -> dict[bytes, bytes]:
    with open_table(settings) as table:
        return dict(scan.payloads_of(table, GENERATION))


def write(settings: Settings, **options: Any) -> int:
    ensure_table(settings)
    with open_table(settings) as table:
        return RowWriter(table, rows_per_request=100, **options).write(entries())


def test_all_rows_are_written_and_counted(bigtable_world: Settings) -> None:
    assert write(bigtable_world) == 1_000
    assert stored(bigtable_world) == ROWS


def test_nothing_to_write_is_no_request(faulty_bigtable: tuple[FaultyBigtable, Settings]) -> None:
    proxy, settings = faulty_bigtable
    ensure_table(settings)
    with open_table(settings) as table:
        assert RowWriter(table).write([]) == 0
    assert proxy.mutations_seen == 0


def test_entries_without_acknowledgement_are_sent_again(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    lock, lost = threading.Lock(), [0]

    def lose_some(response: Any) -> None:
        with lock:
            if lost[0] < 150:
                lost[0] += len(response.entries[::2])
                del response.entries[::2]

    proxy.lose = lose_some
    assert write(settings) == 1_000
    assert stored(settings) == ROWS
    assert proxy.mutations_seen == 1_000 + lost[0]


def test_entries_with_a_transient_status_are_the_only_ones_sent_again(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    lock, failed = threading.Lock(), [0]

    def fail_some(response: Any) -> None:
        with lock:
            if failed[0] < 30:
                for answer in response.entries[:10]:
                    answer.status.code = code_pb2.UNAVAILABLE
                failed[0] += 10

    proxy.lose = fail_some
    assert write(settings) == 1_000
    assert proxy.mutations_seen == 1_030
    assert stored(settings) == ROWS


def test_a_failed_call_is_repeated(faulty_bigtable: tuple[FaultyBigtable, Settings]) -> None:
    proxy, settings = faulty_bigtable
    lock, failures = threading.Lock(), [3]

    def fail(_request: Any, context: grpc.ServicerContext) -> Any:
        with lock:
            failing = failures[0] > 0
            failures[0] -= 1
        if failing:
            context.abort(grpc.StatusCode.UNAVAILABLE, "try again")

    proxy.fault = fail
    assert write(settings) == 1_000
    assert stored(settings) == ROWS


def test_a_permanently_refused_entry_fails_the_write_with_its_code_and_count(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable

    def refuse(request: Any, _context: grpc.ServicerContext) -> Any:
        response = MutateRowsResponse()
        for index in range(len(request.entries)):
            answer = response.entries.add(index=index)
            answer.status.code = code_pb2.INVALID_ARGUMENT if index < 3 else code_pb2.OK
            answer.status.message = "key too large"
        return response

    proxy.fault = refuse
    with pytest.raises(LoadError, match="key too large") as caught:
        write(settings, requests_in_flight=1)
    assert caught.value.code is LoadCode.REFUSED
    assert caught.value.counts == {"INVALID_ARGUMENT": 3}


def test_a_permanently_refused_call_fails_the_write(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    proxy.fault = lambda _request, context: context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")
    with pytest.raises(LoadError) as caught:
        write(settings, requests_in_flight=1)
    assert (caught.value.code, caught.value.counts) == (LoadCode.REFUSED, {"PERMISSION_DENIED": 100})


def test_a_server_that_never_acknowledges_is_given_up_with_the_count(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    proxy.fault = lambda _request, _context: MutateRowsResponse()
    with pytest.raises(LoadError) as caught:
        write(settings, requests_in_flight=1, deadline_seconds=0.3)
    assert caught.value.code is LoadCode.UNACKNOWLEDGED
    assert caught.value.counts == {"NO_ACKNOWLEDGEMENT": 100}


def test_deleting_a_generation_leaves_the_others(bigtable_world: Settings) -> None:
    write(bigtable_world)
    key = next(iter(ROWS))
    with open_table(bigtable_world) as table:
        writer = RowWriter(table)
        writer.write([set_offers(key, b"newer", GENERATION + 1), set_offers(key, b"older", GENERATION - 1)])
        writer.write([delete_offers(key, GENERATION, GENERATION)])
        row = table.read_row(key)
        assert row is not None
        assert [bytes(cell.value) for cell in row] == [b"newer", b"older"]
        writer.write([delete_offers(key, None, None)])
        assert table.read_row(key) is None
