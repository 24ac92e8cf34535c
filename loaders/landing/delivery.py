"""Messages as a provider sends them, made rows of their contract.

Whoever receives a webhook may write down what came and nothing else: the message is the line of the file or
the payload of the row, signed or inside an envelope. What the row does not say beside it (its id, when it
happened, when it came) the message says. Rows that say everything pass through here untouched.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loaders.landing.arrays import as_mask
from loaders.landing.batch import Batch
from loaders.landing.errors import Refusal

Row = dict[str, Any]
PAYLOAD: Final = "payload"
_ARRIVAL: Final = "ingested_at"
_LEAST_OBJECT: Final = len("eyJhIjox")


class DeliveryError(Exception):
    """A message cannot be opened; ``path`` is where, the text why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path = path


@dataclass(frozen=True)
class SignedContent:
    """What a signed text says, and whether its signature was verified."""

    content: Mapping[str, Any]
    is_verified: bool


@dataclass(frozen=True)
class Receipt:
    """When messages arrived, and how signed ones are opened."""

    arrival_date: date
    open_signed: Callable[[str, Any], SignedContent]
    """The content of a signed text, which stands at a path.

    Raises:
        DeliveryError: it is none, or its signature is not the provider's.
    """
    mapped_providers: frozenset[str] = frozenset()
    """Providers whose customers are mapped to accounts: their messages need not name one."""
    app_store_bundle_ids: frozenset[str] = frozenset()
    """The apps whose signed notifications are opened; empty: any app's."""


@dataclass(frozen=True)
class Message:
    """A message out of its envelope: what the row is to say where it says nothing."""

    payload: Mapping[str, Any]
    id: str | None = None
    occurred_at: datetime | None = None
    sent_at: datetime | None = None
    besides: Mapping[str, Any] | None = None
    """Further columns."""


@dataclass(frozen=True)
class Delivered:
    """How a provider delivers: ``open_message`` takes what came.

    ``columns`` are the contract's. ``keys`` begin messages: a line that has one of them and no payload is the
    message itself. ``wrapping`` are keys, of a payload or of its ``data``, of what is not opened yet.
    """

    id_column: str
    columns: frozenset[str]
    keys: frozenset[str]
    wrapping: tuple[str, ...]
    open_message: Callable[[Mapping[str, Any], Receipt], Message]

    @property
    def told(self) -> frozenset[str]:
        """Columns that a message tells, when its row does not."""
        return frozenset({self.id_column, "occurred_at", _ARRIVAL})

    def open(self, row: Row, receipt: Receipt) -> Row:
        """The row as its contract has it; the same row when there is nothing to open or to tell.

        Raises:
            DeliveryError: the message cannot be opened.
        """
        if PAYLOAD not in row and row.keys() & self.keys:
            own = {name: value for name, value in row.items() if name in self.columns}
            row = own | {PAYLOAD: {name: value for name, value in row.items() if name not in own}}
        payload = row.get(PAYLOAD)
        is_silent = any(row.get(name) is None for name in self.told)
        if not is_silent and not self._is_wrapped(payload):
            return row
        if isinstance(payload, str):
            with suppress(ValueError, RecursionError):
                payload = json.loads(payload)
        if not isinstance(payload, dict):
            return row
        message = self.open_message(payload, receipt)
        told = {
            self.id_column: message.id,
            "occurred_at": _text(message.occurred_at),
            _ARRIVAL: _text(_arrived_at(message.sent_at, receipt.arrival_date)),
            **(message.besides or {}),
        }
        opened = row | {name: value for name, value in told.items() if row.get(name) is None and value}
        if message.payload is not payload:
            try:
                opened[PAYLOAD] = json.dumps(message.payload, ensure_ascii=False)
            except RecursionError as error:
                raise DeliveryError(PAYLOAD, "is nested too deep") from error
        return opened

    def rows_to_open(self, columns: Mapping[str, pa.Array]) -> npt.NDArray[np.bool_]:
        """A mask of the rows that ``open`` would change, and perhaps of some that it would not."""
        mask = np.zeros(len(columns[PAYLOAD]), bool)
        for name in self.told:
            mask |= as_mask(pc.is_null(columns[name]))
        if self.wrapping:
            mask |= as_mask(pc.match_substring_regex(columns[PAYLOAD], self._wrapped.pattern))
        return mask

    def _is_wrapped(self, payload: Any) -> bool:
        if isinstance(payload, str):
            return bool(self.wrapping) and self._wrapped.search(payload) is not None
        if not isinstance(payload, dict):
            return False
        inner = payload.get("data")
        return any(key in payload or (isinstance(inner, dict) and key in inner) for key in self.wrapping)

    @cached_property
    def _wrapped(self) -> re.Pattern[str]:
        return re.compile(f'"(?:{"|".join(self.wrapping)})"')


OpenRow = Callable[[Row], Row]
"""What makes a row of what came; raises DeliveryError."""


def opener(delivered: Delivered | None, receipt: Receipt | None) -> OpenRow | None:
    """What opens the rows of a file; None when they come as the contract has them."""
    return partial(delivered.open, receipt=receipt) if delivered and receipt else None


def open_columns(delivered: Delivered, receipt: Receipt, batch: Batch, file: str) -> Batch:
    """The batch with its messages opened; those that cannot be are among the unreadable rows."""
    table = batch.rows.combine_chunks()
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    mask = delivered.rows_to_open(columns)
    if not mask.any():
        return batch
    cells = table.filter(pa.array(mask)).to_pylist()
    refused: list[Refusal] = []
    opened: list[Row] = []
    for place, row in zip(np.nonzero(mask)[0].tolist(), cells, strict=True):
        try:
            opened.append(delivered.open(row, receipt))
        except DeliveryError as error:
            number = batch.numbers[place].as_py()
            refused.append(
                Refusal(
                    file, number, error.path, str(error), json.dumps(row, default=str, ensure_ascii=False)
                )
            )
            opened.append(row)
    for name, values in columns.items():
        if any(after[name] is not before[name] for after, before in zip(opened, cells, strict=True)):
            texts = [_text(row[name]) for row in opened]
            changed = pa.array(texts, pa.string()).cast(values.type)
            columns[name] = pc.replace_with_mask(values, pa.array(mask), changed)
    rows = pa.Table.from_arrays(list(columns.values()), schema=table.schema)
    if not refused:
        return replace(batch, rows=rows)
    broken = pa.array([refusal.row for refusal in refused], batch.numbers.type)
    readable = pc.invert(pc.is_in(batch.numbers, value_set=broken))
    return replace(
        batch,
        rows=rows.filter(readable),
        numbers=batch.numbers.filter(readable),
        unreadable=(*batch.unreadable, *refused),
    )


def hidden_in(text: str) -> Any:
    """What a text holds that is an object in base64, or the signed part of a JSON Web Signature; else None.

    For whoever looks for ids in what could not be opened: nothing is verified.
    """
    parts = text.split(".")
    if len(parts) not in (1, 3) or len(text) < _LEAST_OBJECT:
        return None
    with suppress(ValueError, RecursionError):
        found = json.loads(
            b64decode(parts[len(parts) // 2] + "==", altchars=b"-_" if len(parts) == 3 else None)
        )
        return found if isinstance(found, dict) else None
    return None


def _arrived_at(sent_at: datetime | None, day: date) -> datetime | None:
    """The earliest moment of the arrival day at which what was sent then can have arrived."""
    if sent_at is None:
        return None
    first = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return min(max(sent_at, first), first + timedelta(days=1, microseconds=-1))


def _text(value: Any) -> Any:
    """A time as landing files write it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
