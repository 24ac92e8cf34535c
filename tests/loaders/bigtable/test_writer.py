"""Every entry is acknowledged or the write fails: whatever the server does."""

from __future__ import annotations

import threading
import time
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.rpc import code_pb2
from hypothesis import given
from hypothesis import strategies as st

from loaders.bigtable import scan
from loaders.bigtable.connection import open_table
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.flow import FlowControl
from loaders.bigtable.mutations import delete_offers, request_head, set_offers, slice_bytes, tombstones
from loaders.bigtable.table import ensure_table
from loaders.bigtable.writer import Entries, RowWriter, Written
from segue.settings import Settings
from segue_client.bigtable import schema
from segue_client.bigtable.row_key import row_key
from tests.bigtable_fixture import FaultyBigtable, MutateRowsRequest, MutateRowsResponse

GENERATION = 1_769_817_600_001
ROWS = {row_key(f"account-{number}"): f"payload {number}".encode() for number in range(1_000)}


def entries(rows: dict[bytes, bytes] = ROWS, generation: int = GENERATION) -> Entries:
    keys = pa.array(list(rows), pa.binary())
    return Entries(keys, set_offers(keys, pa.array(list(rows.values()), pa.binary()), generation))


def stored(settings: Settings) -> dict[bytes, bytes]:
    with open_table(settings) as table:
        return dict(scan.payloads_of(table, GENERATION, time.monotonic() + 60))


def write_all(settings: Settings, **options: Any) -> Written:
    ensure_table(settings)
    with open_table(settings) as table:
        limits = {"deadline_at": time.monotonic() + 120, "rows_per_request": 100} | options
        return RowWriter(table, **limits).write([entries()])


def write(settings: Settings, **options: Any) -> int:
    written = write_all(settings, **options)
    assert written.refused == []
    return written.acknowledged


def test_all_rows_are_written_and_counted(bigtable_world: Settings) -> None:
    assert write(bigtable_world) == 1_000
    assert stored(bigtable_world) == ROWS


def test_nothing_to_write_is_no_request(faulty_bigtable: tuple[FaultyBigtable, Settings]) -> None:
    proxy, settings = faulty_bigtable
    ensure_table(settings)
    with open_table(settings) as table:
        assert RowWriter(table, deadline_at=time.monotonic() + 120).write([]) == Written()
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
        write(settings, requests_in_flight=1, deadline_at=time.monotonic() + 0.5)
    assert caught.value.code is LoadCode.UNACKNOWLEDGED
    # the last request may be cut off by the deadline itself
    assert sum(caught.value.counts.values()) == 100
    assert caught.value.counts.keys() <= {"NO_ACKNOWLEDGEMENT", "DEADLINE_EXCEEDED"}


def test_deleting_a_generation_leaves_the_others(bigtable_world: Settings) -> None:
    write(bigtable_world)
    key = next(iter(ROWS))
    with open_table(bigtable_world) as table:
        writer = RowWriter(table, deadline_at=time.monotonic() + 120)
        writer.write([entries({key: b"newer"}, GENERATION + 1), entries({key: b"older"}, GENERATION - 1)])
        keys = pa.array([key])
        writer.write([Entries(keys, delete_offers(keys, [(GENERATION, GENERATION)]))])
        row = table.read_row(key)
        assert row is not None
        assert [bytes(cell.value) for cell in row] == [b"newer", b"older"]
        writer.write([Entries(keys, tombstones(keys, GENERATION))])
        tombstoned = table.read_row(key)
        assert tombstoned is not None
        assert [bytes(cell.value) for cell in tombstoned] == [b"newer", b"", b"older"]
        writer.write([Entries(keys, delete_offers(keys, [(None, None)]))])
        assert table.read_row(key) is None


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.binary(max_size=300)), min_size=1, max_size=9),
    st.binary(max_size=30),
)
def test_request_bytes_are_those_that_protobuf_writes(rows: list[tuple[bytes, bytes]], tail: bytes) -> None:
    expected = MutateRowsRequest(table_name="t", app_profile_id="p")
    for key, payload in rows:
        cell = expected.entries.add(row_key=key).mutations.add().set_cell
        cell.family_name, cell.column_qualifier = schema.OFFERS_FAMILY, schema.OFFERS_QUALIFIER
        cell.timestamp_micros, cell.value = GENERATION * 1000, payload + tail
    keys, payloads = (pa.array(list(column), pa.binary()) for column in zip(*rows, strict=True))
    body = slice_bytes(set_offers(keys, payloads, GENERATION, tail), 0, len(rows))
    assert MutateRowsRequest.FromString(request_head("t", "p") + body) == expected


@pytest.mark.parametrize("generation", [0, -1, 2**63])
def test_a_generation_that_is_no_cell_timestamp_is_refused(generation: int) -> None:
    with pytest.raises(ValueError, match="no cell timestamp"):
        tombstones(pa.array([b"key"]), generation)


def test_more_mutations_than_a_request_may_hold_are_refused(bigtable_world: Settings) -> None:
    with open_table(bigtable_world) as table, pytest.raises(ValueError, match="100000"):
        RowWriter(table, deadline_at=time.monotonic(), rows_per_request=100_001)


def test_refused_entries_are_named_and_the_others_written(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    bad = {row_key(f"account-{number}") for number in (3, 500, 999)}

    def refuse(request: Any, _context: grpc.ServicerContext) -> Any:
        if not any(entry.row_key in bad for entry in request.entries):
            return None
        return proxy.apply(request, lambda entry: code_pb2.OUT_OF_RANGE if entry.row_key in bad else 0)

    proxy.fault = refuse
    written = write_all(settings, max_refused=3)
    assert {(each.row_key, each.code) for each in written.refused} == {(key, "OUT_OF_RANGE") for key in bad}
    assert (written.acknowledged, len(written.refused)) == (997, 3)
    assert stored(settings) == {key: value for key, value in ROWS.items() if key not in bad}


def test_a_request_that_is_refused_for_one_bad_entry_is_halved_until_it_is_found(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    bad = row_key("account-77")

    def refuse(request: Any, context: grpc.ServicerContext) -> Any:
        if any(entry.row_key == bad for entry in request.entries):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "row key is not allowed")

    proxy.fault = refuse
    written = write_all(settings, max_refused=1)
    assert [(each.row_key, each.code) for each in written.refused] == [(bad, "INVALID_ARGUMENT")]
    assert written.acknowledged == 999
    assert stored(settings) == {key: value for key, value in ROWS.items() if key != bad}


def test_a_server_that_asks_for_a_slower_pace_gets_it(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable

    def ask(response: Any) -> None:
        response.rate_limit_info.factor = 0.7
        response.rate_limit_info.period.FromSeconds(1)

    proxy.lose = ask
    flow = FlowControl()
    assert write(settings, flow=flow) == 1_000
    assert flow.requests_per_second is not None
    assert stored(settings) == ROWS
