"""Payloads built a column at a time are the bytes that protobuf itself writes for the same row."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from google.cloud.bigtable_v2.types import MutateRowsRequest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st

from loaders.bigtable import columns as col
from loaders.bigtable.mutations import tombstones
from loaders.bigtable.payload import UnknownColumnError, encode
from loaders.bigtable.rows import (
    TAIL_BYTES,
    Rows,
    checksum,
    digests,
    encode_rows,
    hexadecimal,
    key_digests,
    source_columns,
    tail,
)
from segue.settings import PROJECT_ROOT
from segue_client.bigtable.row_key import row_key
from segue_client.instants import instant
from segue_client.wire.offers_pb2 import AccountOffers, Offer
from tests.bigtable_fixture import account, offer, source

DAY = date(2026, 1, 31)
GENERATION = 1_769_817_600_001

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
UINT32 = st.integers(0, 2**32 - 1)
INSTANTS = st.none() | st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001 - the time zone comes from the strategy
    datetime(2900, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
OFFERS = st.fixed_dictionaries(
    {
        "offer_id": NAMES,
        "rule_id": NAMES,
        "rule_version": UINT32,
        "priority": st.integers(-(2**31), 2**31 - 1),
        "score": st.none() | st.floats(allow_nan=False),
        "reason_code": NAMES,
        "experiment_id": st.none() | NAMES,
        "variant": st.none() | NAMES,
        "is_control": st.booleans(),
        "content_id": st.none() | NAMES,
        "content_version": st.none() | UINT32,
        "valid_until_at": INSTANTS,
        "content_locale": st.none() | NAMES,
    }
)
ACCOUNTS = st.fixed_dictionaries(
    {
        "account_id": NAMES.filter(bool),
        "offers": st.lists(OFFERS, max_size=4),
        "held_back": st.lists(OFFERS, max_size=2),
        "suppressed_reason": st.none() | NAMES.filter(bool),
        "valid_until_at": INSTANTS,
        "market": st.none() | NAMES,
    }
)


def until_ms(at: datetime | None) -> int:
    return 0 if at is None else (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def by_protobuf(row: dict[str, Any]) -> bytes:
    """The payload of a row, written by protobuf."""
    offers, held_back = (
        [
            Offer(
                **{name: value for name, value in each.items() if name != "valid_until_at"},
                valid_until_ms=until_ms(each["valid_until_at"]),
            )
            for each in row[column]
        ]
        for column in ("offers", "held_back")
    )
    message = AccountOffers(
        account_id=row["account_id"],
        offers=offers,
        held_back=held_back,
        valid_until_ms=until_ms(row["valid_until_at"]),
        suppressed_reason=row["suppressed_reason"] or "",
        market=row["market"] or "",
        segment_date=DAY.isoformat(),
        generation_ms=GENERATION,
    )
    return bytes(message.SerializeToString(deterministic=True))


def encoded(*rows: dict[str, Any]) -> Any:
    batches = list(source(*rows).rows("memory", _All()))
    return encode_rows(pa.concat_batches(batches))


def payloads(built: Rows) -> list[bytes]:
    return [content + tail(DAY, GENERATION) for content in built.contents.to_pylist()]


class _All:
    first, after = b"0", b"g"


@given(st.lists(ACCOUNTS, min_size=1, max_size=5))
def test_every_batch_of_rows_gives_protobufs_own_bytes(rows: list[dict[str, Any]]) -> None:
    built = encoded(*rows)
    assert built.refused == []
    assert payloads(built) == [by_protobuf(row) for row in rows]
    assert built.keys.to_pylist() == [row_key(row["account_id"]) for row in rows]


def test_slices_of_a_batch_give_the_same_bytes() -> None:
    rows = [account(f"account-{n}", *[offer(f"offer-{k}") for k in range(n % 3)]) for n in range(20)]
    (batch,) = source(*rows).rows("memory", _All())
    whole = encode_rows(batch).contents.to_pylist()
    assert encode_rows(batch.slice(7, 6)).contents.to_pylist() == whole[7:13]


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2_100_000])
def test_texts_of_any_length_are_framed_as_protobuf_frames_them(length: int) -> None:
    row = account("a", offer("x" * length), market="y" * length)
    (payload,) = payloads(encoded(row))
    assert payload == by_protobuf(row)


GOLDEN = json.loads((PROJECT_ROOT / "clients/golden/payloads.json").read_text(encoding="utf-8"))


def test_a_tombstone_has_the_golden_bytes() -> None:
    """The empty cell is the one vector without an account."""
    [vector] = [vector for vector in GOLDEN if vector["account"] is None]
    key = row_key("acc-000001")
    [entry] = tombstones(pa.array([key], pa.binary()), GENERATION).to_pylist()
    [sent] = MutateRowsRequest.deserialize(entry).entries
    [mutation] = sent.mutations
    assert mutation.set_cell.value.hex() == vector["payload_hex"]


@pytest.mark.parametrize(
    "vector", [vector for vector in GOLDEN if vector["account"]], ids=lambda vector: vector["name"]
)
def test_payloads_equal_the_golden_bytes(vector: dict[str, Any]) -> None:
    golden = ParseDict(vector["account"], AccountOffers())

    def at(ms: int) -> datetime | None:
        return instant(ms) if ms else None

    def rows(offers: Iterable[Offer]) -> list[dict[str, Any]]:
        return [
            {field.name: getattr(each, field.name) for field in each.DESCRIPTOR.fields}
            | {
                "score": each.score if each.HasField("score") else None,
                "valid_until_at": at(each.valid_until_ms),
            }
            for each in offers
        ]

    row = account(
        golden.account_id,
        *rows(golden.offers),
        held_back=rows(golden.held_back),
        suppressed_reason=golden.suppressed_reason or None,
        valid_until_at=at(golden.valid_until_ms),
        market=golden.market,
    )
    cell_tail = tail(date.fromisoformat(golden.segment_date), golden.generation_ms)
    assert (encoded(row).contents[0].as_py() + cell_tail).hex() == vector["payload_hex"]
    assert len(cell_tail) == TAIL_BYTES


@pytest.mark.parametrize(
    ("row", "code", "cause"),
    [
        (account("x" * 4_092), "KEY_TOO_LONG", "4096 bytes"),
        (account(""), "INVALID_ROW", "empty"),
        (account(None), "INVALID_ROW", "empty"),  # type: ignore[arg-type]
        (account("a", suppressed_reason=""), "INVALID_ROW", "suppressed_reason"),
        (account("a", offer(), offer(priority=2**31)), "INVALID_ROW", "offers.priority is out of range"),
        (account("a", offer(rule_version=-1)), "INVALID_ROW", "offers.rule_version is out of range"),
        (account("a", valid_until_at=datetime(1969, 12, 31, tzinfo=UTC)), "INVALID_ROW", "not after 1970"),
        (account("a", offer("x" * 10_000_001)), "VALUE_TOO_LARGE", "10000000 bytes"),
    ],
    ids=["long id", "empty id", "null id", "empty reason", "priority", "version", "before 1970", "size"],
)
def test_a_row_that_does_not_fit_is_excluded_with_its_cause(
    row: dict[str, Any], code: str, cause: str
) -> None:
    built = encoded(account("before"), row, account("after"))
    assert [each.account_id for each in map(_account, built.contents.to_pylist())] == ["before", "after"]
    (refused,) = built.refused
    assert (refused.code, refused.account_id) == (code, row["account_id"] or "")
    assert cause in refused.reason


def _account(content: bytes) -> AccountOffers:
    return AccountOffers.FromString(content)


def _message_of_every_type() -> Any:
    """A message that the project does not have: a new field of any of these types needs no new code."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="every.proto", package="every", syntax="proto3")
    inner = file.message_type.add(name="Inner")
    inner.field.add(name="text", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    message = file.message_type.add(name="Every")
    for number, (name, kind, label) in enumerate(
        [
            ("an_int32", kinds.TYPE_INT32, kinds.LABEL_OPTIONAL),
            ("an_int64", kinds.TYPE_INT64, kinds.LABEL_OPTIONAL),
            ("a_uint64", kinds.TYPE_UINT64, kinds.LABEL_OPTIONAL),
            ("a_float", kinds.TYPE_FLOAT, kinds.LABEL_OPTIONAL),
            ("a_double", kinds.TYPE_DOUBLE, kinds.LABEL_OPTIONAL),
            ("an_sfixed64", kinds.TYPE_SFIXED64, kinds.LABEL_OPTIONAL),
            ("some_bytes", kinds.TYPE_BYTES, kinds.LABEL_OPTIONAL),
            ("tags", kinds.TYPE_STRING, kinds.LABEL_REPEATED),
            ("inner", kinds.TYPE_MESSAGE, kinds.LABEL_OPTIONAL),
        ],
        start=14,  # from 16 on a tag has two bytes
    ):
        field = message.field.add(name=name, number=number, type=kind, label=label)
        if name == "inner":
            field.type_name = ".every.Inner"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("every.Every"))


