"""Turns mart rows into row keys and canonical payload bytes, and sums their checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pyarrow as pa
from google.protobuf.message import EncodeError

from loaders.bigtable.errors import LoadCode, LoadError
from serving import schema
from serving.row_key import row_key
from serving.wire.offers_pb2 import AccountOffers, Offer


def encode_batch(batch: pa.RecordBatch, segment_date: date, generation: int) -> Iterator[tuple[bytes, bytes]]:
    """(row key, payload) of every row of a record batch of ``offer_segments``.

    Raises:
        LoadError: ``INVALID_ROW``: a row breaks a limit; the message names the limit, not the account.
    """
    for row in batch.to_pylist():
        try:
            key = row_key(row["account_id"] or "")
            payload = encode_account(row, segment_date, generation)
        except (ValueError, TypeError, EncodeError) as error:
            raise LoadError(LoadCode.INVALID_ROW, f"{segment_date}: {error}", {"rows": 1}) from error
        yield key, payload


def encode_account(row: dict[str, Any], segment_date: date, generation: int) -> bytes:
    """The payload of one mart row, given as plain values.

    Raises:
        ValueError: a value does not fit the contract, or the payload is over the size limit.
    """
    account = AccountOffers(
        account_id=row["account_id"],
        offers=[_offer(offer) for offer in row["offers"] or ()],
        valid_until_ms=_until(row["valid_until_at"]),
        suppressed_reason=row["suppressed_reason"] or "",
        market=row["market"] or "",
        segment_date=segment_date.isoformat(),
        generation_ms=generation,
    )
    if row["suppressed_reason"] == "":
        raise ValueError("suppressed_reason must be null or a reason, not an empty string")
    # without maps the order of fields is that of their numbers, so this is canonical
    payload: bytes = account.SerializeToString(deterministic=True)
    if len(payload) > schema.MAX_VALUE_BYTES:
        raise ValueError(f"a payload of {len(payload)} bytes is over the limit of {schema.MAX_VALUE_BYTES}")
    return payload


def _offer(offer: dict[str, Any]) -> Offer:
    return Offer(
        offer_id=offer["offer_id"],
        rule_id=offer["rule_id"],
        rule_version=offer["rule_version"],
        priority=offer["priority"],
        score=offer["score"],
        reason_code=offer["reason_code"],
        experiment_id=offer["experiment_id"],
        variant=offer["variant"],
        is_control=offer["is_control"],
        content_id=offer["content_id"],
        content_version=offer["content_version"],
        valid_until_ms=_until(offer["valid_until_at"]),
    )


def _until(at: datetime | None) -> int:
    if at is None:
        return 0
    until = schema.milliseconds(at)
    if until <= 0:
        # 0 would mean "does not expire"
        raise ValueError(f"valid_until_at {at} is not after 1970-01-01")
    return until


class Checksum:
    """A sum of row digests modulo 2^64: the same in whatever order rows come, other when one differs."""

    def __init__(self) -> None:
        self._sum = 0
        self.rows = 0

    def add(self, key: bytes, payload: bytes) -> None:
        """Counts one row in."""
        digest = hashlib.blake2b(key, digest_size=8, salt=b"segue")
        digest.update(b"\0")
        digest.update(payload)
        self._sum = (self._sum + int.from_bytes(digest.digest(), "big")) & 0xFFFF_FFFF_FFFF_FFFF
        self.rows += 1

    def hexdigest(self) -> str:
        """16 hex digits."""
        return f"{self._sum:016x}"
