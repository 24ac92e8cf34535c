"""Mart rows become canonical payloads; what does not fit is refused before anything is sent."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders.bigtable.encode import Checksum, encode_account, encode_batch
from loaders.bigtable.errors import LoadCode, LoadError
from serving.row_key import row_key
from serving.wire.offers_pb2 import AccountOffers
from tests.bigtable_fixture import account, offer, source

DAY = date(2026, 1, 31)
GENERATION = 1_769_817_600_001

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
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
    }
)
ACCOUNTS = st.fixed_dictionaries(
    {
        "account_id": NAMES.filter(bool),
        "offers": st.lists(OFFERS, max_size=4),
        "suppressed_reason": st.none() | NAMES.filter(bool),
        "valid_until_at": INSTANTS,
        "market": st.none() | NAMES,
    }
)


def until_ms(at: datetime | None) -> int:
    return (
        0
        if at is None
        else (at - datetime(1970, 1, 1, tzinfo=UTC)).days * 86_400_000
        + (at.hour * 3_600_000 + at.minute * 60_000 + at.second * 1000 + at.microsecond // 1000)
    )


@given(ACCOUNTS)
def test_every_row_comes_back_from_its_payload(row: dict[str, Any]) -> None:
    back = AccountOffers.FromString(encode_account(row, DAY, GENERATION))
    assert (back.account_id, back.market) == (row["account_id"], row["market"] or "")
    assert back.suppressed_reason == (row["suppressed_reason"] or "")
    assert back.valid_until_ms == until_ms(row["valid_until_at"])
    assert (back.segment_date, back.generation_ms) == ("2026-01-31", GENERATION)
    assert len(back.offers) == len(row["offers"])
    for read, written in zip(back.offers, row["offers"], strict=True):
        assert (read.score if read.HasField("score") else None) == written["score"]
        assert read.valid_until_ms == until_ms(written["valid_until_at"])
        for name in ("offer_id", "rule_id", "rule_version", "priority", "reason_code", "is_control"):
            assert getattr(read, name) == written[name]
        for name in ("experiment_id", "variant", "content_id"):
            assert getattr(read, name) == (written[name] or "")
        assert read.content_version == (written["content_version"] or 0)


def encode_one(row: dict[str, Any]) -> tuple[bytes, bytes]:
    (batch,) = source(row)(None, DAY)  # type: ignore[arg-type]
    ((key, payload),) = encode_batch(batch, DAY, GENERATION)
    return key, payload


def test_a_record_batch_gives_key_and_payload() -> None:
    row = account("a", offer())
    assert encode_one(row) == (row_key("a"), encode_account(row, DAY, GENERATION))


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        (account("x" * 4_092), "4097 bytes"),
        (account(""), "empty"),
        (account(None), "empty"),  # type: ignore[arg-type]
        (account("a", suppressed_reason=""), "suppressed_reason"),
        (account("a", offer(priority=2**31)), "range"),
        (account("a", offer(rule_version=-1)), "range"),
        (account("a", valid_until_at=datetime(1969, 12, 31, tzinfo=UTC)), "not after 1970"),
        (account("a", offer("x" * 10_000_001)), "limit of 10000000"),
    ],
    ids=["long id", "empty id", "null id", "empty reason", "priority", "version", "before 1970", "size"],
)
def test_a_row_that_does_not_fit_is_refused_with_its_cause(row: dict[str, Any], cause: str) -> None:
    with pytest.raises(LoadError, match=cause) as caught:
        encode_one(row)
    assert caught.value.code is LoadCode.INVALID_ROW


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=5), st.binary(max_size=5)), unique=True), st.randoms()
)
def test_the_checksum_does_not_depend_on_the_order_and_notices_a_changed_row(
    rows: list[tuple[bytes, bytes]], shuffle: Any
) -> None:
    def checksum(of: list[tuple[bytes, bytes]]) -> str:
        total = Checksum()
        for key, payload in of:
            total.add(key, payload)
        return total.hexdigest()

    original = checksum(rows)
    shuffled = rows.copy()
    shuffle.shuffle(shuffled)
    assert checksum(shuffled) == original
    if rows:
        (key, payload), *rest = rows
        assert checksum([(key, payload + b"!"), *rest]) != original