EVERY = _message_of_every_type()
EVERY_SCHEMA = pa.struct(
    [
        ("an_int32", pa.int64()), ("an_int64", pa.int64()), ("a_uint64", pa.int64()),
        ("a_float", pa.float64()), ("a_double", pa.float64()), ("an_sfixed64", pa.int64()),
        ("some_bytes", pa.binary()), ("tags", pa.list_(pa.string())),
        ("inner", pa.struct([("text", pa.string())])),
    ]
)  # fmt: skip


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "an_int32": st.none() | st.integers(-(2**31), 2**31 - 1),
                "an_int64": st.none() | st.integers(-(2**63), 2**63 - 1),
                "a_uint64": st.none() | st.integers(0, 2**63 - 1),
                "a_float": st.none() | st.floats(width=32, allow_nan=False),
                "a_double": st.none() | st.floats(allow_nan=False),
                "an_sfixed64": st.none() | st.integers(-(2**63), 2**63 - 1),
                "some_bytes": st.none() | st.binary(max_size=300),
                "tags": st.lists(NAMES, max_size=3),
                "inner": st.none() | st.fixed_dictionaries({"text": st.none() | NAMES}),
            }
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_field_of_any_type_needs_only_a_column_of_its_name(rows: list[dict[str, Any]]) -> None:
    built = encode(EVERY.DESCRIPTOR, pa.array(rows, EVERY_SCHEMA))
    expected = []
    for row in rows:
        message = EVERY(**{name: value for name, value in row.items() if value is not None})
        expected.append(message.SerializeToString(deterministic=True))
    assert built.messages.to_pylist() == expected


