"""ReadRows as bytes: what is asked for, and how the chunks of an answer become rows."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud.bigtable.data import ReadRowsQuery
from google.cloud.bigtable_v2.types import bigtable as messages
from hypothesis import given
from hypothesis import strategies as st

from loaders.bigtable.filters import visible_at
from segue_client.bigtable.read_rows import (
    ReadRowsResponse,
    RowMerger,
    TableAddress,
    offers_request,
    pointer_request,
    with_keys,
)

ADDRESS = TableAddress("projects/p/instances/i/tables/offers", "default")
Request: Any = messages.ReadRowsRequest.meta.pb


def response(*chunks: dict[str, Any]) -> Any:
    return ReadRowsResponse(chunks=list(chunks))


def cell(key: bytes, value: bytes, **more: Any) -> dict[str, Any]:
    return {
        "row_key": key,
        "family_name": {"value": "o"},
        "qualifier": {"value": b"p"},
        "value": value,
        "commit_row": True,
    } | more


def test_the_request_asks_for_the_same_cells_as_the_contract() -> None:
    request = Request.FromString(with_keys(offers_request(ADDRESS, 1_769_817_600_001), [b"k1", b"k2"]))
    query = ReadRowsQuery(row_keys=[b"k1", b"k2"], row_filter=visible_at(1_769_817_600_001))
    assert request.filter == type(query.filter)._to_pb(query.filter)._pb
    assert list(request.rows.row_keys) == [b"k1", b"k2"]
    assert (request.table_name, request.app_profile_id) == (ADDRESS.table_name, "default")


def test_the_pointer_request_asks_for_one_row() -> None:
    request = Request.FromString(pointer_request(ADDRESS))
    assert list(request.rows.row_keys) == [b"!pointer"]
    assert not request.rows.row_ranges


def test_several_rows_of_one_message() -> None:
    merger = RowMerger()
    merger.add(response(cell(b"a", b"1"), cell(b"b", b"2")))
    assert merger.rows == {b"a": {b"p": b"1"}, b"b": {b"p": b"2"}}
    assert not merger.is_incomplete


def test_several_columns_of_a_row() -> None:
    merger = RowMerger()
    merger.add(
        response(
            cell(b"!pointer", b"1", qualifier={"value": b"generation"}, commit_row=False),
            {"qualifier": {"value": b"segment_date"}, "value": b"2", "commit_row": True},
        )
    )
    assert merger.rows == {b"!pointer": {b"generation": b"1", b"segment_date": b"2"}}


@given(st.binary(min_size=3, max_size=50), st.data())
def test_a_value_is_put_together_however_it_was_cut(value: bytes, data: Any) -> None:
    first, second = sorted(data.draw(st.lists(st.integers(1, len(value) - 1), min_size=2, max_size=2)))
    merger = RowMerger()
    merger.add(response(cell(b"a", value[:first], value_size=len(value), commit_row=False)))
    assert merger.is_incomplete
    merger.add(response({"value": value[first:second], "value_size": len(value)}))
    merger.add(response({"value": value[second:], "commit_row": True}))
    assert merger.rows == {b"a": {b"p": value}}


def test_a_row_that_the_server_begins_anew_is_taken_once() -> None:
    merger = RowMerger()
    merger.add(response(cell(b"a", b"ol", value_size=5, commit_row=False), {"reset_row": True}))
    assert merger.rows == {}
    merger.add(response(cell(b"a", b"new")))
    assert merger.rows == {b"a": {b"p": b"new"}}


def test_an_empty_cell_is_a_row_with_an_empty_value() -> None:
    merger = RowMerger()
    merger.add(response(cell(b"a", b"")))
    assert merger.rows == {b"a": {b"p": b""}}


@pytest.mark.parametrize("chunks", [[], [cell(b"a", b"1")]])
def test_a_stream_is_complete_when_every_row_is_committed(chunks: list[dict[str, Any]]) -> None:
    merger = RowMerger()
    merger.add(response(*chunks))
    assert not merger.is_incomplete
