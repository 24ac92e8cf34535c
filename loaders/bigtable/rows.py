"""Staged rows become row keys and payload contents, a batch at a time; what breaks a limit is set apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from loaders.bigtable.payload import column_of, encode, fields_of
from segue.redaction import WITHHELD
from segue_client.bigtable import schema
from segue_client.bigtable.row_key import MAX_ROW_KEY_BYTES
from segue_client.wire.offers_pb2 import AccountOffers

MESSAGE: Final = AccountOffers.DESCRIPTOR
TAIL_FIELDS: Final = ("segment_date", "generation_ms")
"""Where a cell comes from; last in the bytes, so that the content stands before them."""

ROW_KEY: Final = "row_key"

Digests = npt.NDArray[np.uint64]

_MIX: Final = np.array([0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93], np.uint64)
"""Odd numbers without pattern: equal keys and contents must not cancel each other out."""


@dataclass(frozen=True)
class Refused:
    """A row that is not in the generation, by whom and why. Goes to the dead-letter table."""

    row_key: bytes
    code: str
    reason: str

    @property
    def account_id(self) -> str:
        """The account inside the key; of a null key nothing is known."""
        return self.row_key[5:].decode(errors="replace")

    @property
    def told(self) -> str:
        """The reason as a message may have it: a server may name the key."""
        told = self.reason
        for name in (self.row_key.decode(errors="replace"), self.account_id):
            told = told.replace(name, WITHHELD) if name else told
        return told


@dataclass(frozen=True)
class Rows:
    """Valid rows: keys, payloads without their tail, a digest of each key and one of each row."""

    keys: pa.Array
    contents: pa.Array
    key_digests: Digests
    digests: Digests
    refused: list[Refused]

    def __len__(self) -> int:
        return len(self.keys)


def source_columns(available: list[str]) -> list[str]:
    """The mart's columns that the payload is made of.

    Raises:
        UnknownColumnError: a field of the message has no column in the mart.
    """
    return [column_of(field, available) for field in fields_of(MESSAGE, TAIL_FIELDS)]


def tail(segment_date: date, generation: int) -> bytes:
    """The last bytes of every payload that a generation writes."""
    serialized: bytes = AccountOffers(
        segment_date=segment_date.isoformat(), generation_ms=generation
    ).SerializeToString(deterministic=True)
    return serialized


TAIL_BYTES: Final = len(tail(date(2000, 1, 1), 1))
"""The tail has one length: a date of ten characters and a fixed-width number."""


def encode_rows(batch: pa.RecordBatch) -> Rows:
    """Encodes a batch with the mart's columns and ``row_key``; raises as ``payload.encode``."""
    keys = pc.fill_null(batch.column(ROW_KEY).cast(pa.binary()), b"")
    encoded = encode(MESSAGE, batch.to_struct_array(), skip=TAIL_FIELDS)
    reasons: list[tuple[str, str, npt.NDArray[np.bool_]]] = [
        ("INVALID_ROW", reason, mask) for reason, mask in encoded.violations
    ]
    reasons += _limits(batch, keys, encoded.messages)
    bad = np.zeros(len(keys), np.bool_)
    refused: list[Refused] = []
    for code, reason, mask in reasons:
        refused += [Refused(keys[int(at)].as_py(), code, reason) for at in np.flatnonzero(mask & ~bad)]
        bad |= mask
    contents = encoded.messages
    if refused:
        good = pa.array(~bad)
        keys, contents = keys.filter(good), contents.filter(good)
    of_keys = key_digests(keys)
    return Rows(keys, contents, of_keys, digests(of_keys, contents), refused)


def _limits(
    batch: pa.RecordBatch, keys: pa.Array, contents: pa.Array
) -> list[tuple[str, str, npt.NDArray[np.bool_]]]:
    key_bytes = pc.binary_length(keys).to_numpy()
    value_bytes = pc.binary_length(contents).to_numpy() + TAIL_BYTES
    ids = batch.column("account_id")
    unknown = pc.fill_null(pc.equal(pc.binary_length(ids), 0), True).to_numpy(zero_copy_only=False)
    reasons = pc.equal(pc.binary_length(batch.column("suppressed_reason")), 0)
    return [
        ("INVALID_ROW", "an account id must not be empty", unknown),
        (
            "KEY_TOO_LONG",
            f"a row key over the limit of {MAX_ROW_KEY_BYTES} bytes",
            key_bytes > MAX_ROW_KEY_BYTES,
        ),
        (
            "VALUE_TOO_LARGE",
            f"a payload over the limit of {schema.MAX_VALUE_BYTES} bytes",
            value_bytes > schema.MAX_VALUE_BYTES,
        ),
        (
            "INVALID_ROW",
            "suppressed_reason must be null or a reason, not an empty string",
            pc.fill_null(reasons, False).to_numpy(zero_copy_only=False),
        ),
    ]


def digests(of_keys: Digests, contents: Any) -> Digests:
    """A 64-bit digest of each row from that of its key and its content, the same in every version.

    Takes Arrow arrays or lists of bytes.
    """
    of_contents = pd.util.hash_array(_objects(contents), categorize=False).astype(np.uint64, copy=False)
    mixed: Digests = (of_contents ^ (of_keys * _MIX[0])) * _MIX[1]
    folded: Digests = mixed ^ (mixed >> np.uint64(32))
    return folded


def key_digests(keys: Any) -> Digests:
    """A 64-bit digest of each row key: SipHash with pandas' fixed key."""
    return pd.util.hash_array(_objects(keys), categorize=False).astype(np.uint64, copy=False)


def checksum(of: Digests) -> int:
    """The sum of row digests modulo 2^64: the same in whatever order and in whatever parts rows come."""
    return int(np.sum(of, dtype=np.uint64))


def hexadecimal(total: int) -> str:
    """A checksum as 16 hex digits."""
    return f"{total & 0xFFFF_FFFF_FFFF_FFFF:016x}"


def _objects(values: Any) -> npt.NDArray[np.object_]:
    if isinstance(values, pa.Array):
        return np.asarray(values.to_numpy(zero_copy_only=False), dtype=object)
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out