def test_a_field_without_a_column_is_named() -> None:
    with pytest.raises(UnknownColumnError, match="suppressed_reason"):
        source_columns(["account_id", "offers", "valid_until_at", "market"])


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_varints_are_those_of_one_number(numbers: list[int]) -> None:
    built = col.varints(np.array(numbers, np.uint64)).to_pylist()
    assert built == [col.varint(number) for number in numbers]


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=5), st.binary(max_size=5)), unique=True), st.randoms()
)
def test_the_checksum_does_not_depend_on_order_or_parts_and_notices_a_changed_row(
    rows: list[tuple[bytes, bytes]], shuffle: Any
) -> None:
    def total(of: list[tuple[bytes, bytes]]) -> int:
        return checksum(digests(key_digests([key for key, _ in of]), [value for _, value in of]))

    original = hexadecimal(total(rows))
    shuffled = rows.copy()
    shuffle.shuffle(shuffled)
    half = len(rows) // 2
    assert hexadecimal(total(shuffled[:half]) + total(shuffled[half:])) == original
    if rows:
        (key, value), *rest = rows
        assert hexadecimal(total([(key, value + b"!"), *rest])) != original


def test_the_checksum_is_the_same_in_every_version() -> None:
    # a generation is verified by a later process: the digest is part of what is stored
    assert (
        hexadecimal(checksum(digests(key_digests([b"key", b"other"]), [b"value", b""]))) == "484fb6b4bc0db3f5"
    )
